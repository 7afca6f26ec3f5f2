"""The runtime that commands start by themselves, and what its streams carry."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from continuity.api.rendering.v1.job_pb2 import JobState
from continuity.api.rendering.v1.verification_pb2 import VERDICT_SAME
from continuity.client import CallFailed, ContinuityClient
from tests.e2e import film
from tests.e2e.conftest import ROOT, Running, environment, running

pytestmark = [pytest.mark.triton, pytest.mark.slow]


async def command(home: Path, *arguments: str | Path, **variables: str) -> str:
    process = await asyncio.create_subprocess_exec(
        ROOT / "bin" / "continuity",
        *arguments,
        env=environment(home, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, notes = await asyncio.wait_for(process.communicate(), 150)
    assert process.returncode == 0, notes.decode()
    return out.decode()


def runtime_pid(home: Path) -> int | None:
    try:
        return int(json.loads((home / "runtime.json").read_text())["pid"])
    except FileNotFoundError:
        return None


async def ended(home: Path) -> None:
    """Return once the runtime of a home has gone by itself."""
    async with asyncio.timeout(60):
        while runtime_pid(home) is not None:
            await asyncio.sleep(0.1)


async def terminated(home: Path) -> None:
    """Have the runtime of a home end, unless it has by itself; return once it has gone."""
    pid = runtime_pid(home)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    await ended(home)


async def test_two_commands_at_once_share_one_runtime_that_ends_when_nothing_is_left(tmp_path: Path) -> None:
    photographs = sorted(film.PHOTOGRAPHS.glob("*.[pj][np]g"))
    added = await asyncio.gather(
        *(command(tmp_path, "character", "add", photo.stem, photo, "--json") for photo in photographs)
    )
    assert {json.loads(each)["state"] for each in added} == {"ready"}
    await ended(tmp_path)


async def test_without_waiting_the_work_goes_on_and_the_next_command_fetches_it(tmp_path: Path) -> None:
    shot_list = film.first_scene(".yaml", tmp_path)
    left = json.loads(await command(tmp_path, "render", shot_list, "--out", tmp_path / "out", "--no-wait", "--json"))
    assert len(left["jobs"]) == 4
    await ended(tmp_path)
    listed = json.loads(await command(tmp_path, "jobs", "list", "--submission", left["submission_id"], "--json"))
    assert {job["state"] for job in listed["jobs"]} == {"succeeded"}
    await command(tmp_path, "render", shot_list, "--out", tmp_path / "out")
    assert len(list((tmp_path / "out" / "keyframes").glob("*.png"))) == 4
    await terminated(tmp_path)


async def test_a_terminated_runtime_leaves_nothing_running_and_tells_no_address(tmp_path: Path) -> None:
    await command(tmp_path, "jobs", "list")
    await terminated(tmp_path)


async def test_who_only_reads_has_no_triton_started_and_what_is_left_to_draw_has(tmp_path: Path) -> None:
    stays = {"idle_exit_s": "60"}
    assert await command(tmp_path, "jobs", "list", **stays) == "no jobs\n"
    assert not (tmp_path / "logs" / "triton.log").exists()
    shot_list = ROOT / "examples" / "film" / "options.yaml"
    await command(tmp_path, "render", shot_list, "--out", tmp_path / "out", "--no-wait", **stays)
    await command(tmp_path, "down", "--now")
    left = json.loads(await command(tmp_path, "jobs", "list", "--json", **stays))["jobs"]
    await command(tmp_path, "jobs", "watch", *(job["id"] for job in left))
    await command(tmp_path, "down")
    assert runtime_pid(tmp_path) is None


async def test_who_has_a_keyframe_drawn_anew_has_triton_started(tmp_path: Path) -> None:
    shot_list = ROOT / "examples" / "film" / "options.yaml"
    await command(tmp_path, "render", shot_list, "--out", tmp_path / "out")
    listed = json.loads(await command(tmp_path, "jobs", "list", "--json"))["jobs"]
    await terminated(tmp_path)
    (tmp_path / "logs" / "triton.log").unlink()
    with running("services.embedded", tmp_path, "--exit-when-idle", idle_exit_s="60") as runtime:
        async with asyncio.timeout(60), ContinuityClient(runtime.address) as client:
            told = [response async for response in client.shots.verify(listed[0]["id"])][-1]
    assert told.verification.verdict == VERDICT_SAME


async def test_an_idle_runtime_gives_way_to_one_with_the_settings_of_the_next_command(tmp_path: Path) -> None:
    await command(tmp_path, "jobs", "list", idle_exit_s="60")
    first = runtime_pid(tmp_path)
    await command(tmp_path, "jobs", "list", idle_exit_s="60")
    assert runtime_pid(tmp_path) == first
    await command(tmp_path, "jobs", "list", idle_exit_s="60", render_slots="3")
    told = json.loads((tmp_path / "runtime.json").read_text())
    assert told["settings"]["render_slots"] == {"value": 3, "default": None}
    assert told["pid"] != first
    await command(tmp_path, "down")


async def test_watching_shows_steps_and_previews_that_are_pictures(embedded: Running) -> None:
    async with ContinuityClient(embedded.address, project="previews") as client:
        character_id, location_id = await film.cast(client)
        submission = await film.submit(client, film.shots(character_id, location_id, 2), "previews", **film.SMALL)
        steps: list[tuple[int, int]] = []
        previews: list[bytes] = []
        async for update in client.shots.watch(submission_id=submission.submission_id, include_previews=True):
            if update.HasField("progress") and update.progress.steps:
                steps.append((update.progress.step, update.progress.steps))
                previews += [update.progress.preview_jpeg] if update.progress.preview_jpeg else []
    assert steps
    assert all(0 < step <= of for step, of in steps)
    assert previews
    for jpeg in previews:
        decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape[1] <= 320


async def test_a_cancelled_job_ends_and_the_others_go_on(embedded: Running) -> None:
    async with ContinuityClient(embedded.address, project="cancelling") as client:
        character_id, location_id = await film.cast(client)
        submission = await film.submit(client, film.shots(character_id, location_id, 8), "cancelling")
        last = submission.jobs[-1]
        cancelled = await client.shots.cancel(last.id)
        assert cancelled.state == JobState.JOB_STATE_CANCELLED
        assert (await client.shots.cancel(last.id)).state == JobState.JOB_STATE_CANCELLED
        jobs = await film.finished(client, submission.submission_id)
        states = [jobs[job.id].state for job in submission.jobs]
        assert states == [JobState.JOB_STATE_SUCCEEDED] * 7 + [JobState.JOB_STATE_CANCELLED]
        with pytest.raises(CallFailed, match="succeeded already"):
            await client.shots.cancel(submission.jobs[0].id)
