"""The model ``sdxl`` in the real Triton server, with an engine that obeys instead of drawing."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RendererUnavailable, RenderRefused
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings
from continuity.inference.tensors import ModelSpec, Tensors, TensorSpec, bytes_tensor
from continuity.inference.wire import PRIORITY_PARAMETER, encode
from engine.crashes import Crashes
from services.rendering.adapters.sdxl_tensors import SDXL

pytestmark = pytest.mark.triton

ROOT = Path(__file__).resolve().parents[2]
FAKE = Path(__file__).with_name("fake_engine")


@pytest.fixture(scope="module")
def settings(
    triton_settings: Callable[..., TritonSettings], tmp_path_factory: pytest.TempPathFactory
) -> TritonSettings:
    folder = tmp_path_factory.mktemp("sdxl")
    Crashes(folder / "state").note(["killer", "other"])
    return triton_settings(
        folder,
        model_repository=ROOT / "deploy" / "triton" / "model_repository",
        models=("sdxl",),
        python_path=(FAKE, ROOT / "libs"),
        environment={"CONTINUITY_MODELS": str(folder), "CONTINUITY_ENGINE_STATE": str(folder / "state")},
    )


@pytest.fixture(scope="module")
def server(settings: TritonSettings) -> Iterator[TritonServer]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = TritonServer(settings)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    stubs = server.stubs()
    yield server
    assert server.stubs() == stubs, "the engine did not live through it"
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
async def client(server: TritonServer) -> AsyncIterator[TritonClient]:
    async with TritonClient(server.address) as client:
        yield client


def order(do: str, **fields: object) -> Tensors:
    return {"spec": bytes_tensor(json.dumps({"do": do, **fields}).encode())}


async def answers(client: TritonClient, inputs: Tensors, id: str = "one", priority: int = 50) -> list[Tensors]:
    return [each async for each in client.stream(SDXL, inputs, request_id=id, timeout_s=30, priority=priority)]


async def is_well(client: TritonClient) -> bool:
    return len(await answers(client, order("draw"), "again")) == 4


async def test_steps_come_one_by_one_and_the_last_response_is_the_picture(client: TritonClient) -> None:
    responses = await answers(client, order("draw"))
    assert [(int(each["step"][0]), int(each["steps"][0])) for each in responses] == [(1, 3), (2, 3), (3, 3), (3, 3)]
    assert [each["preview"][0] for each in responses] == [b"", b"jpeg", b"", b""]
    assert [("image" in each) for each in responses] == [False, False, False, True]
    assert responses[-1]["image"].shape == (16, 24, 3)
    assert json.loads(responses[-1]["manifest"][0]) == {"index": 0}


async def test_every_picture_of_a_request_comes_in_its_turn(client: TritonClient) -> None:
    responses = await answers(client, order("draw", images=3))
    shown = ["picture" if "image" in each else int(each["step"][0]) for each in responses]
    assert shown == [1, 2, 3, "picture", 4, 5, 6, "picture", 7, 8, 9, "picture"]
    pictures = [each for each in responses if "image" in each]
    assert (
        [int(each["index"][0]) for each in pictures] == [int(each["image"][0, 0, 0]) for each in pictures] == [0, 1, 2]
    )


async def test_everything_that_is_sent_reaches_the_engine(client: TritonClient) -> None:
    pictures = {name: bytes_tensor(name.encode()) for name in ("image", "mask", "layout")}
    lists = {"references": bytes_tensor(b"\0one", b"two\0"), "reference_masks": bytes_tensor(b"\xff")}
    (response,) = await answers(client, order("tell") | pictures | lists, "job-7", 90)
    told = eval(response["manifest"][0])
    assert told.pop("spec") == b'{"do": "tell"}'
    assert told == {
        "image": b"image",
        "mask": b"mask",
        "layout": b"layout",
        "references": [b"\0one", b"two\0"],
        "reference_masks": [b"\xff"],
        "id": "job-7",
        "priority": 90,
    }


async def test_without_a_priority_of_its_own_a_request_has_that_of_its_spec(
    client: TritonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encoded(*order: Any, **more: Any) -> Any:
        request = encode(*order, **more)
        del request.parameters[PRIORITY_PARAMETER]
        return request

    monkeypatch.setattr("continuity.inference.client.encode", encoded)
    (response,) = await answers(client, order("tell"))
    assert eval(response["manifest"][0])["priority"] is None


async def test_what_is_not_sent_is_none(client: TritonClient) -> None:
    (response,) = await answers(client, order("tell"))
    told = eval(response["manifest"][0])
    assert (told["image"], told["layout"], told["references"], told["reference_masks"]) == (None, None, [], [])


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("refused", r"\[refused\] steps: 0 is not acceptable; 1 to 150"),
        ("model", r"\[model\] model 'sdxl' cannot be used: its weights are damaged"),
        ("full", r"\[full\] the engine is full"),
        ("refuse at the door", r"\[full\] the engine is full"),
        ("memory", r"\[memory\] decode: the device has 5 bytes free"),
        ("picture", r"\[picture\] decode gave NaN"),
        ("fault", r"\[fault\] ZeroDivisionError: by zero"),
    ],
)
async def test_an_error_comes_with_its_code_word_and_harms_nobody(client: TritonClient, word: str, text: str) -> None:
    with pytest.raises(RenderRefused) as caught:
        await answers(client, order(word))
    assert re.match(text, caught.value.detail)
    assert await is_well(client)


async def test_a_request_that_killed_the_engine_is_told_so_once(client: TritonClient) -> None:
    with pytest.raises(RenderRefused, match=r"\[crashed\] the engine died over it 1 times"):
        await answers(client, order("draw"), "killer")
    assert len(await answers(client, order("draw"), "killer")) == 4


async def cancelled(client: TritonClient) -> list[str]:
    (response,) = await answers(client, order("cancelled"))
    told: list[str] = json.loads(response["manifest"][0])
    return told


async def begin_waiting(client: TritonClient, id: str) -> asyncio.Task[None]:
    """Return the task of a request that is under way."""
    began = asyncio.Event()

    async def wait() -> None:
        async for _ in client.stream(SDXL, order("wait"), request_id=id, timeout_s=30):
            began.set()

    task = asyncio.create_task(wait())
    await began.wait()
    return task


async def test_whoever_cancels_ends_the_request_in_the_engine(client: TritonClient) -> None:
    for number in range(40):
        (await begin_waiting(client, f"cancelled-{number}")).cancel()
    async with asyncio.timeout(10):
        while len([id for id in await cancelled(client) if id.startswith("cancelled-")]) < 40:
            await asyncio.sleep(0.01)
    assert await is_well(client)


async def test_the_request_of_a_client_that_vanishes_ends(client: TritonClient, server: TritonServer) -> None:
    async with TritonClient(server.address) as gone:
        task = await begin_waiting(gone, "vanished")
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(10):
        while "vanished" not in await cancelled(client):
            await asyncio.sleep(0.01)
    assert await is_well(client)


async def test_cancelling_some_leaves_the_others_alone(client: TritonClient) -> None:
    waiting = [await begin_waiting(client, f"left-{number}") for number in range(4)]
    for task in waiting[::2]:
        task.cancel()
    async with asyncio.timeout(10):
        while len([id for id in await cancelled(client) if id.startswith("left-")]) < 2:
            await asyncio.sleep(0.01)
    assert [task.done() for task in waiting[1::2]] == [False, False]
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_whoever_leaves_while_answers_come_fast_harms_nobody(client: TritonClient) -> None:
    async def leave_early(number: int) -> None:
        stream = client.stream(SDXL, order("draw", images=1 + number % 3), request_id=f"left-{number}", timeout_s=30)
        async with aclosing(stream) as responses:
            async for _ in responses:
                return

    for _ in range(25):
        await asyncio.gather(*map(leave_early, range(12)))
    assert await is_well(client)


LOOSE = ModelSpec(
    "sdxl",
    inputs=(
        TensorSpec("spec", "BYTES", (-1,), optional=True),
        TensorSpec("image", "UINT8", (-1, -1, -1), optional=True),
        TensorSpec("references", "BYTES", (-1, -1), optional=True),
    ),
    outputs=SDXL.outputs,
)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "expected|required|missing"),
        ({"spec": bytes_tensor(b"{}", b"{}")}, "shape"),
        ({"spec": bytes_tensor()}, "shape"),
        (order("draw") | {"image": np.zeros((4, 4, 3), np.uint8)}, "data-type"),
        (order("draw") | {"references": np.array([[b"one"]], np.object_)}, "shape"),
    ],
)
async def test_tensors_of_another_shape_or_type_are_refused(client: TritonClient, inputs: Tensors, text: str) -> None:
    with pytest.raises(RenderRefused, match=text):
        [each async for each in client.stream(LOOSE, inputs, request_id="one", timeout_s=30)]
    assert await is_well(client)


async def test_a_specification_that_the_engine_cannot_read_is_its_own_error(client: TritonClient) -> None:
    with pytest.raises(RenderRefused, match=r"\[fault\] JSONDecodeError"):
        await answers(client, {"spec": bytes_tensor(b"{")})
    assert await is_well(client)


async def test_an_engine_that_dies_takes_its_requests_along(settings: TritonSettings, tmp_path: Path) -> None:
    server = TritonServer(replace(settings, log_folder=tmp_path))
    await server.start()
    try:
        async with TritonClient(server.address) as client:
            with pytest.raises(RendererUnavailable):
                await answers(client, order("die"))
    finally:
        await server.stop()
