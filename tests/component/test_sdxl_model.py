"""The diffusion engine in the real Triton server, with small models of random weights."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RendererUnavailable, RenderRefused
from continuity.inference.server import TritonServer
from continuity.inference.tensors import Tensors, bytes_tensor
from continuity.inference.watchdog import RendererState
from services.embedded.settings import Settings
from services.embedded.triton import embedded_triton
from services.rendering.adapters.previz_tensors import PREVIZ
from services.rendering.adapters.sdxl_tensors import SDXL

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
MODELS = ("sdxl-tiny", "tiny-ip-adapter", "tiny-image-encoder", "tiny-lora")
MAKE = "import sys; from pathlib import Path; from engine.models.tiny.everything import make_tiny_catalogue as make"
REQUEST = {
    "checkpoint": "sdxl-tiny",
    "prompt": "a launch pad in the rain",
    "width_px": 256,
    "height_px": 256,
    "steps": 4,
}
LONG = 150


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    subprocess.run(
        [ROOT / ".venv-engine/bin/python", "-c", f"{MAKE}; make(Path(sys.argv[1]), {MODELS})", home / "models"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "libs"), "HF_HUB_OFFLINE": "1"},
        check=True,
    )
    return Settings(home=home, renderer="sdxl-tiny", engine_device="cpu")


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Beside the loops of tests, which come and go. Not closed: the engine's workers hold the server's output open."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.fixture(scope="module")
def server(settings: Settings, loop: asyncio.AbstractEventLoop) -> Iterator[TritonServer]:
    server, _ = embedded_triton(settings)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    stubs = server.stubs()
    yield server
    assert server.stubs() == stubs, "a model did not live through it"
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()


@pytest.fixture
async def client(server: TritonServer) -> AsyncIterator[TritonClient]:
    async with TritonClient(server.address) as client:
        yield client


def order(id: str = "one", tensors: Tensors | None = None, **fields: object) -> Tensors:
    spec = {"id": id, **REQUEST, **fields}
    return {"spec": bytes_tensor(json.dumps(spec).encode()), **(tensors or {})}


async def answers(client: TritonClient, inputs: Tensors, id: str = "one", priority: int = 50) -> list[Tensors]:
    stream = client.stream(SDXL, inputs, request_id=id, timeout_s=120, priority=priority)
    return [response async for response in stream]


async def drawn(client: TritonClient, inputs: Tensors, id: str = "one", priority: int = 50) -> str:
    """Return the SHA-256 of the last picture."""
    responses = await answers(client, inputs, id, priority)
    return hashlib.sha256(responses[-1]["image"].tobytes()).hexdigest()


async def begin(client: TritonClient, id: str, **fields: object) -> "asyncio.Task[list[Tensors]]":
    """Return the task of a request that has taken a step."""
    stepped = asyncio.Event()

    async def read() -> list[Tensors]:
        responses = []
        async for response in client.stream(SDXL, order(id, **fields), request_id=id, timeout_s=300):
            responses.append(response)
            stepped.set()
        return responses

    task = asyncio.create_task(read())
    await stepped.wait()
    return task


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def gradient(width: int = 256, height: int = 256) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.dstack([columns * 255 // width, rows * 255 // height, np.full_like(rows, 90)]).astype(np.uint8)


async def test_steps_previews_and_a_picture_with_its_manifest_come(client: TritonClient) -> None:
    responses = await answers(client, order(preview_every=2))
    *steps, last = responses
    taken = [int(each["step"][0]) for each in steps]
    assert taken == sorted(taken)
    assert {int(each["steps"][0]) for each in steps} == {4}
    previews = [each["preview"][0] for each in steps if each["preview"][0]]
    assert previews
    assert all(preview.startswith(b"\xff\xd8") for preview in previews)
    assert last["image"].shape == (256, 256, 3)
    assert last["image"].std() > 5
    manifest = json.loads(last["manifest"][0])
    assert manifest["pixels_sha256"] == hashlib.sha256(last["image"].tobytes()).hexdigest()
    assert manifest["request"]["prompt"] == REQUEST["prompt"]


async def test_a_layout_guides_the_picture(client: TritonClient) -> None:
    layout = {"layout": bytes_tensor(png(gradient()))}
    guided = order(tensors=layout, steps=10, **{"layout": {"kind": "img2img", "scale": 0.8}})
    responses = await answers(client, guided)
    free = await answers(client, order())
    target = cv2.cvtColor(gradient(), cv2.COLOR_BGR2RGB).astype(float)
    distances = [np.abs(each[-1]["image"] - target).mean() for each in (responses, free)]
    assert distances[0] < distances[1]


BAD_FIELDS = [
    ({"steps": 0}, "refused", "steps: 0"),
    ({"steps": 10_000}, "refused", "steps: 10000"),
    ({"guidance": float("nan")}, "refused", "guidance: nan"),
    ({"guidance": 31}, "refused", "guidance: 31"),
    ({"sampler": "dpm++2m-karas"}, "refused", "did you mean"),
    ({"prompt": "x" * 100_000}, "refused", "prompt"),
    ({"seed": -1}, "refused", "seed: -1"),
    ({"seed": 2**32}, "refused", "seed: 4294967296"),
    ({"width_px": 250}, "refused", "width_px: 250"),
    ({"images": 9}, "refused", "images: 9"),
    ({"stpes": 5}, "refused", "stpes"),
    ({"checkpoint": "sdxl-tinny"}, "refused", "did you mean 'sdxl-tiny'"),
    ({"checkpoint": "../../etc"}, "refused", "checkpoint"),
    ({"checkpoint": "tiny-lora"}, "(refused|model)", "tiny-lora"),
    ({"loras": [{"name": "tiny-ip-adapter"}]}, "(refused|model)", "tiny-ip-adapter"),
    ({"loras": [{"name": "absent"}]}, "(refused|model)", "absent"),
    ({"references": [{"picture": 0}]}, "refused", "picture"),
    ({"layout": {"kind": "img2img"}}, "refused", "layout"),
    ({"layout": {"kind": "absent", "scale": 1}}, "(refused|model)", "layout|absent"),
    ({"clip_skip": 99}, "refused", "clip_skip: 99"),
    ({"priority": "high"}, "refused", "priority"),
]


@pytest.mark.parametrize(("fields", "word", "text"), BAD_FIELDS, ids=lambda value: str(value)[:40])
async def test_a_bad_field_is_refused_by_name_and_harms_nobody(
    client: TritonClient, fields: dict[str, object], word: str, text: str
) -> None:
    with pytest.raises(RenderRefused, match=rf"(?s)\[{word}\] .*{text}"):
        await answers(client, order(**fields))
    assert await drawn(client, order(steps=1))


BAD_PICTURES = [
    ({"image": b"GIF89a"}, "image"),
    ({"image": png(gradient())[:400]}, "image"),
    ({"image": b""}, "image"),
    ({"mask": png(gradient())}, "mask"),
    ({"image": png(gradient()), "mask": png(np.zeros((64, 64), np.uint8))}, "mask"),
    ({"layout": b"\x89PNG\r\n\x1a\n"}, "layout"),
]


@pytest.mark.parametrize(("pictures", "text"), BAD_PICTURES, ids=lambda value: str(value)[:30])
async def test_a_bad_picture_is_refused_by_name_and_harms_nobody(
    client: TritonClient, pictures: dict[str, bytes], text: str
) -> None:
    tensors = {name: bytes_tensor(encoded) for name, encoded in pictures.items()}
    layout = {"layout": {"kind": "img2img", "scale": 0.5}} if "layout" in pictures else {}
    with pytest.raises(RenderRefused, match=rf"\[refused\] .*{text}"):
        await answers(client, order(tensors=tensors, **layout))
    assert await drawn(client, order(steps=1))


async def test_a_request_without_an_id_is_refused(client: TritonClient) -> None:
    with pytest.raises(RenderRefused, match=r"\[refused\] id"):
        await answers(client, order(), id="")


@pytest.fixture
def plain(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> Iterator[TritonServer]:
    """A server as it is without the engine."""
    server, _ = embedded_triton(Settings(home=tmp_path))
    asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()


@pytest.mark.parametrize("style", ["cinematic", "noir"])
async def test_previz_draws_the_same_bytes_in_the_engines_environment(
    client: TritonClient, plain: TritonServer, style: str
) -> None:
    spec = {"width_px": 512, "height_px": 288, "style": style, "figures": [{"name": "Ward"}], "masks": True}
    inputs = {"spec": bytes_tensor(json.dumps(spec).encode())}
    async with TritonClient(plain.address) as other:
        here, there = await previz(client, inputs), await previz(other, inputs)
    assert here["image"].tobytes() == there["image"].tobytes()
    assert here["masks"].tobytes() == there["masks"].tobytes()


async def previz(client: TritonClient, inputs: Tensors) -> Tensors:
    responses = [each async for each in client.stream(PREVIZ, inputs, request_id="one", timeout_s=60)]
    return responses[-1]


async def test_a_request_under_which_the_engine_dies_is_told_so_once_and_then_drawn(
    settings: Settings, tmp_path: Path
) -> None:
    server, watchdog = embedded_triton(
        Settings(**settings.model_dump() | {"home": tmp_path, "models": settings.models_folder})
    )
    watchdog.start()
    try:
        assert (await watchdog.settled()).state is RendererState.SERVING
        async with TritonClient(server.address) as client:
            dying = await begin(client, "killer", steps=LONG)
            engine = json.loads((tmp_path / "engine-state.json").read_bytes())["pid"]
            assert engine in server.stubs()
            os.kill(engine, signal.SIGKILL)
            with pytest.raises(RendererUnavailable):
                await dying
            async with asyncio.timeout(120):
                while engine in server.stubs() or not await client.ready(SDXL.name):
                    await asyncio.sleep(0.1)
            assert await drawn(client, order("bystander"), "bystander")
            with pytest.raises(RenderRefused, match=r"\[crashed\] the engine died over it 1 times"):
                await drawn(client, order("killer"), "killer")
            assert await drawn(client, order("killer"), "killer")
    finally:
        await watchdog.stop()
