"""Threads for calls that block, with a waiting line that has an end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from continuity.objects.port import ObjectStoreBusy, ObjectStoreUnavailable

T = TypeVar("T")

MAX_WAITING = 256


class BoundedThreads:
    """Runs at most ``threads`` calls at once and lets at most ``max_waiting`` wait."""

    def __init__(self, threads: int, *, max_waiting: int = MAX_WAITING) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="objects")
        self._places = threading.Semaphore(threads + max_waiting)
        self._max_waiting = max_waiting

    async def run(self, operation: str, function: Callable[[], T]) -> T:
        """Return what ``function`` does. Raises ``ObjectStoreBusy``, and ``ObjectStoreUnavailable`` once closed.

        A caller that gives up takes a waiting call with it; one that runs goes on to its end and keeps its place.
        """
        if not self._places.acquire(blocking=False):
            raise ObjectStoreBusy(limit=self._max_waiting)
        try:
            future = self._executor.submit(function)
        except RuntimeError:
            self._places.release()
            raise ObjectStoreUnavailable(operation=operation, detail="it is closed") from None
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Wait for the calls that run; those that wait are cancelled."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)
