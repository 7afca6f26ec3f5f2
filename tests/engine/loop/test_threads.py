"""A thread that has no memory left: nobody waits for it, and where requests would never end somebody is told."""

import os
import threading

import pytest

from engine import threads
from engine.errors import Stopped
from engine.loop.admission import WaitingRoom
from engine.loop.preparers import Preparers
from engine.loop.senders import Senders
from engine.offload import Workers, pool

LONG_S = 60.0


class Box:
    """A mailbox whose news cannot be taken."""

    def take(self):
        raise MemoryError

    def done(self):
        raise AssertionError("it was not told")


class Entry:
    mailbox = Box()


def test_a_thread_is_begun_and_not_waited_for():
    go_on, began = threading.Event(), threading.Event()

    def run():
        began.set()
        assert go_on.wait(LONG_S)

    threads.begin(run)
    assert began.wait(LONG_S)
    go_on.set()


def test_one_that_does_not_get_so_far_is_not_waited_for_and_never_runs(monkeypatch):
    late, ran = [], []
    monkeypatch.setattr(threads, "_BEGINS_S", 0.0)
    monkeypatch.setattr(threads, "start_new_thread", lambda run, _args: late.append(run))
    with pytest.raises(MemoryError):
        threads.begin(lambda: ran.append("ran"))
    late[0]()
    assert not ran


def test_where_the_system_gives_no_thread_that_is_a_lack_of_memory(monkeypatch):
    def refused(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start_new_thread", refused)
    with pytest.raises(MemoryError):
        threads.begin(print)


def test_a_thread_that_fails_and_is_needed_is_fatal_also_where_nothing_can_be_logged(monkeypatch):
    def no_memory(*_):
        raise MemoryError

    told = []
    monkeypatch.setattr(threads._LOGGER, "error", no_memory)
    threads.needed(no_memory, lambda: told.append("fatal"))()
    assert told == ["fatal"]


def test_one_that_ends_well_is_not():
    told = []
    threads.needed(lambda: None, lambda: told.append("fatal"))()
    assert not told


def test_a_sender_that_fails_is_fatal():
    fatal = threading.Event()
    senders = Senders(1, lambda *_: None, fatal.set)
    senders.call(Entry())
    assert fatal.wait(LONG_S)


def test_a_preparer_that_fails_is_fatal():
    fatal, room = threading.Event(), WaitingRoom(4, 1000)
    preparers = Preparers(1, None, None, room, print, fatal=fatal.set)
    room.enter("no entry at all", 1)
    assert fatal.wait(LONG_S)
    preparers.close()


def test_a_process_that_the_system_refuses_fails_its_call_and_the_next_one_tries_again(monkeypatch):
    workers = Workers(1)
    real = pool.WorkerProcess

    def refused(_first):
        raise BlockingIOError("no more processes")

    with pytest.raises(pool.WorkerDied):
        workers.run(os._exit, 3)
    monkeypatch.setattr(pool, "WorkerProcess", refused)
    for _ in range(2):
        with pytest.raises(BlockingIOError):
            workers.run(os.getpid)
    monkeypatch.setattr(pool, "WorkerProcess", real)
    assert workers.run(os.getpid) in workers.pids()
    workers.close()
    with pytest.raises(Stopped):
        workers.run(os.getpid)
