"""Threads that tell listeners what has come of their requests, so that the device never waits for one."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

from engine.loop.entry import Entry
from engine.loop.mailbox import News
from engine.threads import needed

__all__ = ["Senders"]

_LAST_S = 5.0


class Senders:
    """``count`` threads; a mailbox is served by one of them at once, one piece of news each time.

    A listener that does not return keeps one thread. ``fatal`` is called where ``tell`` raises: such a request would
    never end.
    """

    def __init__(self, count: int, tell: Callable[[Entry, News], None], fatal: Callable[[], None]) -> None:
        self._tell = tell
        self._called: SimpleQueue[Entry | None] = SimpleQueue()
        run = needed(self._run, fatal)
        self._threads = [Thread(target=run, name=f"engine-sender-{i}", daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def call(self, entry: Entry) -> None:
        """Say that the entry's mailbox has news."""
        self._called.put(entry)

    def close(self) -> None:
        """Tell what there is to tell, then end; who does not return is left to itself after a while."""
        for _ in self._threads:
            self._called.put(None)
        until_s = time.monotonic() + _LAST_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _run(self) -> None:
        while entry := self._called.get():
            if (news := entry.mailbox.take()) is not None:
                self._tell(entry, news)
            entry.mailbox.done()
