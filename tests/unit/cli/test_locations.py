from pathlib import Path

from tests.unit.cli.conftest import Run
from tests.unit.client.studio import Studio

PAD = ("location", "add", "Pad Nine", "--type", "exterior", "--description", "a launch pad")


def test_a_location_is_added_with_its_words(run: Run) -> None:
    ended = run(*PAD, "--time-of-day", "golden-hour", "--weather", "fog", "--json")
    assert ended.code == 0
    assert (ended.json["type"], ended.json["time_of_day"], ended.json["weather"]) == ("exterior", "golden-hour", "fog")
    assert ended.json["picture"] is None


def test_a_location_without_a_photograph_is_drawn(run: Run, photo: Path) -> None:
    assert "drawn" in run(*PAD).out
    assert "photograph" in run("location", "add", "Room", photo, "--type", "interior", "--description", "a room").out


def test_adding_a_location_again_changes_it(run: Run, studio: Studio) -> None:
    first, second = run(*PAD, "--json").json, run(*PAD[:-1], "a burnt launch pad", "--json").json
    assert first["id"] == second["id"]
    assert [each.description for each in studio.locations.values()] == ["a burnt launch pad"]


def test_an_unknown_word_is_refused_with_the_nearest(run: Run, studio: Studio) -> None:
    ended = run(*PAD, "--time-of-day", "golden-our")
    assert ended.code == 2
    assert "did you mean 'golden-hour'?" in " ".join(ended.err.split())
    assert not studio.calls


def test_locations_are_listed_shown_and_deleted(run: Run) -> None:
    run(*PAD)
    assert "Pad Nine" in run("location", "list").out
    assert run("location", "list", "--json").json["locations"][0]["name"] == "Pad Nine"
    assert "a launch pad" in run("location", "show", "Pad Nine").out
    assert run("location", "show", "Pad Nine", "--json").json["description"] == "a launch pad"
    assert run("location", "delete", "Pad Nine", "--json").json == {"deleted": "Pad Nine"}
    assert run("location", "show", "Pad Nine").code == 3
    assert run("location", "list").out == "no locations yet\n"
