from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from continuity.inference.engine_watch import EngineWatch
from continuity.inference.phases import FROZEN_S, LOOK_S, STATE_BYTES, Phase, PhaseWatch, read_phase
from engine.crashes import Crashes

STUB = 41


class Engine:
    """Publishes phases as the engine does; ``look`` lets time go by between the looks of its watch."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine.state"
        self.now_s = 1_000.0
        self.watch = PhaseWatch(self.path, lambda: [STUB], lambda: self.now_s)

    def publish(
        self, phase: str, limit_s: float | None, requests: Sequence[str] = (), pid: int = STUB, began_s: float = 0.0
    ) -> None:
        told = {"pid": pid, "phase": phase, "began_s": began_s or self.now_s, "limit_s": limit_s}
        self.path.write_bytes(json.dumps(told | {"requests": requests}).encode().ljust(STATE_BYTES))

    def look(self, after_s: float) -> Phase | None:
        """Look every ``LOOK_S`` for some seconds; return the first hang."""
        until = self.now_s + after_s
        while self.now_s < until:
            self.now_s += LOOK_S
            if hang := self.watch.hang():
                return hang
        return None


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def test_a_phase_that_outlives_its_own_limit_is_a_hang_and_names_its_requests(engine: Engine) -> None:
    engine.publish("step", 3.0, ["a", "b"])
    assert engine.look(3.0) is None
    hang = engine.look(1.0)
    assert hang is not None
    assert str(hang) == "phase step of a, b (3 s)"


def test_each_phase_has_its_own_limit(engine: Engine) -> None:
    engine.publish("load", 60.0)
    assert engine.look(59.0) is None
    engine.publish("step", 1.0)
    assert engine.look(2.0)


def test_a_model_that_never_ends_to_start_hangs_too(engine: Engine) -> None:
    engine.publish("starting", 5.0)
    assert str(engine.look(6.0)) == "phase starting (5 s)"


def test_an_engine_that_has_nothing_to_do_may_have_it_for_ever(engine: Engine) -> None:
    engine.publish("idle", None)
    assert engine.look(10_000.0) is None


def test_a_phase_that_is_followed_by_another_in_time_is_no_hang(engine: Engine) -> None:
    for _ in range(10):
        engine.publish("step", 3.0, ["a"])
        assert engine.look(2.75) is None


def test_what_a_dead_process_published_is_no_opinion(engine: Engine) -> None:
    engine.publish("step", 3.0, ["a"], pid=STUB + 1)
    assert engine.look(60.0) is None


def test_what_is_seen_only_once_may_be_half_a_write(engine: Engine) -> None:
    engine.publish("step", 3.0, ["a"], began_s=100.0)
    assert engine.watch.hang() is None
    engine.publish("step", 3.0, ["b"], began_s=200.0)
    assert engine.watch.hang() is None
    assert engine.watch.hang()


def test_after_everything_stood_still_the_engine_has_its_limit_anew(engine: Engine) -> None:
    engine.publish("step", 3.0, ["a"])
    engine.look(1.0)
    engine.now_s += FROZEN_S + 60.0
    assert engine.watch.hang() is None
    assert engine.look(2.5) is None
    assert engine.look(1.0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" " * STATE_BYTES,
        b"\0" * STATE_BYTES,
        b"[1, 2]",
        b'{"pid": 41, "phase": "step", "began_s": 1.0, "limit_s"',
        b'{"pid": 1e999, "phase": "step", "began_s": 1.0}',
        b'{"pid": "x", "phase": "step", "began_s": 1.0}',
        b'{"pid": 41, "phase": "step", "began_s": null, "limit_s": 1}',
        b'{"pid": 41, "phase": "step", "began_s": NaN, "limit_s": 1}',
        b'{"pid": 41, "phase": "step", "began_s": 1, "limit_s": 1, "requests": 7}',
    ],
)
def test_a_file_that_cannot_be_understood_is_no_opinion(engine: Engine, content: bytes) -> None:
    engine.path.write_bytes(content)
    assert engine.look(60.0) is None


def test_a_file_that_is_not_there_is_no_opinion(engine: Engine) -> None:
    assert engine.look(60.0) is None


def test_no_more_is_read_than_a_phase_takes(engine: Engine) -> None:
    engine.publish("step", 3.0, ["a"])
    engine.path.write_bytes(engine.path.read_bytes() + b"x" * 10_000)
    assert read_phase(engine.path) == Phase(STUB, "step", 1_000.0, 3.0, ("a",))


def test_who_was_on_the_device_is_charged_when_the_engine_is_surely_dead(engine: Engine) -> None:
    watch = EngineWatch(engine.path, lambda: [STUB])
    engine.publish("step", 60.0, ["a", "b"])
    assert watch.death(STUB) == f"the interpreter of a model (process {STUB}) died in phase step of a, b (60 s)"
    assert Crashes(engine.path).charged("a") == 0
    watch.ended()
    watch.ended()
    assert [Crashes(engine.path).charged(id) for id in "abc"] == [1, 1, 0]


@pytest.mark.parametrize(("phase", "pid"), [("idle", STUB), ("starting", STUB), ("step", STUB + 1)])
def test_nobody_is_charged_for_a_death_that_has_nothing_to_do_with_them(engine: Engine, phase: str, pid: int) -> None:
    watch = EngineWatch(engine.path, lambda: [STUB])
    engine.publish(phase, None, ["a"], pid=pid)
    assert watch.death(STUB) == f"the interpreter of a model (process {STUB}) died"
    watch.ended()
    assert Crashes(engine.path).charged("a") == 0


def test_whose_unit_hangs_is_charged(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    watch = EngineWatch(engine.path, lambda: [STUB])
    engine.publish("decode", 0.0, ["a"], began_s=1e-9)
    assert watch.hang() == ""
    assert (
        watch.hang() == f"the interpreter of a model (process {STUB}) hangs: phase decode of a (0 s) outlived its limit"
    )
    watch.ended()
    assert Crashes(engine.path).charged("a") == 1


def test_a_server_that_starts_forgets_the_phases_of_its_predecessor_but_not_its_crashes(engine: Engine) -> None:
    Crashes(engine.path).note(["a"])
    engine.publish("step", 0.0, ["a"], began_s=1e-9)
    watch = EngineWatch(engine.path, lambda: [STUB])
    watch.begin()
    assert watch.hang() == watch.hang() == ""
    assert Crashes(engine.path).charged("a") == 1
