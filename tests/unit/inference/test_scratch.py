from __future__ import annotations

from pathlib import Path

import pytest

from continuity.inference.scratch import ScratchFolder


class Machine:
    """A machine's /tmp."""

    def __init__(self, root: Path) -> None:
        self.tmp, self.noted = root / "tmp", root / "noted"
        self.tmp.mkdir()

    def folder(self, letters: str) -> Path:
        made = self.tmp / f"python_env_{letters}"
        made.mkdir()
        return made

    def scratch(self) -> ScratchFolder:
        return ScratchFolder(self.noted, self.tmp)

    def left(self) -> list[str]:
        return sorted(each.name for each in self.tmp.iterdir())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_folder_of_a_server_that_was_killed_with_its_watchdog_goes_at_the_next_start(machine: Machine) -> None:
    machine.folder("theirs")
    scratch = machine.scratch()
    scratch.begin()
    machine.folder("ownown")
    scratch.claim()
    machine.scratch().remove()
    assert machine.left() == ["python_env_theirs"]


def test_of_two_that_came_at_once_none_is_surely_ours(machine: Machine) -> None:
    scratch = machine.scratch()
    scratch.begin()
    machine.folder("ownown")
    machine.folder("theirs")
    scratch.claim()
    scratch.remove()
    assert machine.left() == ["python_env_ownown", "python_env_theirs"]


def test_what_somebody_has_put_something_into_stays(machine: Machine) -> None:
    scratch = machine.scratch()
    scratch.begin()
    folder = machine.folder("ownown")
    scratch.claim()
    (folder / "kept").touch()
    scratch.remove()
    assert machine.left() == ["python_env_ownown"]


@pytest.mark.parametrize("said", ["/home", "{tmp}/precious", "", "{tmp}/python_env_a/../preci"])
def test_a_note_that_was_tampered_with_removes_nothing_else(machine: Machine, said: str) -> None:
    (machine.tmp / "precious").mkdir()
    machine.noted.write_text(said.format(tmp=machine.tmp))
    machine.scratch().remove()
    assert machine.left() == ["precious"]


def test_a_folder_that_is_gone_already_and_no_note_are_no_trouble(machine: Machine) -> None:
    scratch = machine.scratch()
    scratch.begin()
    folder = machine.folder("ownown")
    scratch.claim()
    folder.rmdir()
    scratch.remove()
    scratch.remove()
    assert machine.left() == []
