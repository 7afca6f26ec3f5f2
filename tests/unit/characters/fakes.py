"""Ports of the characters service, kept in memory, and characters in every state."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

from continuity.kernel.errors import InvalidValue
from continuity.kernel.values import Change, Failure, ObjectRef
from services.characters.domain.character import INGESTED, Character, analyzed, deleted, matted
from services.characters.domain.errors import CharacterMissing, CharacterNameTaken, LocationMissing
from services.characters.domain.location import Location, saved
from services.characters.domain.names import name_key
from services.characters.handlers.ports import OwnedCharacter, Picture

PROJECT = "film"
MATTE = ObjectRef("film/mattes/1", "11", 3, "image/png")
PICTURE = ObjectRef("film/characters/2", "22", 3, "image/png")
FAILURE = Failure("BROKEN", "it broke", {"part": "lens"})


class SetClock:
    """Stands where it was set."""

    def __init__(self, seconds: float = 1_000.0) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return self.seconds


def character(name: str = "Ward", id: str = "ward") -> Character:
    return Character(
        id=id,
        name=name,
        name_key=name_key(name),
        description="",
        height_m=1.7,
        state=INGESTED,
        version=1,
        photo=ObjectRef("film/characters/1", "11", 3, "image/jpeg"),
        picture=PICTURE,
        picture_width_px=640,
        picture_height_px=480,
        keep_background=False,
        intake_notes=(),
        content_hash="hash",
        create_time=100.0,
        update_time=100.0,
    )


def after(change: Change[Character] | None) -> Character:
    assert change is not None
    return change.aggregate


def ready_character() -> Character:
    return after(analyzed(after(matted(character(), MATTE, False, 101.0)), "seen", 102.0))


def deleted_character() -> Character:
    return after(deleted(character(), 101.0))


class InMemoryCharacters:
    """``before_write`` runs once before the next write: somebody else who is first."""

    def __init__(self, *characters: Character) -> None:
        self.stored = {(PROJECT, one.id): one for one in characters}
        self.events: list[object] = []
        self.reads = 0
        self.before_write: Callable[[], Awaitable[object]] | None = None
        self.unpublished: set[tuple[str, str]] = set()

    async def get(self, project: str, id: str) -> Character:
        self.reads += 1
        if (project, id) not in self.stored:
            raise CharacterMissing(id=id)
        return self.stored[project, id]

    async def named(self, project: str, name: str) -> Character | None:
        key = name_key(name)
        return next((one for (owner, _), one in self.stored.items() if (owner, one.name_key) == (project, key)), None)

    async def add(self, project: str, change: Change[Character]) -> None:
        await self._somebody_else()
        new = change.aggregate
        namesake = await self.named(project, new.name)
        if (project, new.id) in self.stored or namesake:
            raise CharacterNameTaken(name=new.name, id=namesake.id if namesake else new.id)
        self._write(project, change)

    async def change(self, project: str, id: str, decide: Callable[[Character], Change[Character] | None]) -> Character:
        await self._somebody_else()
        change = decide(await self.get(project, id))
        if change is not None:
            namesake = await self.named(project, change.aggregate.name)
            if change.aggregate.name_key and namesake and namesake.id != id:
                raise CharacterNameTaken(name=namesake.name, id=namesake.id)
            self._write(project, change)
        return self.stored[project, id]

    async def unanswered(self, limit: int) -> list[OwnedCharacter]:
        found = [OwnedCharacter(project, one) for (project, _), one in self.stored.items() if one.state == INGESTED]
        return sorted(found, key=lambda owned: owned.character.look_time or 0.0)[:limit]

    async def has_unpublished(self, project: str, id: str) -> bool:
        return (project, id) in self.unpublished

    def _write(self, project: str, change: Change[Character]) -> None:
        self.stored[project, change.aggregate.id] = change.aggregate
        self.events += change.events

    async def _somebody_else(self) -> None:
        if self.before_write is not None:
            first, self.before_write = self.before_write, None
            await first()


class InMemoryLocations:
    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], Location] = {}
        self.events: list[object] = []

    async def named(self, project: str, name: str) -> Location | None:
        key = name_key(name)
        return next((one for (owner, _), one in self.stored.items() if (owner, one.name_key) == (project, key)), None)

    async def get(self, project: str, id: str) -> Location:
        if (project, id) not in self.stored:
            raise LocationMissing(id=id)
        return self.stored[project, id]

    async def save(
        self, project: str, location: Location, decide: Callable[[Location], Change[Location] | None]
    ) -> Location:
        if (project, location.id) in self.stored:
            return await self.change(project, location.id, decide)
        self._write(project, saved(location))
        return location

    async def change(self, project: str, id: str, decide: Callable[[Location], Change[Location] | None]) -> Location:
        change = decide(await self.get(project, id))
        if change is not None:
            self._write(project, change)
        return self.stored[project, id]

    def _write(self, project: str, change: Change[Location]) -> None:
        self.stored[project, change.aggregate.id] = change.aggregate
        self.events += change.events


class PlainIntake:
    """Takes every photograph but ``b"bad"``."""

    async def read(self, photo: bytes) -> Picture:
        if photo == b"bad":
            raise InvalidValue("photo", "bad", "a photograph")
        return Picture(b"png of " + photo, 640, 480, "image/jpeg", ("rotated by EXIF",))


class InMemoryPictures:
    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    async def store(self, project: str, data: bytes, content_type: str) -> ObjectRef:
        sha256 = hashlib.sha256(data).hexdigest()
        self.stored[f"{project}/characters/{sha256}"] = data
        return ObjectRef(f"{project}/characters/{sha256}", sha256, len(data), content_type)

    def address(self, picture: ObjectRef) -> str:
        return f"https://cdn.example.org/{picture.key}"
