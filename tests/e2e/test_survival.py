"""What the embedded runtime survives."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from continuity.api.rendering.v1.job_pb2 import JobState
from continuity.client import ContinuityClient
from tests.e2e import film
from tests.e2e.conftest import Running, begun, running

pytestmark = [pytest.mark.triton, pytest.mark.slow]

LIMIT_S = 180.0


def children(pid: int) -> list[int]:
    """The pids of all descendants of a process."""
    direct = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children_of(task)]
    return direct + [grandchild for child in direct for grandchild in children(child)]


def _children_of(task: Path) -> list[str]:
    try:
        return (task / "children").read_text().split()
    except OSError:
        return []


def named(pids: list[int], name: str) -> list[int]:
    return [pid for pid in pids if name in Path(f"/proc/{pid}/comm").read_text()]


async def ended(pids: list[int]) -> None:
    """Return once none of the processes runs."""
    async with asyncio.timeout(20):
        while any(_running(pid) for pid in pids):
            await asyncio.sleep(0.05)


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_every_accepted_job_completes_after_the_process_was_killed_and_its_children_with_it(
    tmp_path: Path,
) -> None:
    with running("services.embedded", tmp_path) as runtime:
        async with ContinuityClient(runtime.address) as client:
            character_id, location_id = await film.cast(client)
            wanted = film.shots(character_id, location_id, 24)
            submission = await film.submit(client, wanted, "killed", **film.SMALL)
            async for update in client.shots.watch(submission_id=submission.submission_id):
                if update.job.state == JobState.JOB_STATE_SUCCEEDED:
                    break  # some are done, some are under way, some have not begun
            descendants = children(runtime.process.pid)
            assert named(descendants, "tritonserver")
            runtime.kill()
    await ended(descendants)
    with running("services.embedded", tmp_path) as runtime:
        async with ContinuityClient(runtime.address) as client:
            again = await film.submit(client, wanted, "killed", **film.SMALL)
            assert [job.id for job in again.jobs] == [job.id for job in submission.jobs]
            jobs = await film.finished(client, submission.submission_id)
            assert len(jobs) == len(wanted)
            assert {job.state for job in jobs.values()} == {JobState.JOB_STATE_SUCCEEDED}
            for job in jobs.values():
                assert (await client.shots.download(job)).startswith(b"\x89PNG")


async def test_an_event_that_was_published_but_not_handled_comes_again_at_the_next_start(tmp_path: Path) -> None:
    """Killed between the photograph's acceptance and its answers, a character still becomes READY."""
    photo = (film.PHOTOGRAPHS / "grace_hopper.jpg").read_bytes()
    with running("services.embedded", tmp_path) as runtime:
        async with ContinuityClient(runtime.address) as client:
            character = await client.characters.create("Ward", photo, request_id="ward")
            runtime.kill()
    with running("services.embedded", tmp_path) as runtime:
        async with ContinuityClient(runtime.address) as client:
            ready = await client.characters.until_ready(character.id)
            assert ready.figure.key
            assert ready.analysis.characters_roster


def kill_while_it_starts(home: Path, span_s: float, kills: int, chance: random.Random) -> None:
    """Start a runtime so often and kill it each time at another moment of the time that its start takes."""
    for part in range(kills):
        with begun("services.embedded", home) as process:
            try:
                process.wait(timeout=span_s * (part + chance.random()) / kills)
            except subprocess.TimeoutExpired:
                process.kill()
            assert process.wait() == -signal.SIGKILL, (home / "services.embedded.log").read_text()[-4000:]


@pytest.mark.parametrize("seed", [1979])
async def test_a_runtime_that_is_killed_while_it_starts_again_and_again_completes_every_job(
    tmp_path: Path, seed: int
) -> None:
    """Stores that are opened for the first time, events that are published again, jobs that go back to the line."""
    chance = random.Random(seed)
    kill_while_it_starts(tmp_path, 4.0, 3, chance)
    photo = (film.PHOTOGRAPHS / "grace_hopper.jpg").read_bytes()
    began = time.monotonic()
    with running("services.embedded", tmp_path) as runtime:
        start_s = time.monotonic() - began
        async with ContinuityClient(runtime.address) as client:
            character_id, location_id = await film.cast(client)
            grace = await client.characters.create("Grace", photo, request_id="grace")
            wanted = [*film.shots(character_id, location_id, 4), *film.shots(grace.id, location_id, 8)[4:]]
            submission = await film.submit(client, wanted, "killed early", **film.SMALL)
            runtime.kill()
    kill_while_it_starts(tmp_path, 1.25 * start_s, 5, chance)
    with running("services.embedded", tmp_path) as runtime:
        async with ContinuityClient(runtime.address) as client, asyncio.timeout(LIMIT_S):
            jobs = await film.finished(client, submission.submission_id)
            assert len(jobs) == len(wanted)
            assert {job.state for job in jobs.values()} == {JobState.JOB_STATE_SUCCEEDED}
            ready = await client.characters.until_ready(grace.id)
            assert ready.analysis.characters_roster


async def test_a_renderer_that_dies_gives_jobs_that_wait_and_then_go_on(tmp_path: Path) -> None:
    with running("services.embedded", tmp_path) as runtime:
        async with ContinuityClient(runtime.address) as client:
            character_id, location_id = await film.cast(client)
            for pid in named(children(runtime.process.pid), "tritonserver"):
                os.kill(pid, signal.SIGKILL)
            submission = await film.submit(
                client, film.shots(character_id, location_id, 3), "renderer-dies", **film.SMALL
            )
            jobs = await film.finished(client, submission.submission_id)
            assert {job.state for job in jobs.values()} == {JobState.JOB_STATE_SUCCEEDED}


async def test_the_same_shots_are_the_same_bytes_in_another_home(tmp_path: Path, embedded: Running) -> None:
    async def hashes(address: str) -> list[str]:
        async with ContinuityClient(address, project="bytes") as client:
            character_id, location_id = await film.cast(client)
            submission = await film.submit(client, film.shots(character_id, location_id, 3), "bytes", **film.SMALL)
            jobs = await film.finished(client, submission.submission_id)
            return [jobs[job.id].keyframe.object.sha256 for job in submission.jobs]

    with running("services.embedded", tmp_path) as other:
        first, second = await asyncio.gather(hashes(embedded.address), hashes(other.address))
    assert first == second
    assert len(set(first)) == 3
