"""Cancelling at every point of a request's way, and failures of the device as a whole."""

import json
import random
import threading

import pytest

from engine.door import Limits
from engine.errors import QueueFull, Stopped
from engine.loop.phases import PhaseLimits


def test_before_it_is_prepared(make_bench, kit):
    gate, prepared = kit.Gate(), []

    class Slow(kit.Inline):
        def run(self, function, *args):
            gate()
            prepared.append(args)
            return super().run(function, *args)

    bench = make_bench(offload=Slow())
    bench.submit("first")
    assert gate.reached.wait(kit.LONG_S)
    second, ears = bench.submit("second")
    second.cancel()
    assert isinstance(ears.wait(), Stopped)
    gate.open()
    bench.submit("third")[1].wait()
    assert "second" not in bench.drawer.works


def test_while_it_is_prepared(make_bench, kit):
    gate = kit.Gate()

    class Slow(kit.Inline):
        def run(self, function, *args):
            gate()
            return super().run(function, *args)

    bench = make_bench(offload=Slow())
    ticket, ears = bench.submit("a")
    assert gate.reached.wait(kit.LONG_S)
    ticket.cancel()
    assert isinstance(ears.wait(), Stopped)
    gate.open()
    assert bench.submit("b")[1].wait() == "finished"
    assert "a" not in bench.drawer.works


def test_while_it_waits(bench, kit):
    gate = kit.Gate()
    bench.drawer.before = gate
    _, running = bench.submit("running")
    assert gate.reached.wait(kit.LONG_S)
    ticket, ears = bench.submit("waiting")
    ticket.cancel()
    assert isinstance(ears.wait(), Stopped)
    gate.open()
    assert running.wait() == "finished"
    bench.engine.close()
    assert not any("waiting" in batch for batch in bench.drawer.batches)
    assert all(work.is_closed for work in bench.drawer.works.values())


@pytest.mark.parametrize("unit", range(5), ids=["encode", "first step", "second step", "last step", "decode"])
def test_while_a_unit_of_it_runs_that_unit_is_its_last(bench, kit, unit):
    gate, heard_before = kit.Gate(), []
    bench.drawer.before = lambda works: gate() if works[0].id == "a" and len(works[0].units) == 5 - unit else None
    ticket, ears = bench.submit("a")
    assert gate.reached.wait(kit.LONG_S)
    ticket.cancel()
    ticket.cancel()
    assert isinstance(ears.wait(), Stopped)
    heard_before += ears.heard
    gate.open()
    assert bench.submit("next")[1].wait() == "finished"
    assert bench.drawer.batches[: unit + 2] == [*[["a"]] * (unit + 1), ["next"]]
    assert bench.drawer.works["a"].is_closed
    assert ears.heard == heard_before and len(ears.ends) == 1


def test_in_a_batch_the_others_go_on_and_the_slot_is_taken(make_bench, kit):
    bench, gate = make_bench(slots=2), kit.Gate()
    bench.drawer.before = lambda works: gate() if len(works) == 2 else None
    ticket, cancelled = bench.submit("a", steps=30)
    _, other = bench.submit("b", steps=30)
    _, third = bench.submit("c", steps=30)
    assert gate.reached.wait(kit.LONG_S)
    ticket.cancel()
    gate.open()
    assert isinstance(cancelled.wait(), Stopped)
    assert (other.wait(), third.wait()) == ("finished", "finished")
    pairs = [batch for batch in bench.drawer.batches if len(batch) == 2]
    assert {frozenset(pair) for pair in pairs} >= {frozenset("bc")}
    assert sum("a" in pair for pair in pairs) == 1


def test_when_it_has_ended_nothing_happens(bench):
    ticket, ears = bench.submit("a")
    ears.wait()
    ticket.cancel()
    assert bench.submit("b")[1].wait() == "finished"
    assert ears.ends == ["finished"]


