"""A request that waits for what is read holds up nobody, and is woken when that is there."""

import json
import threading
import time
from concurrent.futures import Future
from dataclasses import replace

import pytest

from engine.door import Limits
from engine.errors import ModelUnusable, Stopped
from engine.loop.job import Job
from engine.loop.phases import PhaseLimits
from engine.loop.policy import Policy
from engine.work import Unit


@pytest.fixture
def make_waiting(make_bench):
    """An engine on the stand-ins, in which the second unit of each of ``waits`` waits for a future, or its first."""

    def make(waits, begun=True, **options):
        for each in waits.values():
            each.model, each.moved_s = "a LoRA", time.monotonic()
        bench = make_bench(**options)
        begin = bench.drawer.begin

        def begin_waiting(ready):
            work = begin(ready)
            if work.id in waits:
                work.units.insert(0, ("encode", None))
                _let_wait(work, waits[work.id], len(work.units) - begun)
            return work

        bench.drawer.begin = begin_waiting
        return bench

    return make


def _let_wait(work, wait, left):
    kind = type(work)

    class Waiting(kind):
        @property
        def next(self):
            return replace(super().next, waits=wait if len(self.units) == left else None)

    work.__class__ = Waiting


class Counting(Policy):
    """Counts how often it is asked, and says when it had nothing to give."""

    def __init__(self, slots):
        super().__init__(slots)
        self.asked = 0
        self.was_empty = threading.Event()

    def choose(self, jobs, now_s, may_start):
        self.asked += 1
        batch = super().choose(jobs, now_s, may_start)
        if jobs and not batch:
            self.was_empty.set()
        return batch


def policy_of(made):
    return lambda slots: made.append(Counting(slots)) or made[-1]


def test_others_are_drawn_while_one_waits(make_waiting):
    wait = Future()
    bench = make_waiting({"loads": wait})
    _, ears = bench.submit("loads", priority=90)
    assert bench.submit("other", priority=10)[1].wait() == "finished"
    assert not ears.ends
    wait.set_result(None)
    assert ears.wait() == "finished"


def test_an_idle_loop_sleeps_while_all_wait_and_is_woken_once(make_waiting, kit):
    wait, made = Future(), []
    bench = make_waiting({"loads": wait}, policy=policy_of(made))
    _, ears = bench.submit("loads")
    assert made[0].was_empty.wait(kit.LONG_S)
    asked = made[0].asked
    assert bench.submit("other")[1].wait() == "finished"  # five units, and what wakes it
    assert made[0].asked <= asked + 12
    wait.set_result(None)
    assert ears.wait() == "finished"


def test_one_that_waits_can_be_cancelled_and_is_closed(make_waiting, kit):
    made = []
    bench = make_waiting({"loads": Future()}, policy=policy_of(made))
    ticket, ears = bench.submit("loads")
    assert made[0].was_empty.wait(kit.LONG_S)
    ticket.cancel()
    assert isinstance(ears.wait(), Stopped)
    assert bench.submit("other")[1].wait() == "finished"
    assert bench.drawer.works["loads"].is_closed


def test_what_is_waited_for_and_does_not_get_on_is_an_error_of_those_who_wait(make_waiting):
    limits = Limits(phases=PhaseLimits(load=0.1))
    bench = make_waiting({"loads": Future()}, limits=limits)
    error = bench.submit("loads")[1].wait()
    assert isinstance(error, ModelUnusable) and error.name == "a LoRA"
    assert bench.submit("other")[1].wait() == "finished"


def test_whoever_watches_is_told_for_whom_an_idle_loop_waits(make_waiting, tmp_path):
    wait, told, path = Future(), threading.Event(), tmp_path / "phase"
    bench = make_waiting({"loads": wait}, state_path=path)
    phases = bench.engine._phases
    enter = phases.enter

    def noted(phase, *others):
        enter(phase, *others)
        if phase == "load":
            told.set()

    phases.enter = noted
    _, ears = bench.submit("loads")
    assert told.wait(120)
    said = json.loads(path.read_text())
    assert (said["phase"], said["requests"], said["limit_s"]) == ("load", ["loads"], PhaseLimits().load)
    wait.set_result(None)
    assert ears.wait() == "finished"


def test_who_waits_and_has_not_begun_is_not_named_for_it_would_be_blamed(make_waiting, kit):
    wait, made, entered, told = Future(), [], [], threading.Event()
    bench = make_waiting({"loads": wait}, begun=False, policy=policy_of(made))

    def noted(phase, requests=(), _kind=None):
        entered.append((phase, list(requests)))
        if made[0].was_empty.is_set():
            told.set()

    bench.engine._phases.enter = noted
    _, ears = bench.submit("loads")
    assert told.wait(kit.LONG_S)
    assert entered == [("idle", [])]
    wait.set_result(None)
    assert ears.wait() == "finished"


def job(id, came_s, unit):
    return Job(id, id, 50, came_s, None, id, 1, unit, came_s, started=True)


def test_who_fills_in_for_one_that_waits_gives_the_device_back_at_once():
    wait = Future()
    loads, other = job("loads", 0.0, Unit("load", None, 5)), job("other", 1.0, Unit("step", "other", 50))
    policy = Policy(lambda _group: 1)

    def turn():
        batch = policy.choose([loads, other], 2.0, lambda _job: True)
        policy.ran(batch, 0.1, 2.0)
        return [each.id for each in batch]

    assert turn() == ["loads"]
    loads.unit = Unit("load", None, 4, wait)
    assert [turn(), turn()] == [["other"], ["other"]]
    wait.set_result(None)
    assert turn() == ["loads"]
