"""What one shot asks of the diffusion engine, from the call to the picture, with models of random weights."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from continuity.api.common.v1.shot_pb2 import Shot, ShotType
from continuity.api.rendering.v1.job_pb2 import JOB_STATE_SUCCEEDED, Job
from continuity.api.rendering.v1.render_service_pb2 import (
    CheckOptionsRequest,
    DownloadKeyframeRequest,
    SubmitShotsRequest,
    UploadSourceRequest,
    VerifyKeyframeRequest,
    WatchJobsRequest,
)
from continuity.api.rendering.v1.render_service_pb2_grpc import RenderServiceStub
from continuity.api.rendering.v1.verification_pb2 import VERDICT_SAME
from continuity.rpc.channel import open_channel
from tests.e2e.conftest import ROOT, Running, running

pytestmark = [
    pytest.mark.engine,
    pytest.mark.triton,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="module"),
]

MODELS = ("sdxl-tiny", "tiny-lora", "tiny-controlnet")
MAKE = "import sys; from pathlib import Path; from engine.models.tiny.everything import make_tiny_catalogue as make"
SIDE_PX = 256
LIMIT_S = 300.0
LEFT = np.s_[:, : SIDE_PX // 2 - 32]
"""What the mask leaves alone, but for the margin that the autoencoder's pixels reach over."""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    models = tmp_path_factory.mktemp("models")
    subprocess.run(
        [ROOT / ".venv-engine/bin/python", "-c", f"{MAKE}; make(Path(sys.argv[1]), {MODELS})", models],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "libs"), "HF_HUB_OFFLINE": "1"},
        check=True,
    )
    shutil.copytree(models / "tiny-lora", models / "festival-lora")
    entry = models / "festival-lora" / "model.json"
    entry.write_text(json.dumps(json.loads(entry.read_bytes()) | {"name": "festival-lora", "commercial": False}))
    home = tmp_path_factory.mktemp("options")
    settings = {"renderer": "sdxl-tiny", "engine_device": "cpu", "models": str(models)}
    with running("services.embedded", home, **settings) as runtime:
        yield runtime


@dataclass(frozen=True)
class Take:
    """A picture, and what its file tells that the engine was asked for."""

    pixels: np.ndarray
    request: dict[str, Any]
    manifest: dict[str, Any]


