"""Dead letters by gRPC: each process answers for the services that it hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import grpc

from continuity.api.common.v1.object_pb2 import Failure
from continuity.api.operations.v1 import dead_letter_service_pb2 as pb
from continuity.api.operations.v1 import dead_letter_service_pb2_grpc as pb_grpc
from continuity.api.operations.v1.dead_letter_pb2 import DeadLetter, DeadLetterContent
from continuity.kernel.clock import utc
from continuity.kernel.errors import Absent
from continuity.messaging.envelope import TYPE_PREFIX
from continuity.messaging.held_event import DEAD, HeldEvent, State
from continuity.messaging.held_events import HeldEventMissing
from continuity.rpc.errors import Context
from continuity.wire.conversion import to_message

DEFAULT_PAGE = 50
RPC_NAMES = (pb.DESCRIPTOR.services_by_name["DeadLetterService"].full_name,)


class HeldLetters(Protocol):
    """The held events of one service, of which the dead ones are asked for here."""

    async def list(self, state: State = DEAD, limit: int = 50, token: str = "") -> tuple[list[HeldEvent], str]:
        """Return those in this state, newest first, and the token of the next page."""
        ...

    async def get(self, id: str) -> HeldEvent:
        """Return one, in whatever state. Raises ``HeldEventMissing``."""
        ...

    async def replay(self, id: str) -> None:
        """Let it be handled again. Raises ``HeldEventMissing`` and ``NotReplayable``."""
        ...

    async def drop(self, id: str) -> None:
        """Let go of it. Raises ``HeldEventMissing`` and ``NotReplayable``."""
        ...


@dataclass(eq=False)
class ConsumerMissing(Absent):
    """No service of this name is hosted here."""

    template = "the dead letters of {consumer!r} are not kept here, only those of {hosted}"
    consumer: str
    hosted: str


class DeadLetterServicer(pb_grpc.DeadLetterServiceServicer):
    """``continuity.api.operations.v1.DeadLetterService`` for the consumers that are hosted here, by name."""

    def __init__(self, consumers: Mapping[str, HeldLetters]) -> None:
        self._consumers = dict(consumers)

    def register(self, server: grpc.aio.Server) -> None:
        """Serve it."""
        pb_grpc.add_DeadLetterServiceServicer_to_server(self, server)

    async def ListDeadLetters(  # noqa: N802
        self, request: pb.ListDeadLettersRequest, context: Context
    ) -> pb.ListDeadLettersResponse:
        """Return a page of dead letters."""
        limit = request.page_size or DEFAULT_PAGE
        found, token = await self._of(request.consumer).list(DEAD, limit, request.page_token)
        letters = [letter(request.consumer, held) for held in found]
        return pb.ListDeadLettersResponse(dead_letters=letters, next_page_token=token)

    async def GetDeadLetter(  # noqa: N802
        self, request: pb.GetDeadLetterRequest, context: Context
    ) -> pb.GetDeadLetterResponse:
        """Return one dead letter with all that is kept of it."""
        held = await self._of(request.consumer).get(request.id)
        if held.state != DEAD:
            raise HeldEventMissing(consumer=request.consumer, id=request.id)
        return pb.GetDeadLetterResponse(dead_letter=letter(request.consumer, held), content=content(held))

    async def ReplayDeadLetter(  # noqa: N802
        self, request: pb.ReplayDeadLetterRequest, context: Context
    ) -> pb.ReplayDeadLetterResponse:
        """Hand the event to its consumer again."""
        await self._of(request.consumer).replay(request.id)
        return pb.ReplayDeadLetterResponse()

    async def DropDeadLetter(  # noqa: N802
        self, request: pb.DropDeadLetterRequest, context: Context
    ) -> pb.DropDeadLetterResponse:
        """Forget the event."""
        await self._of(request.consumer).drop(request.id)
        return pb.DropDeadLetterResponse()

    def _of(self, consumer: str) -> HeldLetters:
        held = self._consumers.get(consumer)
        if held is None:
            raise ConsumerMissing(consumer=consumer, hosted=", ".join(sorted(self._consumers)) or "nobody")
        return held


def letter(consumer: str, held: HeldEvent) -> DeadLetter:
    """Return a held event without its content."""
    said, record = held.said, held.record
    made = DeadLetter(
        id=held.id,
        consumer=consumer,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=(record.key or b"").decode(errors="replace"),
        project=said.get("ce_project", ""),
        event_id=said.get("ce_id", ""),
        event_type=said.get("ce_type", "").removeprefix(TYPE_PREFIX),
        event_source=said.get("ce_source", ""),
        failure=to_message(held.failure, Failure) if held.failure else None,
        attempts=held.attempts,
    )
    made.hold_time.FromDatetime(utc(held.hold_time))
    return made


def content(held: HeldEvent) -> DeadLetterContent:
    """Return all that is kept of a held event."""
    return DeadLetterContent(headers=held.said, payload=held.record.value, cut=held.cut, stack=held.stack)
