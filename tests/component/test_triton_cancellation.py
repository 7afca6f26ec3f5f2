"""Requests that their clients leave. Each test has a Triton of its own, because 2.51 may crash of a cancellation."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RenderLate, RenderRefused
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings
from continuity.inference.tensors import ModelSpec
from tests.component.echo import answers, order

pytestmark = pytest.mark.triton


@pytest.fixture
async def client(triton_settings: Callable[..., TritonSettings], tmp_path: Path) -> AsyncIterator[TritonClient]:
    server = TritonServer(triton_settings(tmp_path, stop_grace_s=0))
    await server.start()
    try:
        async with TritonClient(server.address) as client:
            yield client
    finally:
        await server.stop()


async def until_cancelled(client: TritonClient, model: ModelSpec, request_id: bytes) -> None:
    async with asyncio.timeout(10):
        while request_id not in (await answers(client, model, order(b"cancelled")))[0]["payload"]:
            await asyncio.sleep(0.01)


async def test_closing_the_stream_cancels_the_request_in_the_model(client: TritonClient, echo: ModelSpec) -> None:
    async with aclosing(client.stream(echo, order(b"wait"), request_id="closed", timeout_s=60)) as responses:
        await anext(responses)
    await until_cancelled(client, echo, b"closed")


async def test_cancelling_the_task_cancels_the_request_in_the_model(client: TritonClient, echo: ModelSpec) -> None:
    started = asyncio.Event()

    async def watch() -> None:
        async with aclosing(client.stream(echo, order(b"wait"), request_id="task", timeout_s=60)) as responses:
            async for _ in responses:
                started.set()

    task = asyncio.create_task(watch())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_cancelled(client, echo, b"task")


async def test_a_passed_deadline_is_late_and_cancels_the_request_in_the_model(
    client: TritonClient, echo: ModelSpec
) -> None:
    with pytest.raises(RenderLate) as caught:
        await answers(client, echo, order(b"wait"), request_id="late", timeout_s=3.0)  # long enough to get there
    assert caught.value.retryable
    await until_cancelled(client, echo, b"late")


async def test_refusals_and_cancellations_in_a_crowd_leave_the_server_whole(
    client: TritonClient, echo: ModelSpec
) -> None:
    async def walk_away(number: int) -> None:
        request_id = f"crowd-{number}"
        async with aclosing(client.stream(echo, order(b"wait"), request_id=request_id, timeout_s=60)) as responses:
            await anext(responses)

    async def be_refused() -> None:
        with pytest.raises(RenderRefused):
            await answers(client, echo, order(b"refuse"))

    await asyncio.gather(*(walk_away(number) for number in range(40)), *(be_refused() for _ in range(40)))
    await until_cancelled(client, echo, b"crowd-39")
    assert len(await answers(client, echo, order(b"echo", steps=3))) == 3
