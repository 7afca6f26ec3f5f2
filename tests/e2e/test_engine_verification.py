"""Keyframes of the diffusion engine, with generated weights in the real Triton, drawn anew by later runtimes."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from continuity.api.rendering.v1.job_pb2 import JOB_STATE_SUCCEEDED, Job
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.api.rendering.v1.verification_pb2 import VERDICT_CANNOT, VERDICT_SAME, Verification
from continuity.client import ContinuityClient
from continuity.inference.phases import read_phase
from engine.crashes import crashes_path
from tests.e2e import film
from tests.e2e.conftest import Running, running

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.slow]

PROJECT = "diffused"
SIDE_PX = 256
LIMIT_S = 120.0


@dataclass(frozen=True)
class Drawn:
    """What a runtime that has ended drew on a home."""

    home: Path
    job: Job
    png: bytes

    @property
    def manifest(self) -> dict:
        with Image.open(io.BytesIO(self.png)) as picture:
            return json.loads(picture.text["continuity"])


async def submitted(client: ContinuityClient, name: str) -> str:
    shots = film.shots(*await film.cast(client), 1)
    request = SubmitShotsRequest(request_id=name, film="W", shots=shots, seed=7, width_px=SIDE_PX, height_px=SIDE_PX)
    return (await client.shots.submit(request)).jobs[0].id


async def ended(client: ContinuityClient, job_id: str) -> Job:
    async with asyncio.timeout(LIMIT_S):
        jobs = [update.job async for update in client.shots.watch([job_id]) if update.HasField("job")]
    assert jobs[-1].state == JOB_STATE_SUCCEEDED, jobs[-1].failure
    return jobs[-1]


async def verified(address: str, job: Job) -> Verification:
    async with asyncio.timeout(LIMIT_S), ContinuityClient(address, project=PROJECT) as client:
        return [response async for response in client.shots.verify(job.id)][-1].verification


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawn]:
    home = tmp_path_factory.mktemp("diffused")

    async def draw(runtime: Running) -> Drawn:
        async with ContinuityClient(runtime.address, project=PROJECT) as client:
            job = await ended(client, await submitted(client, "first"))
            return Drawn(home, job, await client.shots.download(job))

    with running("services.embedded", home, renderer="sdxl-tiny") as runtime:
        done = asyncio.run(draw(runtime))
        assert runtime.stop() == 0
    yield done


def test_the_file_tells_what_the_engine_knows_to_have_determined_it(drawn: Drawn) -> None:
    engine = drawn.manifest["engine"]
    assert engine["request"]["prompt"]
    assert len(engine["weights"]["checkpoint"]["sha256"]) == 64
    assert engine["libraries"]["torch"]
    assert engine["device"]
    with Image.open(io.BytesIO(drawn.png)) as picture:
        parameters = picture.text["parameters"]
    steps, model_hash = engine["request"]["steps"], engine["weights"]["checkpoint"]["sha256"][:10]
    assert f"\nSteps: {steps}, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: " in parameters
    assert f"Model hash: {model_hash}, Model: sdxl-tiny" in parameters


@pytest.fixture(scope="module")
def later(drawn: Drawn) -> Iterator[Running]:
    """A runtime that has drawn nothing itself."""
    with running("services.embedded", drawn.home, renderer="sdxl-tiny") as runtime:
        yield runtime


async def test_another_runtime_draws_the_same_bytes(drawn: Drawn, later: Running) -> None:
    found = await verified(later.address, drawn.job)
    assert (found.verdict, list(found.differences)) == (VERDICT_SAME, [])
    assert found.drawn_sha256 == drawn.job.keyframe.object.sha256


async def test_a_job_in_whose_step_the_engine_dies_is_charged_and_drawn_in_the_end(
    drawn: Drawn, later: Running
) -> None:
    state = drawn.home / "engine-state.json"
    async with asyncio.timeout(LIMIT_S), ContinuityClient(later.address, project=PROJECT) as client:
        job_id = await submitted(client, "second")
        while (phase := read_phase(state)) is None or phase.name != "step":
            await asyncio.sleep(0.005)
        assert phase.requests == (job_id,)
        os.kill(phase.pid, signal.SIGKILL)
        job = await ended(client, job_id)
    assert job.attempts == 2
    assert job.last_failure.reason == "RENDER_CRASHED"
    assert json.loads(crashes_path(state).read_bytes()) == {job_id: [1, 1]}


async def test_other_settings_and_another_number_of_threads_are_named(drawn: Drawn, later: Running) -> None:
    later.stop()
    with running("services.embedded", drawn.home, renderer="sdxl-tiny", guidance="3.5", engine_threads="2") as other:
        found = await verified(other.address, drawn.job)
    assert (found.verdict, found.same_pixels) == (VERDICT_CANNOT, False)
    differences = dict(difference.split(": ", 1) for difference in found.differences)
    assert differences.pop("engine.request.guidance") == "6.0 -> 3.5"
    assert differences.pop("engine.device.threads") == "1 -> 2"
    assert differences.keys() == {"renderer"}


async def test_another_renderer_is_named(drawn: Drawn) -> None:
    with running("services.embedded", drawn.home) as runtime:
        found = await verified(runtime.address, drawn.job)
    assert found.verdict == VERDICT_CANNOT
    (difference,) = found.differences
    assert difference.startswith(f"renderer: {drawn.job.keyframe.renderer} -> previz ")
