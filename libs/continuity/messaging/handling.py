"""Running a service's handlers on records, whether they come from the broker or were held."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.message import Message

from continuity.documents.port import DocumentsBusy, DocumentsMisconfigured, DocumentsUnavailable
from continuity.kernel.errors import ContinuityError
from continuity.kernel.values import Failure
from continuity.messaging.cause import caused_by
from continuity.messaging.codec import decode
from continuity.messaging.envelope import Event
from continuity.messaging.observed import processing, watch_outcomes
from continuity.messaging.record import Record
from continuity.messaging.topics import Topic
from continuity.telemetry.tracing import note_content

_log = logging.getLogger(__name__)

EventHandler: TypeAlias = Callable[[str, Any], Awaitable[None]]
"""Called with the project and the protobuf message."""
DeadHandler: TypeAlias = Callable[[Event, Failure], Awaitable[None]]

STACK_LIMIT = 4_000


@dataclass(frozen=True)
class Subscription:
    """What a service does with one topic: a handler for each message that it knows.

    ``on_dead`` is told of events that are given up; it may be told more than once.
    """

    topic: Topic
    handlers: Mapping[type[Message], EventHandler]
    on_dead: DeadHandler | None = None


@dataclass(eq=False)
class HandlerFailed(ContinuityError):
    """A handler broke on an event in a way that it did not foresee."""

    template = "the handler broke: {cause}"
    cause: str


@dataclass(frozen=True)
class Failed:
    """Why a record was not handled, and where."""

    error: ContinuityError
    stack: str

    @classmethod
    def by(cls, error: ContinuityError, cause: Exception | None = None) -> Failed:
        """Return an error with the stack that led to it, or to what caused it; its end says most."""
        return cls(error, "".join(traceback.format_exception(cause or error))[-STACK_LIMIT:])

    @property
    def store_away(self) -> bool:
        """Whether it was the service's own store that did not answer: no fault of the event's."""
        return isinstance(self.error, DocumentsUnavailable | DocumentsBusy | DocumentsMisconfigured)


class Handling:
    """The handlers of one service by topic and message."""

    def __init__(self, service: str, subscriptions: Iterable[Subscription]) -> None:
        self.service = service
        self.outcomes: Counter[str] = Counter()
        watch_outcomes(service, self.outcomes)
        self._subscriptions = {each.topic.name: each for each in subscriptions}
        self._handlers = {
            (topic, message.DESCRIPTOR.name): (message, run)
            for topic, subscription in self._subscriptions.items()
            for message, run in subscription.handlers.items()
        }

    @property
    def topics(self) -> list[str]:
        """The topics that the service consumes."""
        return list(self._subscriptions)

    def dead_letter_topic(self, topic: str) -> str:
        """Return where the dead letters of a topic go; empty where it has none, or is consumed no more."""
        return self._subscriptions[topic].topic.dead_letter if topic in self._subscriptions else ""

    async def __call__(self, record: Record) -> Failed | None:
        """Handle a record; return what went wrong. A type that this version does not know is skipped."""
        try:
            outcome = await self._handle(record)
        except ContinuityError as error:
            return Failed.by(error)
        except Exception as error:
            _log.exception("%s could not handle a record of %s", self.service, record.topic)
            return Failed.by(HandlerFailed(cause=type(error).__name__), error)
        self.outcomes[outcome] += 1
        return None

    async def give_up(self, record: Record, failure: Failure) -> None:
        """Tell the service that an event is given up, so that it can mark the aggregate. Raises what that raises."""
        subscription = self._subscriptions.get(record.topic)
        if subscription is None or subscription.on_dead is None:
            return
        event = record.event()
        if (record.topic, event.type) in self._handlers:
            with caused_by(event):
                await subscription.on_dead(event, failure)

    async def _handle(self, record: Record) -> str:
        event = record.event()
        known = self._handlers.get((record.topic, event.type))
        if known is None or event.of_later_version:
            return self._not_handled(record.topic, event)
        message, run = known
        with caused_by(event), processing(record.topic, self.service, event) as handled:
            payload = decode(event, message)
            note_content(handled, payload)
            await run(event.project, payload)
        return "handled"

    def _not_handled(self, topic: str, event: Event) -> str:
        """Return what becomes of an event that nothing handles: it is not for this service, or of a later version."""
        subscription = self._subscriptions.get(topic)
        if subscription is not None and event.type in subscription.topic.events and not event.of_later_version:
            return "passed over"
        # A rolling upgrade sends what this version does not know; it is no fault.
        return "unknown"
