"""Characters and locations of a shot list, brought into the project."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import grpc

from continuity.api.characters.v1.character_pb2 import (
    CHARACTER_STATE_READY,
    FIGURE_SOURCE_BACKGROUND_KEPT,
    FIGURE_SOURCE_FALLBACK,
    Character,
)
from continuity.api.common.v1.shot_pb2 import LocationType, TimeOfDay, Weather
from continuity.cli.choices import value
from continuity.cli.files import read_photo
from continuity.client import CallFailed, ContinuityClient, shotlist

DEFAULT_HEIGHT_M = 1.70
AT_ONCE = 4
LOOKS_AGAIN = 2
Note = Callable[[str], None]
Made = tuple[str, str, str]
"""A name of the list, the id by which the project has it, and a hash of what the list says of it."""


@dataclass(frozen=True)
class Cast:
    """Ids by the names of the shot list, and a hash of everything that the list says of them, photographs included."""

    characters: dict[str, str]
    locations: dict[str, str]
    content: str


async def bring_in(client: ContinuityClient, shots: shotlist.ShotList, note: Note) -> Cast:
    """Add what is missing and change what differs, so that the project holds what the list says."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def character(wanted: shotlist.Character) -> Made:
        async with limit:
            photo = await asyncio.to_thread(read_photo, wanted.photo)
            kept = await _character(client, wanted, photo, note)
            return wanted.name, kept.id, _hash(wanted.keep_background, wanted.description, wanted.height_m, photo)

    async def location(wanted: shotlist.Location) -> Made:
        async with limit:
            photo = await asyncio.to_thread(read_photo, wanted.photo) if wanted.photo else b""
            saved = await _location(client, wanted, photo)
            said = (wanted.type, wanted.description, wanted.time_of_day, wanted.weather)
            return wanted.name, saved, _hash(*said, photo)

    characters = await _all(map(character, shots.characters))
    locations = await _all(map(location, shots.locations))
    return Cast(_ids(characters), _ids(locations), _hash(*characters, *locations))


async def until_ready(client: ContinuityClient, cast: Cast, note: Note) -> None:
    """Wait until every character can be cast, and say what of it did not go well."""
    for character in await asyncio.gather(*map(client.characters.until_ready, cast.characters.values())):
        if character.figure_source == FIGURE_SOURCE_FALLBACK:
            note(f"{character.name}: not cut out, the photograph is used ({character.matting_failure.message})")
        if character.HasField("analysis_failure"):
            note(f"{character.name}: not analysed ({character.analysis_failure.message})")


async def _character(
    client: ContinuityClient, wanted: shotlist.Character, photo: bytes, note: Note, looks_again: int = LOOKS_AGAIN
) -> Character:
    """Find the character or make it; where another command takes the name in between, look again."""
    existing = await _existing(client, wanted.name)
    if existing and not (changed := _differences(existing, wanted, photo)):
        return existing
    if existing:
        note(_consequence(wanted.name, changed))
    else:
        note(f"{wanted.name}: adding the character, analysing and cutting out")
    try:
        if existing:
            return await _unbroken(_replace(client, existing, wanted, photo))
        return await _create(client, wanted, photo)
    except CallFailed as failed:
        if failed.status is not grpc.StatusCode.ALREADY_EXISTS or not looks_again:
            raise
    return await _character(client, wanted, photo, note, looks_again - 1)


def _consequence(name: str, changed: list[str]) -> str:
    return (
        f"{name}: {', '.join(changed)} changed, making the character anew; every film of this project that names"
        f" {name} has the new one from now on (CONTINUITY_PROJECT keeps films apart), shots handed in keep theirs"
    )


async def _replace(
    client: ContinuityClient, existing: Character, wanted: shotlist.Character, photo: bytes
) -> Character:
    """Make the character anew. The name is free only when the one that has it is gone."""
    await _delete(client, existing.id)
    return await _create(client, wanted, photo)


async def _unbroken(work: Coroutine[Any, Any, Character]) -> Character:
    """Do the work to its end, also when it is to be cancelled amid it: half done, a character is lost."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _all(works: Iterable[Awaitable[Made]]) -> list[Made]:
    """Return what each has made, once all have ended: where one fails, no other is left amid its work."""
    ended = await asyncio.gather(*works, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return [each for each in ended if not isinstance(each, BaseException)]


async def _create(client: ContinuityClient, wanted: shotlist.Character, photo: bytes) -> Character:
    return await client.characters.create(
        wanted.name,
        photo,
        keep_background=wanted.keep_background,
        description=wanted.description,
        height_m=wanted.height_m or 0.0,
    )


async def _existing(client: ContinuityClient, name: str) -> Character | None:
    try:
        return await client.characters.get(name)
    except CallFailed as failed:
        if failed.status is grpc.StatusCode.NOT_FOUND:
            return None
        raise


async def _delete(client: ContinuityClient, id: str) -> None:
    """Delete the character, unless another command has."""
    try:
        await client.characters.delete(id)
    except CallFailed as failed:
        if failed.status is not grpc.StatusCode.NOT_FOUND:
            raise


def _differences(existing: Character, wanted: shotlist.Character, photo: bytes) -> list[str]:
    kept = existing.figure_source == FIGURE_SOURCE_BACKGROUND_KEPT
    differs = {
        "photograph": existing.photo.sha256 != hashlib.sha256(photo).hexdigest(),
        "description": existing.description != wanted.description,
        "height": abs(existing.height_m - (wanted.height_m or DEFAULT_HEIGHT_M)) > 1e-6,
        # Which figure it is to be shows only when it is there.
        "background": existing.state == CHARACTER_STATE_READY and kept != wanted.keep_background,
    }
    return [what for what, does in differs.items() if does]


async def _location(client: ContinuityClient, wanted: shotlist.Location, photo: bytes) -> str:
    saved = await client.locations.save(
        wanted.name,
        value(LocationType, wanted.type),
        description=wanted.description,
        time_of_day=value(TimeOfDay, wanted.time_of_day),
        weather=value(Weather, wanted.weather),
        photo=photo,
    )
    return saved.id


def _ids(made: Iterable[Made]) -> dict[str, str]:
    return {name: id for name, id, _ in made}


def _hash(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(len(data).to_bytes(8) + data)
    return digest.hexdigest()
