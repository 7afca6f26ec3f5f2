from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.chaos import __main__ as program
from tests.chaos.__main__ import asked_for, main, replayed


@pytest.mark.parametrize(
    "words",
    [[], ["--small"], ["--shots", "50", "--kills", "3"], ["--small", "--every", "2.5"], ["--allow-skipped"]],
)
def test_the_printed_command_replays_the_run(words: list[str]) -> None:
    asked = asked_for(words)
    printed = re.fullmatch(r'make chaos CHAOS_ARGS="(.*)"', replayed(asked, 77))
    assert printed
    again = asked_for(shlex.split(printed[1]))
    assert vars(again) == {**vars(asked), "seed": 77}


def test_what_was_not_committed_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "machine", lambda: {"commit": "abc-dirty"})
    monkeypatch.setattr(program, "RECORD", tmp_path / "chaos.json")
    monkeypatch.setattr(sys, "argv", ["tests.chaos", "--record"])
    assert main() == 2
    assert "abc-dirty" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
