"""How many may wait, and how many may hold memory."""

import threading
from queue import SimpleQueue

import pytest

from engine.errors import QueueFull
from engine.loop.admission import Memory, WaitingRoom
from engine.loop.job import Job
from engine.work import Unit

GB = 1 << 30
LONG_S = 60


def job(memory_bytes, priority=50):
    return Job("a", "", priority, 0.0, None, 0, memory_bytes, Unit("step", None, 1), 0.0)


def test_a_place_is_free_again_once_and_only_once():
    room = WaitingRoom(2, 100)
    room.enter("a", 10)
    room.enter("b", 10)
    with pytest.raises(QueueFull, match="2 requests wait, it takes 2"):
        room.enter("c", 10)
    for _ in range(3):
        room.leave("a")
    room.enter("c", 10)
    with pytest.raises(QueueFull):
        room.enter("d", 10)


def test_one_request_may_be_larger_than_all_together_if_it_is_alone():
    room = WaitingRoom(5, 100)
    room.enter("huge", 1000)
    with pytest.raises(QueueFull, match="1001 bytes of requests would wait, it takes 100"):
        room.enter("small", 1)
    room.leave("huge")
    room.enter("small", 1)


def test_what_a_request_has_grown_to_counts_until_it_leaves():
    room = WaitingRoom(5, 100)
    room.enter("a", 1)
    room.resize("a", 95)
    with pytest.raises(QueueFull):
        room.enter("b", 10)
    room.leave("a")
    room.resize("a", 95)
    room.enter("b", 100)


def test_the_most_urgent_is_prepared_first_and_among_equals_the_oldest():
    room = WaitingRoom(5, 100)
    for name, priority in (("a", 50), ("b", 50), ("now", 80), ("late", 10)):
        room.enter(name, 1, priority)
    assert [room.take() for _ in range(4)] == ["now", "a", "b", "late"]


def test_none_is_prepared_beyond_the_bytes_until_one_has_left():
    room = WaitingRoom(5, 100)
    for name in "abc":
        room.enter(name, 1)
    assert room.take() == "a"
    room.enter("now", 1, priority=80)
    room.resize("a", 98)
    taken = SimpleQueue()
    for _ in range(2):
        threading.Thread(target=lambda: taken.put(room.take()), daemon=True).start()
    assert taken.get(timeout=LONG_S) == "now"  # of those on whom a person waits one is let through
    room.leave("b")  # which nobody has taken
    room.leave("a")
    assert taken.get(timeout=LONG_S) == "c"


def test_decoded_pictures_leave_room_for_the_files_of_those_on_whom_a_person_waits():
    room = WaitingRoom(9, 100)
    for name in "abcd":
        room.enter(name, 1)
    for _ in range(2):
        room.resize(room.take(), 40)
    taken = SimpleQueue()
    threading.Thread(target=lambda: taken.put(room.take()), daemon=True).start()
    room.enter("now", 10, priority=80)
    assert taken.get(timeout=LONG_S) == "now"


def test_one_larger_than_all_bytes_is_prepared_beside_none():
    room = WaitingRoom(5, 100)
    room.enter("huge", 1000)
    assert room.take() == "huge"


def test_who_waits_for_one_to_prepare_is_told_the_end():
    room, taken = WaitingRoom(5, 100), []
    threads = [threading.Thread(target=lambda: taken.append(room.take())) for _ in range(3)]
    for thread in threads:
        thread.start()
    room.close()
    for thread in threads:
        thread.join()
    room.enter("late", 1)
    assert [*taken, room.take()] == [None] * 4


def test_many_threads_get_no_more_places_than_there_are():
    room, inside = WaitingRoom(50, 1 << 40), []

    def enter(first):
        for number in range(first, first + 100):
            try:
                room.enter(number, 1)
            except QueueFull:
                continue
            inside.append(number)

    threads = [threading.Thread(target=enter, args=(100 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(inside) == len(room) == 50


def test_alone_a_job_may_always_start():
    assert Memory(lambda: 0).gate()(job(10 * GB))


def test_beside_others_it_starts_where_all_of_them_find_memory():
    memory, first = Memory(lambda: 10 * GB), job(4 * GB)
    memory.started(first)
    assert memory.gate()(job(3 * GB))
    assert not memory.gate()(job(4 * GB))
    memory.left(first)
    assert memory.gate()(job(40 * GB))


def test_a_part_is_kept_for_those_on_whom_a_person_waits():
    memory = Memory(lambda: 10 * GB)
    memory.started(job(4 * GB))
    assert memory.gate()(job(6 * GB, priority=80))
    assert not memory.gate()(job(7 * GB, priority=80))


def test_the_driver_is_asked_seldom_and_only_when_somebody_wants_to_start():
    asked, now_s = [], [0.0]
    memory = Memory(lambda: asked.append(1) or GB, clock=lambda: now_s[0])
    memory.started(job(1))
    memory.gate()
    assert asked == []
    for _ in range(100):
        memory.gate()(job(1))
    assert len(asked) == 1
    now_s[0] += 1
    memory.gate()(job(1))
    assert len(asked) == 2
    memory.started(another := job(1))
    memory.gate()(job(1))
    assert len(asked) == 3
    memory.left(another)
    memory.gate()(job(1))
    assert len(asked) == 4


def test_the_driver_is_asked_between_units_that_load_and_not_between_steps(make_bench):
    asked, heard = [], []
    bench = make_bench(free_bytes=lambda: asked.append(1) or GB)
    bench.drawer.before = lambda works: heard.append((works[0].next.phase, len(asked)))
    ears = [bench.submit(id, steps=5)[1] for id in ("a", "b")]
    assert [each.wait() for each in ears] == ["finished"] * 2
    within_steps = [count for phase, count in heard if phase == "step"]
    assert len(set(within_steps)) <= 3
