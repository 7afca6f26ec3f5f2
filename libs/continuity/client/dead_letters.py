"""Dead letters: events that a service could not handle and has put aside. For operators."""

from __future__ import annotations

import pkgutil
from collections.abc import AsyncIterator
from functools import cache
from importlib import import_module

from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from continuity.api.events import v1 as events
from continuity.api.operations.v1.dead_letter_pb2 import DeadLetter
from continuity.api.operations.v1.dead_letter_service_pb2 import (
    DropDeadLetterRequest,
    GetDeadLetterRequest,
    GetDeadLetterResponse,
    ListDeadLettersRequest,
    ReplayDeadLetterRequest,
)
from continuity.api.operations.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from continuity.client.transport import Transport

CONSUMERS = ("characters", "vision", "matting", "prompts", "rendering")
"""The services that consume events, each with dead letters of its own."""
SERVICE_HEADER = "x-continuity-service"
"""Metadata by which a proxy finds the process that keeps a service's dead letters."""


class DeadLetters:
    """The dead letters of every project, by the service that could not handle them. Methods raise ``CallFailed``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stub = DeadLetterServiceStub(transport.channel)

    async def list(self, consumer: str, *, page_size: int = 0) -> AsyncIterator[DeadLetter]:
        """Yield the dead letters of a service, newest first."""
        request = ListDeadLettersRequest(consumer=consumer, page_size=page_size)
        call = self._transport.to(SERVICE_HEADER, consumer)
        while True:
            page = await call.unary(self._stub.ListDeadLetters, request, repeatable=True)
            for letter in page.dead_letters:
                yield letter
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def get(self, consumer: str, id: str) -> GetDeadLetterResponse:
        """Return a dead letter with its content."""
        request = GetDeadLetterRequest(consumer=consumer, id=id)
        call = self._transport.to(SERVICE_HEADER, consumer)
        return await call.unary(self._stub.GetDeadLetter, request, repeatable=True)

    async def replay(self, consumer: str, id: str) -> None:
        """Have the event handled again.

        Called once only: a repetition would not find the dead letter that the first call has set going.
        """
        request = ReplayDeadLetterRequest(consumer=consumer, id=id)
        call = self._transport.to(SERVICE_HEADER, consumer)
        await call.unary(self._stub.ReplayDeadLetter, request, repeatable=False)

    async def drop(self, consumer: str, id: str) -> None:
        """Forget the event. Called once only, as ``replay`` is."""
        request = DropDeadLetterRequest(consumer=consumer, id=id)
        call = self._transport.to(SERVICE_HEADER, consumer)
        await call.unary(self._stub.DropDeadLetter, request, repeatable=False)


def opened(event_type: str, payload: bytes) -> Message | None:
    """Return the event that a payload holds; None when the type is unknown or the bytes are something else."""
    message = _messages().get(event_type)
    if message is None:
        return None
    try:
        return message.FromString(payload)
    except DecodeError:
        return None


@cache
def _messages() -> dict[str, type[Message]]:
    names = [module.name for module in pkgutil.iter_modules(events.__path__) if module.name.endswith("_pb2")]
    files = [import_module(f"{events.__name__}.{name}").DESCRIPTOR for name in names]
    return {name: GetMessageClass(found) for file in files for name, found in file.message_types_by_name.items()}
