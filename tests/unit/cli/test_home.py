"""The folder of the runtime, tried before anything relies on it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from continuity.cli import runtime, starting
from continuity.cli.exits import ExitCode, exit_code
from continuity.cli.home import HomeUnusable, require_home
from continuity.cli.runtime import join_or_start
from continuity.cli.settings import Settings
from continuity.cli.starting import RuntimeDidNotStart


@contextmanager
def no_file_larger_than(size_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CONTINUITY_HOME", str(tmp_path / "home"))
    return Settings()


def test_a_home_in_which_a_runtime_has_no_room_is_refused_and_left_empty(settings: Settings) -> None:
    require_home(settings)
    with no_file_larger_than(1_000_000), pytest.raises(HomeUnusable, match="cannot be used"):
        require_home(settings)
    assert list(settings.home.iterdir()) == []


async def test_a_home_that_cannot_be_used_any_more_when_the_runtime_has_ended_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "MODULE", "json")
    lost = (
        "import os; home = os.environ['CONTINUITY_HOME']; os.rename(home, home + '.lost'); open(home, 'w'); os._exit(1)"
    )
    monkeypatch.setattr(starting, "RUNTIME_COMMAND", (sys.executable, "-c", lost))
    with pytest.raises(HomeUnusable, match=r"cannot be used \(file exists\)") as caught:
        await join_or_start(settings, lambda _said: None)
    assert exit_code(caught.value) == ExitCode.FAILED


async def test_a_runtime_that_ends_without_a_word_is_told_of_without_an_empty_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "MODULE", "json")
    monkeypatch.setattr(starting, "RUNTIME_COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(RuntimeDidNotStart) as caught:
        await join_or_start(settings, lambda _said: None)
    assert str(caught.value).splitlines() == [
        "the runtime did not start: it ended with exit code 1",
        f"the whole log: {settings.log_file}",
    ]
