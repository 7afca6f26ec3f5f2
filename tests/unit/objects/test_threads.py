import asyncio
import threading

import pytest

from continuity.objects.port import ObjectStoreBusy, ObjectStoreUnavailable
from continuity.objects.threads import BoundedThreads


async def test_a_call_too_many_is_refused_and_later_taken() -> None:
    threads, go = BoundedThreads(1, max_waiting=2), threading.Event()
    calls = [asyncio.create_task(threads.run("put", go.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ObjectStoreBusy) as caught:
        await threads.run("put", go.wait)
    assert caught.value.limit == 2
    assert caught.value.retryable
    go.set()
    await asyncio.gather(*calls)
    assert await threads.run("put", lambda: 7) == 7
    await threads.close()


async def test_a_caller_that_gives_up_frees_its_place_in_the_line() -> None:
    threads, go, ran = BoundedThreads(1, max_waiting=1), threading.Event(), threading.Event()
    running = asyncio.create_task(threads.run("put", go.wait))
    waiting = asyncio.create_task(threads.run("put", ran.set))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    next_one = asyncio.create_task(threads.run("put", lambda: "next"))
    await asyncio.sleep(0)
    go.set()
    assert await next_one == "next"
    await running
    assert not ran.is_set()
    await threads.close()


async def test_a_call_that_breaks_frees_its_place() -> None:
    threads = BoundedThreads(1, max_waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await threads.run("put", lambda: 1 // 0)
    await threads.close()


async def test_closed_threads_say_so() -> None:
    threads = BoundedThreads(1)
    await threads.close()
    for _ in range(300):
        with pytest.raises(ObjectStoreUnavailable, match="it is closed"):
            await threads.run("get", lambda: None)