@pytest.mark.parametrize("seed", range(5))
def test_at_any_moment_by_any_thread_there_is_one_end(make_bench, seed):
    chance, bench = random.Random(seed), make_bench(slots=4, limits=Limits(waiting=1000))
    asked = [
        bench.submit(f"r{number}", steps=chance.randint(1, 6), images=chance.randint(1, 2)) for number in range(120)
    ]
    cancelled = chance.sample(asked, 60)
    threads = [
        threading.Thread(target=lambda part=part: [ticket.cancel() for ticket, _ in part])
        for part in (cancelled[::2], cancelled[1::2])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ticket, ears in asked:
        end = ears.wait()
        assert end == "finished" or ((ticket, ears) in cancelled and isinstance(end, Stopped))
    bench.engine.close()
    assert all(len(ears.ends) == 1 for _, ears in asked)
    assert all(work.is_closed for work in bench.drawer.works.values())


def test_a_listener_that_raises_loses_its_request_and_nobody_elses(bench, kit):
    class Gone(kit.Ears):
        def progress(self, *_news):
            raise BrokenPipeError("the client has gone")

    ears = Gone()
    bench.submit("gone", ears, steps=5)
    assert isinstance(ears.wait(), BrokenPipeError)
    assert bench.submit("next")[1].wait() == "finished"


def test_a_listener_that_does_not_return_does_not_hold_up_the_device(bench, kit):
    gate = kit.Gate()

    class Slow(kit.Ears):
        def progress(self, *news):
            gate()
            super().progress(*news)

    slow = Slow()
    bench.submit("slow", slow, steps=50)
    assert gate.reached.wait(kit.LONG_S)
    assert bench.submit("next")[1].wait() == "finished"
    gate.open()
    assert slow.wait() == "finished"
    assert len(slow.heard) <= 4  # the one that was held, two newest, the picture
    assert len(slow.pictures()) == 1


def test_a_manifest_that_cannot_be_made_is_the_error_of_its_request(make_bench):
    def broken(_request, _facts, _picture):
        raise ValueError("no manifest")

    bench = make_bench(describe=broken)
    assert str(bench.submit("a")[1].wait()) == "no manifest"


def test_a_preview_that_cannot_be_made_is_left_out(make_bench, kit):
    from engine.offload import WorkerDied

    class NoPreviews(kit.Inline):
        def run(self, function, *args):
            if function.__name__ == "preview_jpeg":
                raise WorkerDied
            return super().run(function, *args)

    _, ears = make_bench(offload=NoPreviews()).submit("a")
    assert ears.wait() == "finished"
    assert {each[3] for each in ears.heard if each[0] == "progress"} == {b""}


def test_who_waits_too_long_is_told_so(make_bench, kit):
    bench, gate = make_bench(limits=Limits(waiting_s=0.0)), kit.Gate()
    bench.drawer.before = gate
    _, ears = bench.submit("a")
    error = ears.wait()
    assert isinstance(error, QueueFull) and error.limit == 0.0 < error.value
    assert "1 seconds passed before this could begin, it takes 0.0" in str(error)


def test_a_device_that_fails_stops_all_and_only_the_phases_tell_whose_unit_ran(make_bench, kit, tmp_path):
    path = tmp_path / "state"
    bench, gate = make_bench(state_path=path, limits=Limits(phases=PhaseLimits(step=7))), kit.Gate()

    def failing(works):
        if works[0].units[0][0] == "step":
            gate()
            raise RuntimeError("an illegal memory access")

    bench.drawer.before = failing
    all_ears = [bench.submit(name)[1] for name in "abc"]
    assert gate.reached.wait(kit.LONG_S)
    gate.open()
    assert [type(ears.wait()) for ears in all_ears] == [Stopped] * 3
    assert bench.fatal.wait(kit.LONG_S)
    assert all(len(ears.ends) == 1 for ears in all_ears)
    state = json.loads(path.read_bytes())
    assert (state["phase"], state["limit_s"], state["requests"]) == ("step", 7, ["a"])
    with pytest.raises(Stopped):
        bench.submit("late")
    bench.engine.close()
    assert json.loads(path.read_bytes())["requests"] == ["a"]


def test_the_phases_file_follows_the_device(make_bench, kit, tmp_path):
    path, seen = tmp_path / "state", []
    bench = make_bench(state_path=path, slots=2)
    bench.drawer.before = lambda works: seen.append(json.loads(path.read_bytes()))
    bench.submit("a")[1].wait()
    assert [(one["phase"], one["requests"]) for one in seen] == [
        ("encode", ["a"]), *[("step", ["a"])] * 3, ("decode", ["a"]),
    ]  # fmt: skip
    bench.engine.close()
    assert json.loads(path.read_bytes())["phase"] == "idle"
