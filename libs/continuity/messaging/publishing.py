"""Publishing many outboxes at once: sent in order, confirmed together, each with an outcome of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError
from faststream.exceptions import IncorrectState

from continuity.documents.port import OutgoingEvent
from continuity.kernel.errors import ContinuityError, Unavailable
from continuity.messaging.connection import BrokerUnavailable
from continuity.messaging.observed import Sending

Confirmation: TypeAlias = "asyncio.Future[Any]"
Send: TypeAlias = Callable[[OutgoingEvent], Awaitable[Confirmation]]
"""Returns when the event is on its way; the future is done when the broker has confirmed it."""
Silence: TypeAlias = Callable[[str], ContinuityError]
"""Returns why nothing was heard of an event for this topic."""


@dataclass(eq=False)
class TopicMissing(Unavailable):
    """An event's topic does not exist; the events wait until it does."""

    template = "topic {topic} does not exist; its services make it when they connect, and again when it is gone"
    topic: str


@dataclass(eq=False)
class EventRefused(Unavailable):
    """The broker answers and does not take the event; it waits until somebody has changed that."""

    template = "the broker refuses an event for {topic}: {cause}"
    topic: str
    cause: str


@dataclass(frozen=True)
class Published:
    """How many events of an outbox are confirmed, from its front, and what stopped it there."""

    count: int
    error: ContinuityError | None = None


async def publish_each(
    outboxes: Sequence[Sequence[OutgoingEvent]], send: Send, silence: Silence, timeout_s: float
) -> list[Published]:
    """Publish each outbox in order up to its first failure. One that is refused holds up no other."""
    dispatches = [_Dispatch(outbox) for outbox in outboxes]
    try:
        async with asyncio.timeout(timeout_s):
            for dispatch in dispatches:
                await dispatch.send(send)
            confirmations = [each for dispatch in dispatches for each in dispatch.confirmations]
            if confirmations:
                await asyncio.wait(confirmations)
    except TimeoutError:
        pass  # what is not confirmed by now counts as not published
    return [dispatch.outcome(silence) for dispatch in dispatches]


@dataclass
class _Dispatch:
    """One outbox on its way."""

    outbox: Sequence[OutgoingEvent]
    confirmations: list[Confirmation] = field(default_factory=list)
    refusal: ContinuityError | None = None

    async def send(self, send: Send) -> None:
        for event in self.outbox:
            sending = Sending(event)
            try:
                confirmation = await send(event)
            except (ContinuityError, OSError, KafkaError, IncorrectState) as error:
                self.refusal = refused(event.topic, error)
                sending.end(self.refusal)
                return
            except BaseException as error:  # there was no more time for it
                sending.end(error)
                raise
            confirmation.add_done_callback(partial(retrieved, sending))
            self.confirmations.append(confirmation)

    def outcome(self, silence: Silence) -> Published:
        for number, confirmation in enumerate(self.confirmations):
            if not confirmation.done() or confirmation.cancelled():
                return Published(number, silence(self.outbox[number].topic))
            if (error := confirmation.exception()) is not None:
                return Published(number, refused(self.outbox[number].topic, error))
        sent = len(self.confirmations)
        if sent == len(self.outbox):
            return Published(sent)
        return Published(sent, self.refusal or silence(self.outbox[sent].topic))


def refused(topic: str, error: BaseException) -> ContinuityError:
    """Return what a client's error means."""
    if isinstance(error, ContinuityError):
        return error
    if isinstance(error, UnknownTopicOrPartitionError):
        return TopicMissing(topic=topic)
    lasting = isinstance(error, KafkaError) and not error.retriable and error.errno > 0
    if lasting or isinstance(error, TopicAuthorizationFailedError):
        return EventRefused(topic=topic, cause=type(error).__name__)
    return BrokerUnavailable()


def retrieved(sending: Sending, confirmation: Confirmation) -> None:
    """Look at the outcome: one that comes too late is nobody's to ask for."""
    sending.end(BrokerUnavailable() if confirmation.cancelled() else confirmation.exception())
