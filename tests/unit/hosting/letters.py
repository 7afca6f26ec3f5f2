"""The dead letters of some services in a real store, behind a real gRPC port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.message import Message

from continuity.api.events.v1.character_events_pb2 import CharacterIngested
from continuity.documents import OutgoingEvent
from continuity.documents.sqlite import SqliteDocuments
from continuity.hosting.dead_letters import RPC_NAMES, DeadLetterServicer
from continuity.kernel.errors import ContinuityError, InvalidValue, Unavailable
from continuity.messaging.envelope import headers
from continuity.messaging.handling import Failed
from continuity.messaging.held_event import HeldEvent
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.record import Record
from continuity.rpc.server import RpcServer

T = TypeVar("T")

REFUSED = InvalidValue(field="picture", value="", limit="there must be one")
AWAY = Unavailable()


def ingested(name: str, number: int) -> Record:
    """Return the record of one event."""
    message: Message = CharacterIngested(character_id=f"c-{number}", version=1, name=name)
    event = OutgoingEvent(
        id=f"e-{number}",
        source="continuity/characters",
        type="CharacterIngested",
        topic="continuity.character.v1",
        key=f"c-{number}",
        project="noir",
        time=0.0,
        payload=message.SerializeToString(),
    )
    said = tuple((name, value.encode()) for name, value in headers(event).items())
    return Record(event.topic, 2, number, event.key.encode(), said, event.payload)


@dataclass
class House:
    """Services by name, and where they are asked for their dead letters."""

    address: str
    held: dict[str, HeldEvents]
    loop: asyncio.AbstractEventLoop

    def put_aside(self, consumer: str, record: Record, error: ContinuityError = REFUSED, stack: str = "") -> HeldEvent:
        """Hold a record as a consumer does that could not handle it."""
        return self.run(self.held[consumer].hold(record, Failed(error, stack)))

    def states(self, consumer: str) -> dict[str, str]:
        """Return the state of every held event by id."""

        async def read() -> dict[str, str]:
            pages = [await self.held[consumer].list(state, 500) for state in ("waiting", "dead")]  # type: ignore[arg-type]
            return {held.id: held.state for found, _ in pages for held in found}

        return self.run(read())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)


@contextmanager
def keeping(folder: Path, *consumers: str) -> Iterator[House]:
    """Serve in a thread with a loop of its own, so that a command may run a loop, too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[House, RpcServer, SqliteDocuments]:
        collections = [held_collection(name) for name in consumers]
        documents = await SqliteDocuments(folder / "held.sqlite3", collections).open()
        held = {name: HeldEvents(documents, name) for name in consumers}
        server = RpcServer("127.0.0.1:0")
        server.add(DeadLetterServicer(held).register, RPC_NAMES)
        return House(await server.start(), held, loop), server, documents

    house, server, documents = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield house
    finally:
        house.run(server.stop(0))
        house.run(documents.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
