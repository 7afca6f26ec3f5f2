"""The device's thread: takes the next unit, runs it, passes on what came of it, and nothing else.

It logs only what is nobody's request: the end of the device, and works that do not close.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread

from engine.errors import Stopped
from engine.loop.admission import Memory, WaitingRoom
from engine.loop.entry import Drawer, Entry, Started
from engine.loop.phases import Phases
from engine.loop.policy import Chooser, Policy, Slots
from engine.loop.roster import Roster
from engine.work import Finished, Outcome

__all__ = ["Loop"]

_LOGGER = logging.getLogger(__name__)
_LONGEST_UNIT_S = 10.0
_SHARE_OF_LOADING = 0.5
"""Of the time that loading may take, before who waits for a reader that hangs is told: whoever watches comes later."""


class Loop:
    """Owns a device. ``drawer`` is made in its thread; ``fatal`` is called at the end when the whole device broke.

    ``enter``, ``cancel`` and ``close`` may be called by any thread and don't wait for the device (``close`` a while).
    """

    def __init__(
        self,
        drawer: Callable[[], Drawer],
        free_bytes: Callable[[], int],
        room: WaitingRoom[Entry],
        phases: Phases,
        fatal: Callable[[], None],
        *,
        waiting_s: float,
        policy: Callable[[Slots], Chooser] = Policy,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = drawer
        self._phases = phases
        self._longest_wait_s = phases.limits.load * _SHARE_OF_LOADING
        self._fatal = fatal
        self._make_policy = policy
        self._clock = clock
        self._roster = Roster(Memory(free_bytes), room, waiting_s)
        self._messages: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = Lock()
        self._end: Exception | None = None
        self._is_ready = Event()
        self._thread = Thread(target=self._run, name="engine-device", daemon=True)

    def start(self) -> None:
        """Return when the drawer is there; raise what kept it from being made."""
        self._thread.start()
        self._is_ready.wait()
        if self._end:
            raise self._end

    def enter(self, entry: Entry) -> None:
        """Take a prepared request on."""
        with self._lock:
            if not self._end:
                self._messages.put(partial(self._begin, entry))
                return
        entry.mailbox.end(self._end)

    def cancel(self, entry: Entry) -> None:
        """Let go of a request's work before the next unit; its mailbox has ended already."""
        self._messages.put(partial(self._roster.drop, entry))

    def close(self) -> None:
        """End after the unit that runs; everything that is left is stopped."""
        self._messages.put(self._stop)
        if self._thread.is_alive():
            self._thread.join(_LONGEST_UNIT_S)

    def _run(self) -> None:
        try:
            self._drawer = self._make()
            self._policy = self._make_policy(self._drawer.slots)
        except Exception as error:
            self._end = error
            return
        finally:
            self._is_ready.set()
        try:
            while not self._end:
                self._turn()
        except Exception as error:
            self._break(error)
        else:
            self._phases.enter("idle")

    def _turn(self) -> None:
        self._take_messages()
        now_s = self._clock()
        self._roster.expire(now_s)
        self._roster.end_stuck(time.monotonic() - self._longest_wait_s)
        if batch := self._policy.choose(self._roster.jobs(), now_s, self._roster.gate()):
            self._run_units([self._roster.of(job) for job in batch])
        elif not self._end:
            self._rest()

    def _take_messages(self) -> None:
        with suppress(Empty):
            while True:
                self._messages.get_nowait()()

    def _rest(self) -> None:
        """Sleep until there is news, or what is waited for has not got on for too long."""
        waiting = self._roster.waiting()
        begun = [job.id for job in waiting if job.started]  # whoever stands in line for memory has touched nothing
        self._phases.enter("load" if begun else "idle", begun)
        moved_s = min((each.moved_s for each in waiting.values()), default=None)
        left_s = None if moved_s is None else max(0.0, moved_s + self._longest_wait_s - time.monotonic())
        with suppress(Empty):
            self._messages.get(timeout=left_s)()

    def _await(self, started: Started) -> None:
        """Be woken when its next unit can run."""
        if started.job.unit.waits is not None:
            started.job.unit.waits.add_done_callback(lambda _: self._messages.put(_go_on))

    def _begin(self, entry: Entry) -> None:
        if self._end:
            entry.mailbox.end(self._end)
        if entry.mailbox.is_ended:
            return
        try:
            self._await(self._roster.add(entry, self._drawer.begin(entry.prepared), self._clock()))
        except Exception as error:
            entry.mailbox.end(error)

    def _run_units(self, batch: Sequence[Started]) -> None:
        jobs = [each.job for each in batch]
        # A GPU tells of an error, or hangs, one step late: whoever may still be running is named, too.
        ids = dict.fromkeys([*(job.id for job in jobs), *getattr(self._drawer, "queued", ())])
        unit = jobs[0].unit
        kind = unit.group if unit.kind is None else unit.kind
        self._phases.enter(unit.phase, list(ids), kind)
        self._roster.start(batch)
        began_s = self._clock()
        outcomes = self._drawer.run([each.work for each in batch])
        now_s = self._clock()
        self._policy.ran(jobs, now_s - began_s, now_s)
        for each, outcome in zip(batch, outcomes, strict=True):
            self._pass_on(each, outcome)
        if _went_well(outcomes) and (_has_finished(outcomes[0]) or jobs[0].unit.remaining < unit.remaining):
            self._phases.took(unit.phase, kind, now_s - began_s)  # but not where it was put off

    def _pass_on(self, started: Started, outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            self._roster.end(started, outcome)
            return
        for news in outcome:
            if isinstance(news, Finished):
                self._roster.end(started, None)
                return
            started.entry.mailbox.put(news)
        try:
            started.job.unit = started.work.next
            self._await(started)
        except Exception as error:
            self._roster.end(started, error)

    def _break(self, error: Exception) -> None:
        """Stop all because the device is of no use any more; only the log tells of what, as the last thing there.

        The phases file keeps saying whose units ran: to blame them is up to whoever watches.
        """
        _LOGGER.error("the device failed: %s: %s", type(error).__name__, error)
        self._stop()
        self._fatal()

    def _stop(self) -> None:
        with self._lock:
            self._end = Stopped()
        with suppress(Empty):
            while True:
                self._messages.get_nowait()()
        self._roster.end_all(self._end)


def _went_well(outcomes: Sequence[Outcome]) -> bool:
    return not any(isinstance(outcome, Exception) for outcome in outcomes)


def _has_finished(outcome: Outcome) -> bool:
    return not isinstance(outcome, Exception) and any(isinstance(news, Finished) for news in outcome)


def _go_on() -> None:
    """The message that only wakes."""
