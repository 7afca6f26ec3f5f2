from __future__ import annotations

from pathlib import Path

import pytest

from engine.crashes import LIMIT, Crashes, crashes_path


def died_over(state_path: Path, *request_ids: str) -> None:
    """What a watchdog does while the engine is dead."""
    Crashes(state_path).note(request_ids)


def test_a_request_is_told_once_of_each_time_that_it_killed_the_engine(tmp_path: Path) -> None:
    state = tmp_path / "engine.state"
    died_over(state, "a")
    crashes = Crashes(state)
    assert [crashes.charged("a") for _ in range(3)] == [1, 0, 0]
    died_over(state, "a")
    assert [Crashes(state).charged("a") for _ in range(2)] == [2, 0]


def test_who_was_not_on_the_device_is_never_charged(tmp_path: Path) -> None:
    died_over(tmp_path / "engine.state", "a")
    crashes = Crashes(tmp_path / "engine.state")
    assert crashes.charged("b") == 0
    assert not crashes.is_suspect("b")


def test_a_request_that_killed_the_engine_stays_suspect_when_it_was_told(tmp_path: Path) -> None:
    died_over(tmp_path / "engine.state", "a")
    crashes = Crashes(tmp_path / "engine.state")
    crashes.charged("a")
    assert Crashes(tmp_path / "engine.state").is_suspect("a")


def test_a_crash_of_another_request_does_not_tell_the_first_one_again(tmp_path: Path) -> None:
    state = tmp_path / "engine.state"
    died_over(state, "a")
    assert Crashes(state).charged("a") == 1
    died_over(state, "b")
    again = Crashes(state)
    assert (again.charged("a"), again.charged("b")) == (0, 1)


def test_of_very_many_the_latest_are_remembered(tmp_path: Path) -> None:
    state = tmp_path / "engine.state"
    died_over(state, *(str(number) for number in range(LIMIT + 10)))
    died_over(state, "10")
    crashes = Crashes(state)
    assert not crashes.is_suspect("9")
    assert crashes.charged("10") == 2
    assert crashes.charged(str(LIMIT + 9)) == 1


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"a": 3}', b'{"a": ["x", 0]}', b'{"a": [1e999, 0]}', b"\xff", b"null"]
)
def test_a_file_that_cannot_be_read_remembers_nothing_and_is_written_anew(tmp_path: Path, content: bytes) -> None:
    state = tmp_path / "engine.state"
    crashes_path(state).write_bytes(content)
    assert Crashes(state).charged("a") == 0
    died_over(state, "a")
    assert Crashes(state).charged("a") == 1


def test_where_nothing_can_be_written_this_process_still_remembers(tmp_path: Path) -> None:
    crashes = Crashes(tmp_path / "absent" / "engine.state")
    crashes.note(["a"])
    assert [crashes.charged("a") for _ in range(2)] == [1, 0]


def test_nothing_else_is_left_beside_the_file(tmp_path: Path) -> None:
    died_over(tmp_path / "engine.state", "a")
    assert list(tmp_path.iterdir()) == [crashes_path(tmp_path / "engine.state")]
