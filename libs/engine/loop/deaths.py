"""Over which requests a worker died."""

from __future__ import annotations

from threading import Lock

__all__ = ["Deaths"]

_MOST_KEPT = 1000


class Deaths:
    """The first death of a worker says nothing about the request that it worked on; the second over the same does.

    Requests are known by their ids, which stay the same when their sender tries again; the oldest are forgotten.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._once: dict[str, None] = {}

    def again(self, id: str) -> bool:
        """Note a death; tell whether there was one before, which is then forgotten."""
        with self._lock:
            if id in self._once:
                del self._once[id]
                return True
            self._once[id] = None
            if len(self._once) > _MOST_KEPT:
                del self._once[next(iter(self._once))]
            return False
