"""How long a phase may last where the same thing was done before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.door import Limits
from engine.loop.phases import PhaseLimits, Phases

SLOW = PhaseLimits(step=1800.0)


def limit(path: Path) -> float:
    return float(json.loads(path.read_bytes())["limit_s"])


@pytest.mark.parametrize(("took_s", "limit_s"), [(0.1, 60.0), (3.0, 60.0), (10.0, 200.0), (500.0, 1800.0)])
def test_what_was_done_before_may_take_twenty_times_as_long_and_a_minute_at_least(
    tmp_path: Path, took_s: float, limit_s: float
) -> None:
    phases = Phases(tmp_path / "state", SLOW)
    phases.enter("step", ["a"], kind="1024")
    assert limit(tmp_path / "state") == 1800.0
    phases.took("step", "1024", took_s)
    phases.enter("step", ["a"], kind="1024")
    assert limit(tmp_path / "state") == limit_s


def test_the_longest_time_counts(tmp_path: Path) -> None:
    phases = Phases(tmp_path / "state", SLOW)
    for took_s in (1.0, 10.0, 2.0):
        phases.took("step", "1024", took_s)
    phases.enter("step", [], kind="1024")
    assert limit(tmp_path / "state") == 200.0


def test_nothing_is_concluded_from_another_phase_or_another_kind(tmp_path: Path) -> None:
    phases = Phases(tmp_path / "state", SLOW)
    phases.took("step", "256", 0.1)
    phases.took("decode", "1024", 0.1)
    phases.took("step", None, 0.1)
    for kind in ("1024", None):
        phases.enter("step", [], kind=kind)
        assert limit(tmp_path / "state") == 1800.0


def test_a_gpus_limits_stay_as_they_are(tmp_path: Path) -> None:
    phases = Phases(tmp_path / "state")
    phases.took("step", "1024", 0.05)
    phases.enter("step", [], kind="1024")
    assert limit(tmp_path / "state") == 30.0


def test_kinds_that_nobody_asks_for_any_more_are_forgotten(tmp_path: Path) -> None:
    phases = Phases(tmp_path / "state", SLOW)
    for kind in range(2000):
        phases.took("step", kind, 0.1)
    phases.enter("step", [], kind=0)
    assert limit(tmp_path / "state") == 1800.0
    phases.enter("step", [], kind=1999)
    assert limit(tmp_path / "state") == 60.0


def test_a_hang_is_seen_sooner_once_a_step_of_the_class_was_taken_and_failures_teach_nothing(
    make_bench: Any, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    bench = make_bench(state_path=state, limits=Limits(phases=PhaseLimits.of("cpu")))
    limits: list[tuple[str, float]] = []
    bench.drawer.before = lambda _works: limits.append((json.loads(state.read_bytes())["phase"], limit(state)))
    bench.drawer.spoil = lambda work: ValueError("NaN") if work.id == "bad" and len(work.units) == 4 else None
    for id in ("bad", "good", "third"):
        _, ears = bench.submit(id)
        ears.wait()
    bad = [("encode", 900.0), ("step", 1800.0)]
    good = [("encode", 60.0), ("step", 1800.0), ("step", 60.0), ("step", 60.0), ("decode", 1800.0)]
    third = [("encode", 60.0), ("step", 60.0), ("step", 60.0), ("step", 60.0), ("decode", 60.0)]
    assert limits == [*bad, *good, *third]


def test_a_step_that_was_put_off_teaches_nothing(make_bench: Any, tmp_path: Path) -> None:
    state = tmp_path / "state"
    bench = make_bench(state_path=state, limits=Limits(phases=PhaseLimits.of("cpu")))
    limits: list[tuple[str, float]] = []
    bench.drawer.before = lambda _works: limits.append((json.loads(state.read_bytes())["phase"], limit(state)))
    run = bench.drawer.run

    def putting_off(works: Any) -> Any:
        """As where a LoRA is to be merged first."""
        if [each[0] for each in limits].count("step") or works[0].next.phase != "step":
            return run(works)
        bench.drawer.before(works)
        return [[]]

    bench.drawer.run = putting_off
    assert bench.submit("a")[1].wait() == "finished"
    assert limits[:4] == [("encode", 900.0), ("step", 1800.0), ("step", 1800.0), ("step", 60.0)]
