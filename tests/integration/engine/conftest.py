"""Real Tritons with small models for all tests of this folder, and what their pictures have to be."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from threading import Thread

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.server import TritonServer
from continuity.inference.watchdog import RendererState
from engine.shapes import sharing_on
from services.embedded.settings import Settings
from services.embedded.triton import embedded_triton
from tests.integration.engine.bare_process import PYTHON, VARIABLES, Bare, Expected
from tests.integration.engine.cases import CASES, IN_BATCHES
from tests.integration.engine.device import SHARING, Device
from tests.integration.engine.seen import Seen

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the models of ``made_models``."""
    home = tmp_path_factory.mktemp("home")
    program = HERE / "made_models.py"
    subprocess.run([PYTHON, program, home / "models"], env=VARIABLES, check=True, capture_output=True)
    return home


@pytest.fixture(scope="session")
def settings(home: Path) -> Settings:
    return Settings(home=home, renderer="sdxl-tiny", engine_device="cpu")


@pytest.fixture(scope="session")
def loop() -> asyncio.AbstractEventLoop:
    """Beside the loops of tests, which come and go.

    It ends with the process: the engine's workers may hold a stopped server's output open for longer than the session.
    """
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, daemon=True).start()
    return loop


@contextmanager
def surviving(server: TritonServer, loop: asyncio.AbstractEventLoop) -> Iterator[TritonServer]:
    """Run a server whose models have to live through all of it."""
    asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    stubs = server.stubs()
    yield server
    lived = server.stubs() == stubs
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    assert lived, "the engine did not live through it"


@pytest.fixture(scope="session")
def server(settings: Settings, loop: asyncio.AbstractEventLoop) -> Iterator[TritonServer]:
    server, _ = embedded_triton(settings)
    with surviving(server, loop) as server:
        yield server


@pytest.fixture
async def client(server: TritonServer) -> AsyncIterator[TritonClient]:
    async with TritonClient(server.address) as client:
        yield client


@pytest.fixture(scope="session")
def expected(home: Path) -> Iterator[Expected]:
    """What the engine's functions draw of each case; they do beside the tests, and who asks waits."""
    with Bare(home / "models", list(CASES), sharing_on("cpu")) as bare:
        yield bare.of


@pytest.fixture(scope="session")
def expected_in_batches(home: Path) -> Iterator[Expected]:
    """The same of ``IN_BATCHES``, each with the other slots of its batch empty."""
    with Bare(home / "models", IN_BATCHES, SHARING) as bare:
        yield bare.of


@pytest.fixture(scope="session")
def device(
    settings: Settings, loop: asyncio.AbstractEventLoop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Device]:
    """A second Triton, on a device of which ``Device`` tells, and whose batches have ``SHARING`` slots."""
    folder = tmp_path_factory.mktemp("device")
    server, _ = embedded_triton(settings.model_copy(update={"home": folder, "models": settings.models_folder}))
    device = Device(server, folder)
    repository = copytree(server._settings.model_repository, folder / "repository")
    model = repository / "sdxl" / "1"
    (model / "model.py").rename(model / "served.py")
    (model / "model.py").write_text((HERE / "altered_model.py").read_text())
    altered = {"TEST_DEVICE": str(folder), "TEST_SHARING": str(SHARING)}
    environment = {**server._settings.environment, **altered}
    server._settings = replace(server._settings, model_repository=repository, environment=environment)
    device.is_made()
    with surviving(server, loop):
        device.is_as_usual()
        yield device


@pytest.fixture
async def batching_client(device: Device) -> AsyncIterator[TritonClient]:
    async with TritonClient(device.server.address) as client:
        yield client
    device.is_as_usual()


@pytest.fixture
def seen(device: Device) -> Seen:
    return Seen(device, time.monotonic())


@pytest.fixture
def watched(settings: Settings, loop: asyncio.AbstractEventLoop, tmp_path: Path) -> Iterator[TritonServer]:
    """A server of a test's own, beside its watchdog; its home is ``tmp_path``."""
    server, watchdog = embedded_triton(settings.model_copy(update={"home": tmp_path, "models": settings.models_folder}))

    async def started() -> RendererState:
        watchdog.start()
        return (await watchdog.settled()).state

    assert asyncio.run_coroutine_threadsafe(started(), loop).result() is RendererState.SERVING
    yield server
    asyncio.run_coroutine_threadsafe(watchdog.stop(), loop).result()