@dataclass(frozen=True)
class Caller:
    """Calls the rendering service as any client would."""

    stub: Any

    async def upload(self, pixels: np.ndarray) -> str:
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "PNG")
        return str((await self.stub.UploadSource(UploadSourceRequest(picture=encoded.getvalue()))).sha256)

    async def drawn(self, name: str, options: dict[str, Any], **fields: Any) -> Job:
        shot = Shot(scene_id=name, shot_number=1, shot_type=ShotType.SHOT_TYPE_WIDE, description="rain", seed=5)
        asked = SubmitShotsRequest(
            film="W", shots=[shot], width_px=SIDE_PX, height_px=SIDE_PX, options=options, **fields
        )
        submitted = await self.stub.SubmitShots(asked)
        watch = self.stub.WatchJobs(WatchJobsRequest(submission_id=submitted.submission_id))
        jobs = [update.job async for update in watch if update.HasField("job")]
        return jobs[-1]

    async def takes(self, job: Job) -> list[Take]:
        assert job.state == JOB_STATE_SUCCEEDED, job.failure
        return [await self._take(job, take) for take in range(len(job.takes))]

    async def _take(self, job: Job, take: int) -> Take:
        parts = self.stub.DownloadKeyframe(DownloadKeyframeRequest(job_id=job.id, take=take))
        png = b"".join([part.chunk async for part in parts])
        assert hashlib.sha256(png).hexdigest() == job.takes[take].object.sha256
        with Image.open(io.BytesIO(png)) as opened:
            manifest = json.loads(opened.text["continuity"])
            return Take(np.asarray(opened), manifest["engine"]["request"], manifest)

    async def verdict(self, job: Job, take: int) -> Any:
        updates = self.stub.VerifyKeyframe(VerifyKeyframeRequest(job_id=job.id, take=take))
        return [update async for update in updates][-1].verification


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def caller(runtime: Running) -> AsyncIterator[Caller]:
    async with open_channel(runtime.address) as channel, asyncio.timeout(LIMIT_S):
        yield Caller(RenderServiceStub(channel))


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rows, columns = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
    return np.stack([rows, columns, 255 - rows], axis=2).astype(np.uint8)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inpainted(caller: Caller, picture: np.ndarray) -> Job:
    """Two takes with a LoRA, steps of their own, and a picture of which the right half is drawn anew."""
    mask = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    mask[:, SIDE_PX // 2 :] = 255
    source = {"image_sha256": await caller.upload(picture), "mask_sha256": await caller.upload(mask), "strength": 0.8}
    options = {
        "steps": 5,
        "guidance": 3.5,
        "sampler": "Euler",
        "loras": [{"name": "tiny-lora", "scale": 0.8}],
        "images": 2,
        "source": source,
    }
    return await caller.drawn("inpainted", options)


async def test_the_engine_is_asked_for_what_the_shot_asks_for(caller: Caller, inpainted: Job) -> None:
    takes = await caller.takes(inpainted)
    assert [take.request["seed"] for take in takes] == [take.manifest["seed"] for take in takes] == [5, 6]
    for take in takes:
        request = take.request
        assert (request["steps"], request["guidance"], request["sampler"]) == (5, 3.5, "euler")
        assert request["schedule"] == "normal"
        assert request["loras"] == [{"name": "tiny-lora", "scale": 0.8}]
        assert (request["has_image"], request["has_mask"], request["strength"]) == (True, True, 0.8)
        assert request["layout"] is None


async def test_takes_differ_where_they_are_drawn_anew_and_elsewhere_hold_the_picture(
    caller: Caller, inpainted: Job
) -> None:
    first, second = await caller.takes(inpainted)
    assert first.pixels.shape == (SIDE_PX, SIDE_PX, 3)
    moved = np.abs(first.pixels.astype(int) - second.pixels)
    assert moved[:, SIDE_PX // 2 :].mean() > 5 * max(moved[LEFT].mean(), 0.1)


@pytest.mark.parametrize("take", [0, 1])
async def test_each_take_drawn_anew_alone_is_the_same_file(caller: Caller, inpainted: Job, take: int) -> None:
    verdict = await caller.verdict(inpainted, take)
    assert verdict.verdict == VERDICT_SAME, list(verdict.differences)
    assert verdict.stored_sha256 == inpainted.takes[take].object.sha256


async def test_a_shot_that_asks_for_nothing_is_drawn_as_the_service_is_set(caller: Caller, inpainted: Job) -> None:
    (take,) = await caller.takes(await caller.drawn("plain", {}))
    assert (take.request["steps"], take.request["loras"], take.request["has_image"]) == (20, [], False)
    assert take.request["layout"] == {"kind": "img2img", "scale": 0.5}


async def test_beside_a_picture_to_begin_with_a_control_net_sees_the_layout(
    caller: Caller, picture: np.ndarray
) -> None:
    source = {"image_sha256": await caller.upload(picture)}
    guided = {"layout_guide": "tiny-controlnet", "layout_strength": 1.5, "steps": 4, "source": source}
    (take,) = await caller.takes(await caller.drawn("guided", guided))
    assert take.request["layout"] == {"kind": "tiny-controlnet", "scale": 1.5}
    assert take.request["has_image"]


async def test_a_model_that_is_not_there_fails_the_shot_and_says_which(caller: Caller) -> None:
    job = await caller.drawn("absent", {"checkpoint": "no-such-model", "steps": 2})
    assert job.failure.reason == "ENGINE_REFUSED"
    assert "no-such-model" in job.failure.message


@pytest.mark.parametrize("commercial", [False, True])
async def test_a_lora_that_is_not_for_commercial_use_is_refused_in_a_commercial_film(
    caller: Caller, commercial: bool
) -> None:
    options = {"loras": [{"name": "festival-lora"}], "steps": 2}
    job = await caller.drawn(f"licence-{commercial}", options, commercial=commercial)
    assert (job.state == JOB_STATE_SUCCEEDED) != commercial
    assert ("commercial" in job.failure.message) == commercial


async def test_weights_of_words_reach_the_engine_as_they_are_written_and_count(caller: Caller) -> None:
    drawn = []
    for weight in ("0.2", "1.8"):
        words = f"(red scarf:{weight}) BREAK rain"
        job = await caller.drawn("words", {"prompt": words, "negative": "[crowd]", "steps": 2, "layout_strength": 0})
        drawn += await caller.takes(job)
        assert drawn[-1].request["prompt"] == f"{job.prompt.text}, {words}"
        assert drawn[-1].request["negative"] == f"{job.prompt.negative}, [crowd]"
    assert not np.array_equal(drawn[0].pixels, drawn[1].pixels)


async def test_everything_that_cannot_be_drawn_with_is_told_without_a_shot(caller: Caller) -> None:
    film, shot = {"checkpoint": "sdxl-tniy", "sampler": "DPM++ 2N"}, {"loras": [{"name": "festival-lora"}]}
    asked = CheckOptionsRequest(options=film, shots=[shot], commercial=True)
    refused = {each.field: each.limit for each in (await caller.stub.CheckOptions(asked)).refused}
    assert set(refused) == {"options.sampler", "options.checkpoint", "shots[0].options.loras[0].name"}
    assert "did you mean 'sdxl-tiny'?" in refused["options.checkpoint"]
    assert "commercial" in refused["shots[0].options.loras[0].name"]


async def test_a_sampler_that_is_none_is_refused_before_anything_is_drawn(caller: Caller) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await caller.drawn("wrong", {"sampler": "DPM++ 2N"})
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "options.sampler" in (refused.value.details() or "")
