"""A request through the engine's door: what its listener hears, in which order, and its one end."""

import threading
from pathlib import Path

import numpy as np
import pytest

from engine.door import Engine, Limits
from engine.errors import QueueFull, Refused, Stopped
from engine.offload import WorkerDied


def test_a_request_is_told_step_by_step_and_ends_once(bench):
    _, ears = bench.submit("a", seed=7)
    assert ears.wait() == "finished"
    progress = [each[1:3] for each in ears.heard if each[0] == "progress"]
    assert progress[-1] == (3, 3) and progress == sorted(progress)
    assert ears.heard[-1][0] == "picture"
    assert ears.heard[-1][2] == b"a 0 1"
    assert ears.pictures()[0].pixels[0, 0, 0] == 7
    assert all(each[3].startswith(b"\xff\xd8") for each in ears.heard if each[0] == "progress")
    assert ears.ends == ["finished"]


def test_listeners_are_called_by_sender_threads(bench):
    _, ears = bench.submit("a")
    ears.wait()
    assert all(name.startswith("engine-sender") for name in ears.thread_names)


def test_every_picture_of_a_request_arrives_in_order(bench):
    _, ears = bench.submit("a", images=5)
    ears.wait()
    assert [picture.index for picture in ears.pictures()] == [0, 1, 2, 3, 4]


def test_what_cannot_begin_fails_alone(bench):
    _, bad = bench.submit("bad", prompt="cannot begin")
    _, good = bench.submit("good")
    assert isinstance(bad.wait(), ValueError)
    assert good.wait() == "finished"


def test_what_cannot_be_prepared_fails_alone(bench, kit):
    class Unreadable(kit.Raw):
        @property
        def request(self):
            raise Refused("steps", 0, "1 to 150")

        @request.setter
        def request(self, _value): ...

    ears = kit.Ears()
    bench.engine.submit("bad", Unreadable(None), ears)
    assert str(ears.wait()) == "steps: 0 is not acceptable; 1 to 150"
    assert bench.submit("good")[1].wait() == "finished"


def dying(kit, *jobs):
    """Workers of which one dies over each of these jobs, as often as its name is given."""
    left = list(jobs)

    class Dying(kit.Inline):
        def run(self, function, *args):
            if function.__name__ in left:
                left.remove(function.__name__)
                raise WorkerDied
            return super().run(function, *args)

    return Dying()


def test_a_worker_that_dies_is_no_fault_of_the_request_but_the_second_one_is(make_bench, kit):
    bench = make_bench(offload=dying(kit, "prepared", "prepared"))
    assert isinstance(bench.submit("a")[1].wait(), Stopped)
    again = bench.submit("a")[1].wait()
    assert isinstance(again, Refused) and "pictures" in str(again)
    assert bench.submit("a")[1].wait() == "finished"


def test_workers_that_die_over_several_requests_blame_none(make_bench, kit):
    bench = make_bench(offload=dying(kit, "prepared", "prepared"))
    assert [type(bench.submit(id)[1].wait()) for id in "ab"] == [Stopped] * 2
    assert {bench.submit(id)[1].wait() for id in "ab"} == {"finished"}


def test_a_worker_that_dies_over_a_manifest_is_a_fault_only_the_second_time(make_bench, kit):
    bench = make_bench(offload=dying(kit, "manifest", "manifest"))
    assert [type(bench.submit("a")[1].wait()) for _ in range(2)] == [Stopped, WorkerDied]


def test_one_that_is_to_be_alone_shares_no_batch(make_bench, kit):
    bench, gate = make_bench(slots=4), kit.Gate()
    bench.drawer.before = gate
    all_ears = [bench.submit(id)[1] for id in "ab"]
    assert gate.reached.wait(kit.LONG_S)
    bench.engine.submit("suspect", kit.Raw(kit.request("suspect")), ears := kit.Ears(), alone=True)
    gate.open()
    assert {each.wait() for each in (*all_ears, ears)} == {"finished"}
    assert [batch for batch in bench.drawer.batches if "suspect" in batch] == [["suspect"]] * 5


def test_a_unit_that_fails_ends_its_request_and_no_other(make_bench):
    bench = make_bench(slots=4)
    bench.drawer.spoil = lambda work: ValueError("NaN") if work.id == "bad" and len(work.units) == 2 else None
    ears = {id: bench.submit(id)[1] for id in ("a", "bad", "b")}
    assert [str(ears[id].wait()) for id in ears] == ["finished", "NaN", "finished"]
    assert bench.drawer.works["bad"].is_closed


def test_works_are_closed_when_they_end(bench):
    bench.submit("a")[1].wait()
    bench.engine.close()
    assert bench.drawer.works["a"].is_closed


def test_an_unusable_id_is_refused_at_once(bench):
    for id in ("", "x" * 65, "a\nb", "ü"):
        with pytest.raises(Refused, match="id"):
            bench.submit(id)


