"""A shot list rendered: cast, submission, watch, files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc

from continuity.api.rendering.v1.job_pb2 import JOB_STATE_SUCCEEDED, Job
from continuity.cli.engine import RendererSettings
from continuity.cli.exits import ExitCode
from continuity.cli.files import write_atomically
from continuity.cli.film.board import Board
from continuity.cli.film.cast import bring_in, until_ready
from continuity.cli.film.checking import refusals
from continuity.cli.film.handing_in import HandedIn, hand_in
from continuity.cli.film.keyframes import EARLIER, Keyframes
from continuity.cli.film.leaving import how_to_go_on, leave
from continuity.cli.film.manifest import manifest
from continuity.cli.film.options import upload_sources
from continuity.cli.film.pictures import with_pictures_looked_at
from continuity.cli.film.progress import Progress, progress
from continuity.cli.film.renewal import Renewal
from continuity.cli.film.sheet import sheet_png
from continuity.cli.film.submission import Overrides, overridden, submission
from continuity.cli.output import Output
from continuity.cli.session import Session
from continuity.client import CallFailed, ContinuityClient
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
            shots, handed_in = await _prepare(client, order, session)
        if not order.wait:
            return leave(handed_in, order.out, session.output)
        keyframes = Keyframes(order.out)
        with _saying_what_is_kept(order, session.output):
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


@contextmanager
def _saying_what_is_kept(order: Order, output: Output) -> Iterator[None]:
    """Say, when the services go while the jobs are on their way, that nothing is lost."""
    try:
        yield
    except CallFailed as failed:
        if failed.status is grpc.StatusCode.UNAVAILABLE:
            command = "the same command without --again" if order.overrides.again else "the same command"
            output.note(f"what was handed in is kept, and {command} goes on from there")
        raise


async def _prepare(client: ContinuityClient, order: Order, session: Session) -> tuple[ShotList, HandedIn]:
    note = session.output.note
    shots, overrides = await _read(client, order)
    sources = await upload_sources(client, shots, order.shot_list)  # what is refused of them must change no character
    cast = await bring_in(client, shots, note)
    if order.wait:
        await until_ready(client, cast, note)
    asked = submission(shots, cast, sources, overrides)
    renewal = Renewal(session.settings, asked, cast.content)
    first = renewal.request(again=overrides.again)
    handed_in = await hand_in(client, first, asked, order.shot_list, note)
    if overrides.again:
        renewal.keep(first, note)
    return shots, handed_in


async def _read(client: ContinuityClient, order: Order) -> tuple[ShotList, Overrides]:
    spellings = await client.vocabulary.spellings()
    overrides = replace(order.overrides, commercial=RendererSettings().commercial)
    if overrides.style is not None:
        overrides = replace(overrides, style=_style(overrides.style, spellings["style"]))
    draft = await with_pictures_looked_at(read_draft(order.shot_list, spellings))
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
        output.note(how_to_go_on(output, handed_in, f"the {len(handed_in.jobs)} jobs go on without you"))
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
    if earlier := await asyncio.to_thread(keyframes.put_aside_earlier, jobs):
        output.note(f"no longer what the film is, and so put aside in {out / EARLIER}: {', '.join(earlier)}")
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
