"""What a shot list asks of the diffusion engine, as the render service takes it; its pictures are uploaded before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path

import grpc

from continuity.api.common.v1 import render_options_pb2 as pb
from continuity.cli.files import read_photo
from continuity.client import CallFailed, ContinuityClient
from continuity.client.shotlist import (
    Hires,
    Layout,
    RenderOptions,
    ShotList,
    ShotListInvalid,
    Source,
    told_in_list,
)
from continuity.kernel.errors import InvalidValue

AT_ONCE = 4
NOTHING = RenderOptions()
Sources = Mapping[Path, str]
"""The SHA-256 by which the service knows each picture."""


async def upload_sources(client: ContinuityClient, shots: ShotList, shot_list: Path) -> Sources:
    """Upload every picture that the list begins with, each once.

    Raises ``ShotListInvalid`` for one that cannot be taken, at the place that names it first, and ``CallFailed``.
    """
    limit = asyncio.Semaphore(AT_ONCE)
    named: dict[Path, str] = {}
    for path, field in _pictures(shots):
        named.setdefault(path, field)

    async def upload(path: Path, field: str) -> tuple[Path, str]:
        async with limit:
            try:
                return path, await client.shots.upload_source(await asyncio.to_thread(read_photo, path))
            except (CallFailed, InvalidValue) as error:
                raise _in_list(shot_list, field, error) or error from None

    return dict(await asyncio.gather(*(upload(*each) for each in named.items())))


def _in_list(shot_list: Path, field: str, error: CallFailed | InvalidValue) -> ShotListInvalid | None:
    if isinstance(error, CallFailed) and error.status is not grpc.StatusCode.INVALID_ARGUMENT:
        return None
    return told_in_list(shot_list, field, str(error))


def over(options: RenderOptions | None, wins: RenderOptions) -> RenderOptions | None:
    """Return the options with those of ``wins`` that are given above them."""
    given = {each.name: getattr(wins, each.name) for each in fields(wins)}
    wanted = {name: value for name, value in given.items() if value != getattr(NOTHING, name)}
    return replace(options or NOTHING, **wanted) if wanted else options


def message(options: RenderOptions | None, sources: Sources) -> pb.RenderOptions | None:
    """Return the message; None where nothing is asked for."""
    if options is None:
        return None
    layout = options.layout or Layout()
    return pb.RenderOptions(
        checkpoint=options.checkpoint,
        steps=options.steps,
        guidance=options.guidance,
        rescale=options.rescale,
        sampler=options.sampler,
        schedule=options.schedule,
        clip_skip=options.clip_skip,
        loras=[pb.LoraUse(name=lora.name, scale=lora.scale) for lora in options.loras],
        hires=_hires(options.hires),
        refiner=options.refiner,
        images=options.images,
        layout_strength=layout.strength,
        layout_guide=layout.guide,
        identity_strength=options.identity_strength,
        source=_source(options.source, sources),
        prompt=options.prompt,
        negative=options.negative,
    )


def _hires(hires: Hires | None) -> pb.HiresFix | None:
    return pb.HiresFix(scale=hires.scale, strength=hires.strength, steps=hires.steps) if hires else None


def _source(source: Source | None, sources: Sources) -> pb.SourceImage | None:
    if source is None:
        return None
    mask = sources[source.mask] if source.mask else ""
    return pb.SourceImage(image_sha256=sources[source.image], mask_sha256=mask, strength=source.strength)


def _pictures(shots: ShotList) -> Iterator[tuple[Path, str]]:
    """Yield each picture with the field of the request that it is for."""
    own = ((f"shots[{place}].", shot.render) for place, (_, shot) in enumerate(shots.shots()))
    for holder, options in (("", shots.film.render), *own):
        if options and options.source:
            yield options.source.image, f"{holder}options.source.image_sha256"
            if options.source.mask:
                yield options.source.mask, f"{holder}options.source.mask_sha256"
