from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from continuity.client.dead_letters import CONSUMERS
from continuity.messaging.record import Record
from tests.unit.cli.conftest import Run
from tests.unit.hosting.letters import House, ingested, keeping

GARBAGE = Record("continuity.character.v1", 1, 7, b"c-9", (), b"\x00\xffjunk")


@pytest.fixture
def consumers() -> tuple[str, ...]:
    return CONSUMERS


@pytest.fixture
def house(tmp_path: Path, consumers: tuple[str, ...]) -> Iterator[House]:
    with keeping(tmp_path, *consumers) as house:
        yield house


@pytest.fixture
def address(house: House) -> str:
    """Replace the services that the other commands are tried on."""
    return house.address


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put somebody in front of the terminal who answers."""

    def somebody(answer: str) -> None:
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("typer.confirm", lambda question, **_: answer == "y")

    return somebody


def test_where_nothing_is_dead_the_list_says_so(run: Run) -> None:
    assert run("dead-letters", "list").out == "no dead letters\n"
    assert run("dead-letters", "list", "--json").json == {"dead_letters": []}


def test_the_letters_of_all_services_are_listed_with_ids_that_name_the_service(run: Run, house: House) -> None:
    seen = house.put_aside("vision", ingested("Ward", 1))
    cut_out = house.put_aside("matting", ingested("Ward", 1))
    listed = run("dead-letters", "list")
    assert listed.code == 0
    for told in (f"vision/{seen.id}", f"matting/{cut_out.id}", "CharacterIngested", "c-1", "noir", "INVALID_VALUE"):
        assert told in listed.out
    letters = run("dead-letters", "list", "--consumer", "matting", "--json").json["dead_letters"]
    assert [(letter["id"], letter["failure"]["reason"]) for letter in letters] == [
        (f"matting/{cut_out.id}", "INVALID_VALUE")
    ]


def test_a_list_is_as_long_as_it_is_asked_to_be(run: Run, house: House) -> None:
    for number in range(4):
        house.put_aside("vision", ingested("Ward", number))
    letters = run("dead-letters", "list", "--limit", 3, "--json").json["dead_letters"]
    assert [letter["key"] for letter in letters] == ["c-3", "c-2", "c-1"]


def test_a_letter_is_shown_with_its_payload_in_words(run: Run, house: House) -> None:
    id = f"vision/{house.put_aside('vision', ingested('Ward', 1), stack='Traceback of the handler').id}"
    shown = run("dead-letters", "show", id)
    for told in (id, 'name: "Ward"', "ce_project", "there must be one", "Traceback of the handler", "offset 1"):
        assert told in shown.out
    found = run("dead-letters", "show", id, "--json").json
    assert found["payload"]["name"] == "Ward"
    assert found["headers"]["ce_subject"] == "c-1"
    assert (found["id"], found["stack"], found["cut"]) == (id, "Traceback of the handler", False)


def test_a_letter_that_is_no_event_is_shown_as_bytes(run: Run, house: House) -> None:
    id = f"vision/{house.put_aside('vision', GARBAGE).id}"
    assert "6 bytes: 00 ff 6a 75 6e 6b" in run("dead-letters", "show", id).out
    assert run("dead-letters", "show", id, "--json").json["payload_base64"] == "AP9qdW5r"


def test_a_poisoned_record_cannot_steer_the_terminal(run: Run, house: House) -> None:
    steering = Record("continuity.character.v1", 1, 7, b"c\x1b[2J", (("x\x1b]0;y", b"\x1b[31m\x9b"),), b"\x1b[2J")
    held = house.put_aside("vision", steering, stack="at \x1b[1m")
    for shown in (run("dead-letters", "list"), run("dead-letters", "show", f"vision/{held.id}")):
        assert shown.code == 0
        assert not {"\x1b", "\x9b"} & set(shown.out)


def test_letters_are_replayed_by_id(run: Run, house: House) -> None:
    first, second, third = (house.put_aside("vision", ingested("Ward", number)).id for number in range(3))
    assert run("dead-letters", "replay", f"vision/{first}", f"vision/{third}").out == "replayed 2\n"
    assert house.states("vision") == {first: "waiting", second: "dead", third: "waiting"}


def test_all_letters_are_replayed_of_one_service_or_of_every_service(run: Run, house: House) -> None:
    for consumer in ("vision", "matting", "prompts"):
        house.put_aside(consumer, ingested("Ward", 1))
    assert run("dead-letters", "replay", "--all", "--consumer", "vision").out == "replayed 1\n"
    assert set(house.states("vision").values()) == {"waiting"}
    assert set(house.states("matting").values()) == {"dead"}
    assert len(run("dead-letters", "replay", "--all", "--json").json["replayed"]) == 2
    assert set((house.states("matting") | house.states("prompts")).values()) == {"waiting"}


def test_a_letter_that_cannot_be_replayed_keeps_no_other_from_it(run: Run, house: House) -> None:
    held = house.put_aside("vision", ingested("Ward", 1)).id
    ended = run("dead-letters", "replay", "vision/gone", f"vision/{held}", "--json")
    assert ended.code == 3
    assert ended.json["replayed"] == [f"vision/{held}"]
    assert [failed["id"] for failed in ended.json["failed"]] == ["vision/gone"]


def test_dropping_needs_a_yes(run: Run, house: House, asked: Callable[[str], None]) -> None:
    held = house.put_aside("vision", ingested("Ward", 1)).id
    refused = run("dead-letters", "drop", f"vision/{held}")
    assert refused.code == 2
    assert "--yes" in refused.err
    asked("n")
    assert run("dead-letters", "drop", f"vision/{held}").code == 1
    assert house.states("vision") == {held: "dead"}
    asked("y")
    assert run("dead-letters", "drop", f"vision/{held}").out == "dropped 1\n"
    assert house.states("vision") == {}


def test_a_script_drops_without_being_asked(run: Run, house: House) -> None:
    held = house.put_aside("vision", ingested("Ward", 1)).id
    assert run("dead-letters", "drop", f"vision/{held}", "--yes", "--json").json["dropped"] == [f"vision/{held}"]
    assert run("dead-letters", "drop", f"vision/{held}", "--yes").code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "no-service/1"),
        ("show", "vision"),
        ("show", "vision/"),
        ("replay",),
        ("replay", "vision/1", "--all"),
        ("replay", "vision/1", "--consumer", "vision"),
        ("list", "--consumer", "visoin"),
    ],
)
def test_wrong_usage_is_refused(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("dead-letters", *arguments).code == 2


class TestWhereSomeServicesDoNotAnswer:
    @pytest.fixture
    def consumers(self) -> tuple[str, ...]:
        return ("vision",)

    def test_the_letters_of_the_others_are_listed(self, run: Run, house: House) -> None:
        held = house.put_aside("vision", ingested("Ward", 1))
        listed = run("dead-letters", "list")
        assert f"vision/{held.id}" in listed.out
        assert "continuity: rendering: the dead letters of 'rendering' are not kept here" in listed.err
        assert listed.code == 4

    def test_the_one_that_is_asked_for_is_not_found(self, run: Run) -> None:
        assert run("dead-letters", "list", "--consumer", "rendering").code == 3
