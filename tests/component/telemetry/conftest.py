"""A small film shot through the embedded runtime, with a collector that both sides send to."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from continuity.api.common.v1.shot_pb2 import LocationType, Shot, ShotType
from continuity.api.rendering.v1.job_pb2 import JobState
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.client import CallFailed, ContinuityClient
from continuity.telemetry.setup import set_up_telemetry
from tests.component.telemetry.receiver import Collector, receiving

ROOT = Path(__file__).resolve().parents[3]
PHOTOGRAPH = ROOT / "examples" / "photographs" / "eileen_collins.png"
NAMED = ("Marlene-Quill", "Velvet-Ledger", "Harbour-Oxbow", "whispers-into-a-radio", "Copper-Lantern")
CHARACTER, FILM, PLACE, DESCRIPTION, PROJECT_FILE = NAMED
SECRETS = {
    "CONTINUITY_KAFKA_SASL_PASSWORD": "pineapple-4711",
    "CONTINUITY_S3_SECRET_KEY": "wJalrXUtnFEMI/K7MDENG",
    "CONTINUITY_S3_ACCESS_KEY": "AKIDEXAMPLE77",
}
SHOTS = 4
LIMIT_S = 120


@dataclass(frozen=True)
class Filmed:
    """What the collector got of a film, the submissions' jobs, and the log of the runtime."""

    collector: Collector
    submitted: list[list[str]]
    log: str


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filmed]:
    home = tmp_path_factory.mktemp("home")
    with receiving() as collector:
        telemetry = set_up_telemetry("client", collector.endpoint, "1")
        try:
            submitted, log = _run(home, collector.endpoint)
        finally:
            assert telemetry.shutdown()
        yield Filmed(collector, submitted, log)


def _run(home: Path, endpoint: str) -> tuple[list[list[str]], str]:
    """Run the runtime, shoot, and end the runtime."""
    with (home / "log").open("w") as log:
        runtime = subprocess.Popen(
            [sys.executable, "-m", "services.embedded"],
            env=_environment(home, endpoint),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert runtime.stdout is not None
        said = runtime.stdout.readline()
        assert said.startswith("serving "), (home / "log").read_text()[-4_000:]
        address = said.split()[1]
        submitted = asyncio.run(asyncio.wait_for(_shoot(address), LIMIT_S))
        _list_jobs(address, _environment(home, endpoint))
        runtime.send_signal(signal.SIGTERM)
        assert runtime.wait(40) == 0
    finally:
        runtime.kill()
        runtime.wait()
        if runtime.stdout:
            runtime.stdout.close()
    return submitted, (home / "log").read_text()


def _list_jobs(address: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "continuity.cli.main", "jobs", "list", "--json"]
    subprocess.run(command, env=environment | {"CONTINUITY_ADDRESS": address}, check=True, capture_output=True)


def _environment(home: Path, endpoint: str) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **SECRETS,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}",
        "CONTINUITY_HOME": str(home),
        "CONTINUITY_OTLP_ENDPOINT": endpoint,
        "CONTINUITY_LOG_FORMAT": "json",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    }


async def _shoot(address: str) -> list[list[str]]:
    """Submit shots of somebody who is not ready yet, then of somebody who is, then what is refused."""
    async with ContinuityClient(address) as client:
        character = await client.characters.create(CHARACTER, PHOTOGRAPH.read_bytes(), description=DESCRIPTION)
        place = await client.locations.save(PLACE, LocationType.LOCATION_TYPE_INTERIOR, description=DESCRIPTION)
        early = await _submit(client, character.id, place.id, "early")
        await client.characters.until_ready(character.id)
        late = await _submit(client, character.id, place.id, "late")
        for submission_id, _ in (early, late):
            async for update in client.shots.watch(submission_id=submission_id):
                assert update.job.state != JobState.JOB_STATE_FAILED, update.job
        with pytest.raises(CallFailed):
            await client.shots.submit(SubmitShotsRequest(film=FILM, shots=[Shot(scene_id=PROJECT_FILE * 99)]))
    return [early[1], late[1]]


async def _submit(client: ContinuityClient, character_id: str, place_id: str, scene: str) -> tuple[str, list[str]]:
    shots = [
        Shot(
            scene_id=scene,
            shot_number=number,
            shot_type=ShotType.SHOT_TYPE_MEDIUM,
            description=DESCRIPTION,
            character_ids=[character_id],
            location_id=place_id,
        )
        for number in range(1, SHOTS + 1)
    ]
    answer = await client.shots.submit(SubmitShotsRequest(film=FILM, shots=shots, width_px=512, height_px=256))
    return answer.submission_id, [job.id for job in answer.jobs]
