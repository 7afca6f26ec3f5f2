"""A shot list rendered: cast, submission, watch, files."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from continuity.api.rendering.v1.job_pb2 import JOB_STATE_SUCCEEDED, Job
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsResponse
from continuity.cli.documents import document
from continuity.cli.exits import ExitCode
from continuity.cli.files import write_atomically
from continuity.cli.film.board import Board
from continuity.cli.film.cast import Cast, bring_in, until_ready
from continuity.cli.film.keyframes import Keyframes
from continuity.cli.film.manifest import manifest
from continuity.cli.film.progress import Progress, progress
from continuity.cli.film.sheet import sheet_png
from continuity.cli.film.submission import Overrides, overridden, submission
from continuity.cli.output import Output
from continuity.cli.session import Session
from continuity.client import ContinuityClient
from continuity.client.shotlist import ShotList, read_shot_list
from continuity.client.shots import FINISHED
from continuity.kernel.errors import InvalidValue


@dataclass(frozen=True)
class Order:
    """What to render, and where its files go."""

    shot_list: Path
    out: Path
    overrides: Overrides = field(default_factory=Overrides)
    wait: bool = True


async def render_film(session: Session, order: Order) -> ExitCode:
    """Render the shot list and write keyframes, contact sheet and manifest; FAILED where a shot has no keyframe."""
    async with session.connected() as client:
        shots = await _read(client, order)
        cast = await bring_in(client, shots, session.output.note)
        if order.wait:
            await until_ready(client, cast, session.output.note)
        submitted = await _submit(client, shots, cast, order, session.output)
        if not order.wait:
            return _leave(submitted, order, session.output)
        jobs = await _watch_and_save(client, submitted, order.out, session.output)
    return await _finish(shots, submitted.submission_id, jobs, order.out, session.output)


async def _read(client: ContinuityClient, order: Order) -> ShotList:
    spellings = await client.vocabulary.spellings()
    if order.overrides.style not in {None, *spellings["style"]}:
        limit = f"the styles are {', '.join(spellings['style'])}"
        raise InvalidValue(field="--style", value=order.overrides.style, limit=limit)
    return overridden(read_shot_list(order.shot_list, spellings), order.overrides)


async def _submit(
    client: ContinuityClient, shots: ShotList, cast: Cast, order: Order, output: Output
) -> SubmitShotsResponse:
    submitted = await client.shots.submit(submission(shots, cast, order.overrides))
    lost = sum(job.state in FINISHED and job.state != JOB_STATE_SUCCEEDED for job in submitted.jobs)
    if lost:
        output.note(f"this list was rendered before, and {lost} of its jobs did not succeed; --again renders it anew")
    return submitted


async def _watch_and_save(
    client: ContinuityClient, submitted: SubmitShotsResponse, out: Path, output: Output
) -> list[Job]:
    board, keyframes = Board(len(submitted.jobs)), Keyframes(out, submitted.jobs)
    saves: list[asyncio.Task[None]] = []

    async def save(job: Job, seen: Progress) -> None:
        await keyframes.save(client, job)
        board.saved += 1
        seen.advance()

    try:
        with progress(output, board, saving=True) as seen:
            async for update in client.shots.watch(submission_id=submitted.submission_id):
                finished = board.apply(update)
                seen.advance(finished)
                if finished is not None and finished.state == JOB_STATE_SUCCEEDED:
                    saves.append(asyncio.create_task(save(finished, seen)))
            await asyncio.gather(*saves)
    except asyncio.CancelledError:
        output.note(_how_to_go_on(output, submitted.submission_id, f"the {len(submitted.jobs)} jobs go on without you"))
        raise
    finally:
        for each in saves:
            each.cancel()
    return _in_film_order(submitted, board)


def _in_film_order(submitted: SubmitShotsResponse, board: Board) -> list[Job]:
    watched = {job.id: job for job in board.jobs()}
    return [watched.get(job.id, job) for job in submitted.jobs]


async def _finish(shots: ShotList, submission_id: str, jobs: list[Job], out: Path, output: Output) -> ExitCode:
    keyframes = Keyframes(out, jobs)
    written = manifest(shots.film, submission_id, jobs, keyframes)
    write_atomically(out / "manifest.json", json.dumps(written, indent=2, ensure_ascii=False).encode() + b"\n")
    sheet = await asyncio.to_thread(sheet_png, shots, jobs, keyframes, out)
    write_atomically(out / "contact-sheet.png", sheet)
    output.show({"out": str(out), **written}, *_told(written, out))
    return ExitCode.OK if written["totals"]["succeeded"] == len(jobs) else ExitCode.FAILED


def _told(written: dict[str, Any], out: Path) -> list[str]:
    lost = [shot for shot in written["shots"] if shot["file"] is None]
    lines = [f"{written['totals']['succeeded']} of {len(written['shots'])} keyframes are in {out / 'keyframes'}"]
    for shot in lost:
        why = f": {shot['failure']['message']}" if shot["failure"] else ""
        lines.append(f"  {shot['scene']}-{shot['shot']} {shot['state']}{why}  (job {shot['job_id']})")
    return [*lines, f"contact sheet: {out / 'contact-sheet.png'}", f"manifest:      {out / 'manifest.json'}"]


def _leave(submitted: SubmitShotsResponse, order: Order, output: Output) -> ExitCode:
    output.show(
        {"submission_id": submitted.submission_id, "jobs": [document(job) for job in submitted.jobs]},
        _how_to_go_on(output, submitted.submission_id, f"{len(submitted.jobs)} jobs are on their way"),
        f"  fetch:  the same command again without --no-wait writes the files to {order.out}",
    )
    return ExitCode.OK


def _how_to_go_on(output: Output, submission_id: str, what: str) -> str:
    commands = {"watch": "watch", "cancel": "cancel"}
    lines = [
        f"  {name + ':':<7} {output.command} jobs {command} --submission {submission_id}"
        for name, command in commands.items()
    ]
    return "\n".join([what, *lines])
