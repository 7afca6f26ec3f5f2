"""Waiting for things to end, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable


async def within(limit_s: float, endings: Iterable[Awaitable[object]]) -> list[Exception]:
    """Await all of them side by side; return what they raised.

    Whoever has not ended after ``limit_s`` is cancelled, left behind and told of as ``TimeoutError``.
    """
    tasks = [asyncio.ensure_future(ending) for ending in endings]
    if not tasks:
        return []
    ended, late = await asyncio.wait(tasks, timeout=limit_s)
    for task in late:
        task.cancel()
    raised = [task.exception() for task in ended if not task.cancelled()]
    return [*(each for each in raised if isinstance(each, Exception)), *(TimeoutError() for _ in late)]
