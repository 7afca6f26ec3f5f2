"""Threads that wait while workers prepare requests."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from threading import Thread
from typing import Any

from engine.errors import Refused, Stopped
from engine.loop.admission import WaitingRoom
from engine.loop.deaths import Deaths
from engine.loop.entry import Entry
from engine.offload import Offload, WorkerDied
from engine.threads import needed

__all__ = ["Prepare", "Preparers"]

Prepare = Callable[[Any], Any]
"""From a ``RawRequest`` to a ``Prepared``; pickled, and run in a worker."""
_LAST_S = 5.0


class Preparers:
    """``threads`` requests are prepared at once, those that ``room`` gives; ``enter`` takes what is prepared.

    A request over which a worker died is stopped, for it may be chance; over which a second one died, refused.
    ``fatal`` is called where a thread fails: the request that it had would never end.
    """

    def __init__(
        self,
        threads: int,
        offload: Offload,
        prepare: Prepare,
        room: WaitingRoom[Entry],
        enter: Callable[[Entry], None],
        *,
        fatal: Callable[[], None],
    ) -> None:
        self._offload = offload
        self._prepare = prepare
        self._room = room
        self._enter = enter
        self._deaths = Deaths()
        run = needed(self._run, fatal)
        self._threads = [Thread(target=run, name=f"engine-preparer-{i}", daemon=True) for i in range(threads)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End after what is being prepared now; what waits is let go."""
        self._room.close()
        for thread in self._threads:
            thread.join(_LAST_S)

    def _run(self) -> None:
        while entry := self._room.take():
            if not entry.mailbox.is_ended:
                self._one(entry)

    def _one(self, entry: Entry) -> None:
        try:
            prepared = self._offload.run(self._prepare, entry.raw)
        except WorkerDied:
            entry.mailbox.end(self._unreadable(entry.id) if self._deaths.again(entry.id) else Stopped())
        except Exception as error:
            entry.mailbox.end(error)
        else:
            self._pass_on(entry, prepared)

    def _pass_on(self, entry: Entry, prepared: Any) -> None:
        entry.raw, entry.prepared = None, prepared
        if entry.mailbox.is_ended:  # and so may have been let go of already
            entry.let_go()
            return
        self._room.resize(entry, _size_bytes(prepared))
        self._enter(entry)

    def _unreadable(self, id: str) -> Refused:
        return Refused("request", id, "its pictures and words must be readable, and two workers died of reading them")


def _size_bytes(prepared: Any) -> int:
    """Return the bytes of its arrays."""
    lists = (each if isinstance(each, list) else [each] for each in vars(prepared).values())
    return sum(getattr(array, "nbytes", 0) for array in chain.from_iterable(lists))
