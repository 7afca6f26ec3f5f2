from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from continuity.api.rendering.v1.job_pb2 import JobState
from continuity.client import ContinuityClient
from tests.e2e import film
from tests.e2e.conftest import running

pytestmark = [pytest.mark.triton, pytest.mark.slow]

SERVICES = ("characters", "vision", "matting", "prompts", "rendering")


async def test_five_services_broker_and_triton_as_processes_render_a_shot(tmp_path: Path, processes: ExitStack) -> None:
    broker = processes.enter_context(running("services.embedded.broker", tmp_path))
    triton = processes.enter_context(running("services.embedded.triton", tmp_path))
    where = {"bootstrap_servers": broker.address, "triton_address": triton.address}
    services = {name: processes.enter_context(running(f"services.{name}", tmp_path, **where)) for name in SERVICES}

    # Each client talks to the one service that it needs: nothing stands in front of them here.
    async with ContinuityClient(services["characters"].address) as characters:
        character_id, location_id = await film.cast(characters)
    async with ContinuityClient(services["rendering"].address) as rendering:
        submission = await film.submit(rendering, film.shots(character_id, location_id, 1), "one")
        jobs = await film.finished(rendering, submission.submission_id)
        (job,) = jobs.values()
        assert job.state == JobState.JOB_STATE_SUCCEEDED, job.failure
        png = await rendering.shots.download(job)
    assert png.startswith(b"\x89PNG")
    assert (job.keyframe.width_px, job.keyframe.height_px) == (1024, 576)

    for name, service in services.items():
        async with grpc.aio.insecure_channel(service.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(health_pb2.HealthCheckRequest(service=""))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
    for service in services.values():
        assert service.stop() == 0
