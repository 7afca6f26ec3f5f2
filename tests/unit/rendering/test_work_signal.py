from __future__ import annotations

import asyncio

from services.rendering.handlers import work
from services.rendering.handlers.work import WorkSignal


async def woken(worker: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return worker.done()


async def test_however_much_work_has_come_the_worker_is_woken_once():
    signal = WorkSignal()
    worker = asyncio.create_task(signal.wait())
    assert not await woken(worker)
    for _ in range(3):
        signal.there_is_work()
    assert await woken(worker)
    worker = asyncio.create_task(signal.wait())
    assert not await woken(worker)
    worker.cancel()


async def test_work_that_comes_while_the_worker_is_busy_is_not_missed():
    signal = WorkSignal()
    signal.there_is_work()
    assert await woken(asyncio.create_task(signal.wait()))


async def test_a_worker_that_nobody_calls_looks_by_itself(monkeypatch):
    monkeypatch.setattr(work, "LOOK_AGAIN_S", 0.001)
    await WorkSignal().wait()
