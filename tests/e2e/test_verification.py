"""Keyframes that a runtime draws anew which has drawn none of them: an earlier one on the same home has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from continuity.api.characters.v1.character_pb2 import Character
from continuity.api.rendering.v1.job_pb2 import Job
from continuity.api.rendering.v1.verification_pb2 import VERDICT_CANNOT, VERDICT_DIFFERENT, VERDICT_SAME, Verification
from continuity.client import CallFailed, ContinuityClient
from tests.e2e import film
from tests.e2e.conftest import Running, running
from tests.e2e.test_command_line import continuity

pytestmark = [pytest.mark.triton, pytest.mark.slow]

PROJECT = "verified"
SHOTS = 4


@dataclass(frozen=True)
class House:
    """A runtime, and what is on its home."""

    runtime: Running
    home: Path
    jobs: list[Job]
    character: Character

    def file(self, key: str) -> Path:
        (path,) = (self.home / "objects").glob(f"**/{key.rpartition('/')[2]}")
        return path

    async def verified(self, job: Job) -> Verification:
        async with ContinuityClient(self.runtime.address, project=PROJECT) as client:
            *steps, last = [response async for response in client.shots.verify(job.id)]
        assert all(step.progress.steps for step in steps)
        return last.verification


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("verification")
    with running("services.embedded", home) as first:
        jobs, character = asyncio.run(_drawn(first.address))
        assert first.stop() == 0
    with running("services.embedded", home) as second:
        yield House(second, home, jobs, character)


async def _drawn(address: str) -> tuple[list[Job], Character]:
    async with ContinuityClient(address, project=PROJECT) as client:
        character_id, location_id = await film.cast(client)
        submission = await film.submit(client, film.shots(character_id, location_id, SHOTS), PROJECT, **film.SMALL)
        jobs = await film.finished(client, submission.submission_id)
        return list(jobs.values()), (await client.characters.find(character_id)).character


def test_every_keyframe_comes_out_again_byte_for_byte(house: House, tmp_path: Path) -> None:
    verify = partial(continuity, tmp_path, "verify", address=house.runtime.address, project=PROJECT)
    told = json.loads(verify("--film", "Weather Hold", "--json").stdout)["verifications"]
    assert [each["verdict"] for each in told] == ["same"] * SHOTS
    assert {each["drawn_sha256"] for each in told} == {job.keyframe.object.sha256 for job in house.jobs}


async def test_verifying_leaves_the_job_and_its_file_alone(house: House) -> None:
    job = house.jobs[0]
    before = house.file(job.keyframe.object.key).stat()
    assert (await house.verified(job)).verdict == VERDICT_SAME
    async with ContinuityClient(house.runtime.address, project=PROJECT) as client:
        assert await client.shots.get(job.id) == job
    assert house.file(job.keyframe.object.key).stat().st_mtime_ns == before.st_mtime_ns


async def test_a_stored_file_that_was_tampered_with_is_found_out(house: House, tmp_path: Path) -> None:
    job = house.jobs[1]
    path = house.file(job.keyframe.object.key)
    tampered = bytearray(path.read_bytes())
    tampered[len(tampered) // 2] ^= 1
    path.write_bytes(tampered)
    found = await house.verified(job)
    assert found.verdict == VERDICT_DIFFERENT
    assert "is damaged" in found.differences[0]
    assert found.drawn_sha256 == job.keyframe.object.sha256
    ended = continuity(tmp_path, "verify", job.id, address=house.runtime.address, project=PROJECT, expect=1)
    assert "is damaged" in ended.stdout


async def test_a_stored_file_that_is_gone_is_found_out(house: House) -> None:
    job = house.jobs[2]
    house.file(job.keyframe.object.key).unlink()
    found = await house.verified(job)
    assert found.verdict == VERDICT_DIFFERENT
    assert "does not exist" in found.differences[0]
    assert found.differences[1] == "drawn anew it is the file that was rendered at first"


async def test_a_character_whose_figure_is_gone_is_named(house: House) -> None:
    figure = house.file(house.character.figure.key)
    content = figure.read_bytes()
    figure.unlink()
    try:
        found = await house.verified(house.jobs[3])
    finally:
        figure.write_bytes(content)
    assert found.verdict == VERDICT_CANNOT
    (difference,) = found.differences
    assert difference.startswith("input: object ")
    assert difference.endswith("it was the figure of 'Reyes'")


async def test_a_job_that_is_not_there_is_not_found(house: House) -> None:
    async with ContinuityClient(house.runtime.address, project=PROJECT) as client:
        with pytest.raises(CallFailed) as failed:
            [response async for response in client.shots.verify("absent")]
    assert failed.value.reason == "JOB_MISSING"
