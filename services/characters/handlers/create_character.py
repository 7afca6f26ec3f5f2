"""Make a character from a photograph."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from continuity.kernel.clock import Clock
from continuity.kernel.errors import Exists
from continuity.kernel.ids import derived_id, new_id
from services.characters.domain.character import ANSWER_LOOK_S, DEFAULT_HEIGHT_M, INGESTED, Character, ingested
from services.characters.domain.errors import CharacterMissing, CharacterNameTaken, RequestReused
from services.characters.domain.names import clean_name, name_key
from services.characters.handlers.ports import Characters, PhotoIntake, Picture, Pictures


@dataclass(frozen=True)
class NewCharacter:
    """What the caller asks for."""

    name: str
    photo: bytes
    keep_background: bool
    description: str
    height_m: float
    request_id: str
    project: str = ""

    @property
    def content_hash(self) -> str:
        """The same for two requests that ask for the same."""
        asked = [self.name, self.keep_background, self.description, self.height_m]
        return hashlib.sha256(json.dumps(asked).encode() + self.photo).hexdigest()


@dataclass(frozen=True)
class CreateCharacter:
    """Stores photograph and character; the answer comes when both are durable."""

    characters: Characters
    intake: PhotoIntake
    pictures: Pictures
    clock: Clock

    async def __call__(self, asked: NewCharacter) -> Character:
        """Return the new character, or the one that this request made before."""
        id = derived_id("character", asked.project, asked.request_id) if asked.request_id else new_id()
        earlier = await self._earlier(asked, id)
        if earlier is not None and not earlier.deleted:
            return earlier
        await self._refuse_taken_name(asked)
        character = await self._made(asked, id, await self.intake.read(asked.photo))
        if earlier is not None:
            again = replace(character, version=earlier.version + 1, ingested_version=earlier.version + 1)
            return await self.characters.change(
                asked.project, id, lambda current: ingested(again) if current.deleted else None
            )
        try:
            await self.characters.add(asked.project, ingested(character))
        except Exists:
            raced = await self._earlier(asked, id)
            if raced is not None:
                return raced
            raise
        return character

    async def _earlier(self, asked: NewCharacter, id: str) -> Character | None:
        try:
            earlier = await self.characters.get(asked.project, id)
        except CharacterMissing:
            return None
        if earlier.content_hash != asked.content_hash:
            raise RequestReused(request_id=asked.request_id)
        return earlier

    async def _refuse_taken_name(self, asked: NewCharacter) -> None:
        taken = await self.characters.named(asked.project, asked.name)
        if taken is not None:
            raise CharacterNameTaken(name=taken.name, id=taken.id)

    async def _made(self, asked: NewCharacter, id: str, picture: Picture) -> Character:
        now = self.clock.now()
        return Character(
            id=id,
            name=clean_name(asked.name),
            name_key=name_key(asked.name),
            description=asked.description,
            height_m=asked.height_m or DEFAULT_HEIGHT_M,
            state=INGESTED,
            version=1,
            photo=await self.pictures.store(asked.project, asked.photo, picture.source_content_type),
            picture=await self.pictures.store(asked.project, picture.png, "image/png"),
            picture_width_px=picture.width_px,
            picture_height_px=picture.height_px,
            keep_background=asked.keep_background,
            intake_notes=picture.notes,
            content_hash=asked.content_hash,
            create_time=now,
            update_time=now,
            look_time=now + ANSWER_LOOK_S,
        )
