"""The engine's phases as whoever watches it reads them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from continuity.inference.phases import Phase, PhaseWatch, read_phase
from engine.loop.phases import PhaseLimits, Phases


@pytest.mark.parametrize("phase", ["starting", "load", "compile", "encode", "step", "decode", "idle"])
def test_every_phase_is_read_as_it_was_published(tmp_path: Path, phase: str) -> None:
    before = time.monotonic()
    Phases(tmp_path / "state").enter(phase, ["a", "b"])
    read = read_phase(tmp_path / "state")
    assert read is not None
    assert before <= read.began_s <= time.monotonic()
    assert read == Phase(os.getpid(), phase, read.began_s, getattr(PhaseLimits(), phase), ("a", "b"))


def test_four_ids_of_jobs_are_told_whole(tmp_path: Path) -> None:
    ids = tuple(f"{number:064}" for number in range(4))
    Phases(tmp_path / "state").enter("step", ids)
    read = read_phase(tmp_path / "state")
    assert read is not None
    assert read.requests == ids


def test_a_step_that_never_ends_is_found(tmp_path: Path) -> None:
    watch = PhaseWatch(tmp_path / "state", lambda: [os.getpid()])
    Phases(tmp_path / "state", PhaseLimits(step=-1.0)).enter("step", ["a"])
    assert watch.hang() is None
    hang = watch.hang()
    assert hang is not None
    assert hang.requests == ("a",)


def test_an_engine_that_says_that_it_rests_is_left_alone(tmp_path: Path) -> None:
    watch = PhaseWatch(tmp_path / "state", lambda: [os.getpid()])
    Phases(tmp_path / "state", PhaseLimits(step=-1.0)).enter("idle")
    assert [watch.hang() for _ in range(3)] == [None] * 3
