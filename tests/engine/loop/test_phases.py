"""The file that says what the device does."""

import json
import os
import time

from engine.loop.phases import SIZE, PhaseLimits, Phases


def read(path):
    content = path.read_bytes()
    assert len(content) == SIZE
    return json.loads(content)


def test_it_says_what_is_done_for_whom_since_when_and_for_how_long(tmp_path):
    path = tmp_path / "state"
    phases = Phases(path, PhaseLimits(step=12))
    assert read(path)["phase"] == "starting"
    before = time.monotonic()
    phases.enter("step", ["a", "b"])
    state = read(path)
    assert before <= state.pop("began_s") <= time.monotonic()
    assert state == {"pid": os.getpid(), "phase": "step", "limit_s": 12, "requests": ["a", "b"]}


def test_a_device_that_waits_may_wait_for_ever(tmp_path):
    phases = Phases(tmp_path / "state")
    phases.enter("idle")
    assert read(tmp_path / "state")["limit_s"] is None


def test_a_processor_may_take_minutes_over_what_a_gpu_does_in_a_second():
    slow, fast = PhaseLimits.of("cpu"), PhaseLimits.of("cuda")
    assert (slow.encode, slow.step, slow.decode) == (900, 1800, 1800)
    assert fast == PhaseLimits() and fast.step == 30
    assert (slow.starting, slow.load, slow.idle) == (fast.starting, fast.load, None)


def test_it_has_its_size_with_the_longest_ids_and_more_than_fit(tmp_path):
    phases = Phases(tmp_path / "state")
    phases.enter("compile", ["\\" * 64] * 9)
    assert len(read(tmp_path / "state")["requests"]) >= 1
    phases.enter("compile", ["x" * 64] * 9)
    assert len(read(tmp_path / "state")["requests"]) == 4


def test_a_file_that_is_there_is_written_over_and_stays_behind(tmp_path):
    path = tmp_path / "state"
    path.write_bytes(b"x" * SIZE)
    phases = Phases(path)
    phases.enter("decode", ["a"])
    phases.close()
    phases.enter("idle")
    assert read(path)["phase"] == "decode"


def test_without_a_path_nothing_is_written(tmp_path):
    Phases(None).enter("step", ["a"])
    assert list(tmp_path.iterdir()) == []
