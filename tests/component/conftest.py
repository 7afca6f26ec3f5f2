"""A Triton that serves the tests' own model."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from continuity.inference.locate import locate_triton
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings
from continuity.inference.tensors import ModelSpec, TensorSpec

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def echo() -> ModelSpec:
    return ModelSpec(
        "echo_stream",
        inputs=(
            TensorSpec("command", "BYTES", (1,)),
            TensorSpec("steps", "INT32", (1,)),
            TensorSpec("payload", "BYTES", (-1,), optional=True),
        ),
        outputs=(
            TensorSpec("step", "INT32", (1,)),
            TensorSpec("steps", "INT32", (1,)),
            TensorSpec("payload", "BYTES", (-1,)),
        ),
    )


@pytest.fixture(scope="session")
def triton_settings() -> Callable[..., TritonSettings]:
    def make(log_folder: Path, **changes: object) -> TritonSettings:
        values: dict[str, object] = {
            "installation": locate_triton(ROOT),
            "model_repository": Path(__file__).with_name("model_repository"),
            "models": ("echo_stream",),
            "log_folder": log_folder,
            "stop_grace_s": 2,
        }
        return TritonSettings(**(values | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def triton_address(
    triton_settings: Callable[..., TritonSettings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Runs on a loop of its own, because the loops of tests come and go."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = TritonServer(triton_settings(tmp_path_factory.mktemp("triton")))
    asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    yield server.address
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
