"""Ports of the matting service, kept in memory."""

from __future__ import annotations

from continuity.kernel.values import Change, ObjectRef
from services.matting.domain.errors import MatteMissing, NoFigureFound
from services.matting.domain.matte import MatteRecord, answered


class InMemoryMattes:
    def __init__(self) -> None:
        self.stored: dict[tuple[str, str, int], MatteRecord] = {}
        self.events: list[object] = []

    async def add(self, project: str, change: Change[MatteRecord]) -> None:
        record = change.aggregate
        key = (project, record.character_id, record.version)
        if key not in self.stored:
            self.stored[key] = record
            self.events += change.events

    async def tell_again(self, project: str, character_id: str, version: int, picture: ObjectRef) -> bool:
        record = self.stored.get((project, character_id, version))
        if record is not None:
            self.events += answered(record, picture).events
        return record is not None

    async def latest(self, project: str, character_id: str) -> MatteRecord:
        versions = [key[2] for key in self.stored if key[:2] == (project, character_id)]
        if not versions:
            raise MatteMissing(character_id=character_id)
        return self.stored[project, character_id, max(versions)]


class PrefixMatter:
    """Finds a figure in every picture but ``b"flat"``."""

    async def cut_out(self, picture: bytes) -> bytes:
        if picture == b"flat":
            raise NoFigureFound(cause="it is flat")
        return b"figure of " + picture


class PicturesByKey:
    def __init__(self) -> None:
        self.stored: list[bytes] = []

    async def read(self, key: str) -> bytes:
        return key.encode()

    async def store(self, project: str, data: bytes) -> ObjectRef:
        self.stored.append(data)
        return ObjectRef(f"{project}/mattes/{data.decode()}", "00", len(data), "image/png")
