"""The storyboard composer in the real Triton server."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RenderRefused
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings
from continuity.inference.tensors import ModelSpec, TensorSpec, bytes_tensor

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.triton

PREVIZ = ModelSpec(
    "previz",
    inputs=(
        TensorSpec("spec", "BYTES", (1,)),
        TensorSpec("mattes", "BYTES", (-1,), optional=True),
        TensorSpec("plate", "BYTES", (1,), optional=True),
    ),
    outputs=(
        TensorSpec("step", "INT32", (1,)),
        TensorSpec("steps", "INT32", (1,)),
        TensorSpec("preview", "BYTES", (1,)),
        TensorSpec("image", "UINT8", (-1, -1, 3), optional=True),
    ),
)


def spec(**fields: object) -> bytes:
    return json.dumps({"width_px": 320, "height_px": 180, "shot_type": "medium", "figures": [{}]} | fields).encode()


def matte() -> bytes:
    picture = np.zeros((96, 64, 4), np.uint8)
    picture[10:, 12:52] = (60, 120, 200, 255)
    return cv2.imencode(".png", picture)[1].tobytes()


@pytest.fixture(scope="module")
def previz_settings(
    triton_settings: Callable[..., TritonSettings], tmp_path_factory: pytest.TempPathFactory
) -> TritonSettings:
    return triton_settings(
        tmp_path_factory.mktemp("previz"),
        model_repository=ROOT / "deploy/triton/model_repository",
        models=("previz",),
        python_path=(ROOT / "libs",),
    )


async def responses(client: TritonClient, **inputs: np.ndarray) -> list[dict[str, np.ndarray]]:
    return [dict(answer) async for answer in client.stream(PREVIZ, inputs, request_id="one", timeout_s=60.0)]


async def test_a_frame_comes_with_its_stages_and_a_bad_request_harms_nobody(previz_settings: TritonSettings) -> None:
    server = TritonServer(previz_settings)
    await server.start()
    try:
        async with TritonClient(server.address) as client:
            first = await responses(client, spec=bytes_tensor(spec()), mattes=bytes_tensor(matte()))
            assert [int(answer["step"][0]) for answer in first] == [1, 2, 3, 4]
            assert all(int(answer["steps"][0]) == 4 for answer in first)
            assert first[0]["preview"][0] == b""
            assert all(answer["preview"][0].startswith(b"\xff\xd8") for answer in first[1:])
            assert [("image" in answer) for answer in first] == [False, False, False, True]
            assert first[-1]["image"].shape == (180, 320, 3)

            refused = [
                {"spec": bytes_tensor(spec(shot_type="sideways"))},
                {"spec": bytes_tensor(spec()), "mattes": bytes_tensor(b"GIF89a")},
                {"spec": bytes_tensor(spec()), "mattes": bytes_tensor(b"", b"")},
                {"spec": bytes_tensor(spec()), "plate": bytes_tensor(matte()[:60])},
            ]
            for inputs, field in zip(refused, ("shot_type", "mattes[0]", "mattes", "plate"), strict=True):
                with pytest.raises(RenderRefused, match=re.escape(field)):
                    await responses(client, **inputs)

            together = await asyncio.gather(
                *(responses(client, spec=bytes_tensor(spec()), mattes=bytes_tensor(matte())) for _ in range(6))
            )
            assert all(np.array_equal(answers[-1]["image"], first[-1]["image"]) for answers in together)
    finally:
        await server.stop()