def test_a_thousand_at_once_are_bounded_and_those_taken_are_drawn(make_bench, kit):
    bench, gate = make_bench(limits=Limits(waiting=64)), kit.Gate()
    bench.drawer.before = gate
    taken, refused = [], []
    for number in range(1000):
        try:
            taken.append(bench.submit(f"r{number}")[1])
        except QueueFull as full:
            refused.append(full)
    assert 64 <= len(taken) <= 65  # the first may have started
    assert refused[-1].limit == 64
    gate.open()
    assert {ears.wait() for ears in taken} == {"finished"}
    assert bench.submit("next")[1].wait() == "finished"


def test_bytes_that_wait_are_bounded_too(make_bench, kit):
    bench, gate = make_bench(limits=Limits(waiting_bytes=100)), kit.Gate()
    bench.drawer.before = gate
    first = bench.submit("first")[1]
    assert gate.reached.wait(kit.LONG_S)
    second = kit.Ears()
    bench.engine.submit("large", kit.Raw(kit.request("large"), image=b"x" * 90), second)
    with pytest.raises(QueueFull):
        bench.engine.submit("more", kit.Raw(kit.request("more"), references=[b"x" * 90]), kit.Ears())
    gate.open()
    assert (first.wait(), second.wait()) == ("finished", "finished")


def test_files_are_decoded_as_there_is_room_for_pictures_and_all_are_drawn(make_bench, kit):
    device, first, began, waiting = kit.Gate(), kit.Gate(), set(), []

    def decoded(raw):
        if raw.request.id == "r0":
            first()
        waiting.append(raw.request.id)
        most.append(len(set(waiting) - began))
        return kit.prepared(raw, image=np.zeros(60, np.uint8))

    def draws(works):
        device()
        began.add(works[0].id)

    most = []
    bench = make_bench(limits=Limits(waiting_bytes=100), prepare=decoded)
    bench.drawer.before = draws
    all_ears = [bench.submit("runs")[1]]
    assert device.reached.wait(kit.LONG_S)
    all_ears += [bench.submit(f"r{number}")[1] for number in range(16)]
    assert first.reached.wait(kit.LONG_S)
    first.open()
    device.open()
    assert {ears.wait() for ears in all_ears} == {"finished"}
    assert max(most) <= 3  # 60 + 60 bytes, and one that begins and is not yet counted as begun


def test_the_pictures_of_one_that_has_ended_are_let_go(make_bench, kit):
    gate = kit.Gate()
    bench = make_bench(prepare=lambda raw: kit.prepared(raw, image=np.zeros(60, np.uint8)))
    bench.drawer.before = gate
    bench.submit("running")
    assert gate.reached.wait(kit.LONG_S)
    kept = []
    ears = kit.Ears()
    ticket = bench.engine.submit("a", kit.Raw(kit.request("a"), image=b"x"), ears)
    kept += bench.engine._open
    ticket.cancel()
    ears.wait()
    gate.open()
    bench.submit("next")[1].wait()
    assert [(entry.raw, entry.prepared) for entry in kept if entry.id == "a"] == [(None, None)]


def test_closing_stops_everything_and_takes_nothing_more(make_bench, kit):
    bench, gate = make_bench(), kit.Gate()
    bench.drawer.before = gate
    all_ears = [bench.submit(f"r{number}")[1] for number in range(5)]
    assert gate.reached.wait(kit.LONG_S)
    closing = threading.Thread(target=bench.engine.close)
    closing.start()
    assert [type(ears.wait()) for ears in all_ears] == [Stopped] * 5
    gate.open()
    closing.join()
    assert all(len(ears.ends) == 1 for ears in all_ears)
    assert all(work.is_closed for work in bench.drawer.works.values())
    with pytest.raises(Stopped):
        bench.submit("late")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("engine-")]


def test_a_drawer_that_cannot_be_made_is_told_where_the_engine_is_made(kit):
    def broken():
        raise RuntimeError("no such GPU")

    with pytest.raises(RuntimeError, match="no such GPU"):
        Engine(broken, kit.prepared, kit.Inline(), free_bytes=lambda: 1, facts={})
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("engine-")]


def test_many_requests_leave_no_thread_descriptor_or_memory_behind(bench):
    def served(count):
        asked = [bench.submit(f"r{number}", steps=2) for number in range(count)]
        for ticket, _ in asked[::3]:
            ticket.cancel()
        for _, ears in asked:
            ears.wait()

    def held():
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        return threading.active_count(), descriptors, len(bench.engine._open), len(bench.engine._room)

    served(30)
    before = held()
    for _ in range(20):
        served(50)
    assert held()[:2] == before[:2]
    bench.submit("last")[1].wait()
    bench.engine.close()
    assert (len(bench.engine._open), len(bench.engine._room)) == (0, 0)
