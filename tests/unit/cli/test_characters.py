from pathlib import Path

import grpc
import pytest

from tests.unit.cli.conftest import Run
from tests.unit.client.studio import Studio


def test_a_character_is_added_and_shown_when_it_is_ready(run: Run, photo: Path) -> None:
    ended = run("character", "add", "Ward", photo, "--description", "launch director", "--height-m", "1.63")
    assert ended.code == 0
    assert "ready" in ended.out
    assert "1.63 m" in ended.out
    assert "the photograph is stored" in ended.err


def test_an_added_character_is_one_json_document(run: Run, photo: Path) -> None:
    added = run("character", "add", "Ward", photo, "--keep-background", "--json").json
    assert (added["name"], added["state"], added["figure_source"]) == ("Ward", "ready", "background-kept")
    assert added["photo"]["size_bytes"] == photo.stat().st_size


def test_an_added_or_shown_character_tells_where_its_image_is(run: Run, photo: Path) -> None:
    added = run("character", "add", "Ward", photo, "--json").json
    assert added["image_url"] == f"https://cdn/{added['id']}"
    assert run("character", "show", "Ward", "--json").json["image_url"] == added["image_url"]
    assert added["image_url"] in run("character", "show", "Ward").out


def test_characters_are_listed_by_name(run: Run, photo: Path) -> None:
    for name in ("Ward", "Reyes", "Adams"):
        run("character", "add", name, photo)
    lines = run("character", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "Adams", "Reyes", "Ward"]
    assert {each["name"] for each in run("character", "list", "--json").json["characters"]} == {
        "Adams",
        "Reyes",
        "Ward",
    }


def test_an_empty_list_says_so(run: Run) -> None:
    assert run("character", "list").out == "no characters yet\n"
    assert run("character", "list", "--json").json == {"characters": []}


def test_a_character_is_shown_and_deleted_by_name(run: Run, photo: Path, studio: Studio) -> None:
    run("character", "add", "Ward", photo)
    assert run("character", "show", "Ward", "--json").json["name"] == "Ward"
    assert run("character", "delete", "Ward").out == "deleted Ward\n"
    assert studio.characters == {}
    run("character", "add", "Ward", photo)
    assert run("character", "delete", "Ward", "--json").json == {"deleted": "Ward"}


def test_a_character_that_is_not_there_ends_with_3(run: Run) -> None:
    ended = run("character", "show", "Nobody")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == "continuity: there is no such thing\n"


def test_programs_get_the_error_as_the_document(run: Run) -> None:
    ended = run("character", "delete", "Nobody", "--json")
    assert ended.code == 3
    assert ended.json == {"error": {"reason": "NOT_THERE", "message": "there is no such thing", "metadata": {}}}


def test_programs_get_field_value_and_limit_of_a_refusal_by_a_service(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    empty.touch()
    error = run("character", "add", "Ward", empty, "--json").json["error"]
    assert error["reason"] == "INVALID_VALUE"
    assert error["metadata"] == {"field": "photo", "value": "0 bytes", "limit": "a picture is wanted"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("character", "add", "Ward", "none.png"),
        ("character", "list", "--colour"),
        ("location", "add", "Pad", "--type", "outside", "--description", "d"),
        ("jobs", "watch"),
        ("charakter",),
    ],
)
def test_programs_get_wrong_usage_as_the_document(run: Run, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, "--json")
    error = ended.json["error"]
    assert (ended.code, error["reason"]) == (2, "WRONG_USAGE")
    assert error["message"] in ended.err


def test_a_name_that_is_taken_ends_with_5(run: Run, photo: Path) -> None:
    run("character", "add", "Ward", photo)
    assert run("character", "add", "Ward", photo).code == 5


def test_a_refused_photograph_ends_with_2(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    empty.touch()
    ended = run("character", "add", "Ward", empty)
    assert ended.code == 2
    assert ended.err.splitlines()[-1] == "continuity: photo: '0 bytes' is not acceptable; a picture is wanted"


def test_a_photograph_that_no_service_would_take_is_not_sent(run: Run, tmp_path: Path, studio: Studio) -> None:
    huge = tmp_path / "huge.png"
    with huge.open("wb") as file:
        file.truncate(26_214_401)
    ended = run("character", "add", "Ward", huge)
    assert ended.code == 2
    assert ended.err.splitlines()[-1] == (
        "continuity: photo: '26214401 bytes' is not acceptable; "
        f"a photograph has at most 26214400 bytes (25 MiB), and {huge} has more"
    )
    assert studio.calls["CreateCharacter"] == 0


def test_a_photograph_that_is_not_there_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    ended = run("character", "add", "Ward", tmp_path / "none.png")
    assert ended.code == 2
    assert "does not exist" in ended.err
    assert "Traceback" not in ended.err


def test_a_service_that_refuses_for_being_full_ends_with_4(run: Run, studio: Studio) -> None:
    studio.faults["ListCharacters"] = [grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert run("character", "list").code == 4


def test_names_with_brackets_are_shown_as_they_are(run: Run, photo: Path) -> None:
    run("character", "add", "[bold]Ward[/bold] :smile:", photo)
    assert "[bold]Ward[/bold] :smile:" in run("character", "list").out
