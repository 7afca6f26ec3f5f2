"""Worker processes: what they answer, and what becomes of them."""

import json
import math
import operator
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engine.errors import Refused, Stopped
from engine.offload import WorkerDied, Workers
from engine.offload.process import interpreter

LONG_S = 20


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def workers():
    pool = Workers(2, timeout_s=30)
    yield pool
    pool.close()


def test_a_call_runs_in_another_process_and_gives_its_result(workers):
    assert workers.run(math.factorial, 20) == math.factorial(20)
    assert workers.run(os.getpid) != os.getpid()


def test_arrays_travel_both_ways_and_stay_writable(workers):
    picture = np.arange(3 * 700 * 500, dtype=np.uint8).reshape(700, 500, 3)
    back = workers.run(operator.add, picture, 1)
    assert np.array_equal(back, picture + 1)
    back[0, 0] = 7


def test_what_it_raises_is_raised_here_typed_as_there(workers):
    with pytest.raises(json.JSONDecodeError, match="line 1 column 2"):
        workers.run(json.loads, "{")


def test_a_refusal_crosses_with_its_fields(workers):
    with pytest.raises(Refused) as refusal:
        workers.run(exec, "from engine.errors import Refused\nraise Refused('steps', 0, limit='1 to 150')")
    assert (refusal.value.field, refusal.value.value, refusal.value.limit) == ("steps", 0, "1 to 150")


def test_a_worker_starts_without_torch(workers):
    assert workers.run(eval, "'torch' in __import__('sys').modules") is False


def test_a_worker_that_dies_fails_its_call_alone_and_is_replaced():
    pool = Workers(1)
    first = pool.run(os.getpid)
    with pytest.raises(WorkerDied):
        pool.run(os._exit, 3)
    second = pool.run(os.getpid)
    assert second != first
    assert pool.pids() == [second]
    pool.close()


@pytest.mark.parametrize("size_bytes", [8, 8 << 20])
def test_a_worker_that_stands_still_is_killed_whatever_it_is_sent(size_bytes):
    pool = Workers(1, timeout_s=1)
    pid = pool.run(os.getpid)
    os.kill(pid, signal.SIGSTOP)
    failed = []

    def call():
        with pytest.raises(WorkerDied):
            pool.run(len, bytes(size_bytes))
        failed.append(True)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(LONG_S)
    assert failed and not Path(f"/proc/{pid}").exists()
    assert pool.run(len, bytes(size_bytes)) == size_bytes
    pool.close()


def test_a_worker_that_stops_within_its_answer_is_killed():
    pool = Workers(1, timeout_s=1)
    with pytest.raises(WorkerDied):  # its replies go to descriptor 4
        pool.run(exec, "import os, time\nos.write(4, bytes([0, 0, 0, 2, 0]))\ntime.sleep(600)")
    pool.close()


def test_what_a_worker_does_first_is_not_charged_to_the_call():
    pool = Workers(1, timeout_s=2, first=partial(time.sleep, 1.5))
    assert pool.run(eval, "__import__('time').sleep(1.5)") is None
    pool.close()


def test_a_worker_that_died_between_two_calls_is_replaced_before_the_next():
    pool = Workers(1)
    pid = pool.run(os.getpid)
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert pool.run(math.factorial, 3) == 6
    assert pid not in pool.pids() and len(pool.pids()) == 1
    pool.close()


def test_a_worker_that_does_not_answer_is_killed():
    pool = Workers(1, timeout_s=0.1)
    with pytest.raises(WorkerDied):
        pool.run(time.sleep, 600)
    assert pool.pids() == []
    pool.close()


def test_what_a_worker_does_first_is_no_answer_to_a_call():
    for _ in range(8):  # whether both answers come together is chance
        pool = Workers(1, first=os.getpid)
        assert [pool.run(math.factorial, number) for number in (3, 4)] == [6, 24]
        pool.close()


def test_a_worker_that_dies_over_what_it_does_first_is_replaced():
    pool = Workers(1, first=os.abort)
    for _ in range(2):
        with pytest.raises(WorkerDied):
            pool.run(math.factorial, 3)
    pool.close()


def test_what_cannot_be_pickled_is_told_to_the_caller_and_nobody_else(workers):
    with pytest.raises((AttributeError, TypeError)):
        workers.run(lambda: None)
    assert workers.run(math.factorial, 3) == 6


def test_closing_ends_a_call_under_way_and_those_that_wait():
    pool = Workers(1)
    pid = pool.run(os.getpid)
    ended = []

    def call():
        try:
            pool.run(time.sleep, 600)
        except Stopped:
            ended.append("stopped")

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    pool.close()
    for thread in threads:
        thread.join()
    assert ended == ["stopped"] * 3
    assert not Path(f"/proc/{pid}").exists()


def test_no_descriptor_is_left_behind():
    Workers(1).close()
    before = descriptors()
    for _ in range(3):
        pool = Workers(2)
        pool.run(os.getpid)
        pool.close()
    assert descriptors() == before


def test_an_interpreter_is_found_where_python_is_embedded(monkeypatch):
    monkeypatch.setattr("sys.executable", "/opt/tritonserver/triton_python_backend_stub")
    assert Path(interpreter()).exists()
