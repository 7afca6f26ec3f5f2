"""A shot list rendered: cast, submission, watch, files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from continuity.api.rendering.v1.job_pb2 import JOB_STATE_SUCCEEDED, Job
from continuity.cli.documents import document
from continuity.cli.engine import RendererSettings
from continuity.cli.exits import ExitCode
from continuity.cli.files import write_atomically
from continuity.cli.film.board import Board
from continuity.cli.film.cast import bring_in, until_ready
from continuity.cli.film.checking import refusals
from continuity.cli.film.handing_in import HandedIn, hand_in
from continuity.cli.film.keyframes import Keyframes
from continuity.cli.film.manifest import manifest
from continuity.cli.film.options import upload_sources
from continuity.cli.film.progress import Progress, progress
from continuity.cli.film.sheet import sheet_png
from continuity.cli.film.submission import Overrides, overridden, submission
from continuity.cli.output import Output
from continuity.cli.session import Session
from continuity.client import ContinuityClient
from continuity.client.shotlist import ShotList, read_draft
from continuity.client.shotlist.problems import nearest
from continuity.client.shotlist.references import Words
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
    async with AsyncExitStack() as stack:
        with _saying_what_remains(session):
            client = await stack.enter_async_context(session.connected(draws=True))
            shots, handed_in = await _prepare(client, order, session.output)
        if not order.wait:
            return _leave(handed_in, order, session.output)
        keyframes = Keyframes(order.out)
        jobs = await _watch_and_save(client, handed_in, keyframes, session.output)
    return await _finish(shots, handed_in.submission_id, jobs, keyframes, session.output)


@contextmanager
def _saying_what_remains(session: Session) -> Iterator[None]:
    """Say, when Ctrl-C comes before there are jobs to speak of, what stays and what becomes of the runtime."""
    try:
        yield
    except asyncio.CancelledError:
        session.output.note("interrupted; what was added stays, and the same command goes on from there")
        if not session.settings.address:
            session.output.note("the runtime ends by itself when it is idle")
        raise


async def _prepare(client: ContinuityClient, order: Order, output: Output) -> tuple[ShotList, HandedIn]:
    shots, overrides = await _read(client, order)
    cast = await bring_in(client, shots, output.note)
    sources = await upload_sources(client, shots, order.shot_list)
    if order.wait:
        await until_ready(client, cast, output.note)
    request = submission(shots, cast, sources, overrides)
    return shots, await hand_in(client, request, order.shot_list, output.note)


async def _read(client: ContinuityClient, order: Order) -> tuple[ShotList, Overrides]:
    spellings = await client.vocabulary.spellings()
    overrides = replace(order.overrides, commercial=RendererSettings().commercial)
    if overrides.style is not None:
        overrides = replace(overrides, style=_style(overrides.style, spellings["style"]))
    draft = read_draft(order.shot_list, spellings)
    shots = draft.complete(await refusals(client, draft, overrides))
    return overridden(shots, overrides), overrides


def _style(given: str, spellings: Mapping[str, str]) -> str:
    """Return the word for a style, however it is spelled. Raises ``InvalidValue`` with the nearest and all words."""
    if word := Words({"style": spellings}).find("style", given):
        return word
    near = nearest(given, spellings)
    hint = f"did you mean {spellings[near]!r}? " if near else ""
    limit = f"{hint}the styles are {', '.join(dict.fromkeys(spellings.values()))}"
    raise InvalidValue(field="--style", value=given, limit=limit)


async def _watch_and_save(
    client: ContinuityClient, handed_in: HandedIn, keyframes: Keyframes, output: Output
) -> list[Job]:
    board = Board(len(handed_in.jobs))
    saves: list[asyncio.Task[None]] = []

    async def save(job: Job, seen: Progress) -> None:
        await keyframes.save(client, job)
        board.saved += 1
        seen.advance()

    try:
        with progress(output, board, saving=True) as seen:
            async for update in client.shots.watch(job.id for job in handed_in.jobs):
                finished = board.apply(update)
                seen.advance(finished)
                if finished is not None and finished.state == JOB_STATE_SUCCEEDED:
                    saves.append(asyncio.create_task(save(finished, seen)))
            await asyncio.gather(*saves)
    except asyncio.CancelledError:
        output.note(_how_to_go_on(output, handed_in, f"the {len(handed_in.jobs)} jobs go on without you"))
        raise
    finally:
        for each in saves:
            each.cancel()
    watched = {job.id: job for job in board.jobs()}
    return [watched.get(job.id, job) for job in handed_in.jobs]


async def _finish(
    shots: ShotList, submission_id: str, jobs: list[Job], keyframes: Keyframes, output: Output
) -> ExitCode:
    out = keyframes.out
    written = manifest(shots.film, submission_id, jobs, keyframes)
    write_atomically(out / "manifest.json", json.dumps(written, indent=2, ensure_ascii=False).encode() + b"\n")
    sheet = await asyncio.to_thread(sheet_png, shots, jobs, keyframes)
    write_atomically(out / "contact-sheet.png", sheet)
    output.show({"out": str(out), **written}, *_told(written, out))
    return ExitCode.OK if written["totals"]["succeeded"] == len(jobs) else ExitCode.FAILED


def _told(written: dict[str, Any], out: Path) -> list[str]:
    lost = [shot for shot in written["shots"] if shot["state"] != "succeeded"]
    lines = [f"{written['totals']['succeeded']} of {len(written['shots'])} keyframes are in {out / 'keyframes'}"]
    for shot in lost:
        why = f": {shot['failure']['message']}" if shot["failure"] else ""
        lines.append(f"  {_name(shot)} {shot['state']}{why}  (job {shot['job_id']})")
    if damaged := [_name(shot) for shot in lost if shot["state"] == "damaged"]:
        lines.append(f"  the same command with --again renders every shot anew, {', '.join(damaged)} with them")
    return [*lines, f"contact sheet: {out / 'contact-sheet.png'}", f"manifest:      {out / 'manifest.json'}"]


def _name(shot: Mapping[str, Any]) -> str:
    return f"{shot['scene']}-{shot['shot']}"


def _leave(handed_in: HandedIn, order: Order, output: Output) -> ExitCode:
    output.show(
        {"submission_id": handed_in.submission_id, "jobs": [document(job) for job in handed_in.jobs]},
        _how_to_go_on(output, handed_in, f"{len(handed_in.jobs)} jobs are on their way"),
        f"  fetch:  the same command again without --no-wait writes the files to {order.out}",
    )
    return ExitCode.OK


def _how_to_go_on(output: Output, handed_in: HandedIn, what: str) -> str:
    lines = [
        f"  {command + ':':<7} {output.command} jobs {command} --submission {id}"
        for id in handed_in.unfinished_submissions
        for command in ("watch", "cancel")
    ]
    return "\n".join([what, *lines])
