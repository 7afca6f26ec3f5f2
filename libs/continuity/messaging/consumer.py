"""Consuming: an event is handled, or retried a bounded number of times, or put aside; then it is acknowledged.

Acknowledgement is always explicit. An event that its handler refuses for good goes to the topic's dead-letter topic, so
that it never blocks the ones behind it; ``on_dead`` lets the service mark the aggregate.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from faststream.kafka import KafkaMessage
from google.protobuf.message import Message

from continuity.kernel.errors import ContinuityError
from continuity.messaging.bus import BrokerUnavailable, EventBus
from continuity.messaging.cause import caused_by
from continuity.messaging.codec import decode
from continuity.messaging.envelope import MAX_EVENT_BYTES, Event, EventMalformed, open_envelope, readable
from continuity.messaging.topics import Topic

_log = logging.getLogger(__name__)

EventHandler: TypeAlias = Callable[[str, Any], Awaitable[None]]
"""Called with the project and the protobuf message."""
DeadHandler: TypeAlias = Callable[[Event, ContinuityError], Awaitable[None]]

MAX_ATTEMPTS = 5
FIRST_DELAY_S = 0.1
MAX_DELAY_S = 3.0


class Checkpoints(Protocol):
    """Remembers what a group has handled, where the broker does not."""

    async def handled(self, group: str, event_id: str) -> None:
        """Note that a group has handled an event."""
        ...


@dataclass(frozen=True)
class Subscription:
    """What a service does with one topic: a handler for each message that it knows."""

    topic: Topic
    handlers: Mapping[type[Message], EventHandler]
    on_dead: DeadHandler | None = None


class Consumer:
    """Drives one subscription in the service's group."""

    def __init__(self, bus: EventBus, subscription: Subscription, checkpoints: Checkpoints) -> None:
        self._bus = bus
        self._subscription = subscription
        self._checkpoints = checkpoints
        self._handlers = {message.DESCRIPTOR.name: (message, run) for message, run in subscription.handlers.items()}
        self.outcomes: Counter[str] = Counter()
        bus.subscribe(subscription.topic.name, self.consume)

    async def consume(self, record: KafkaMessage) -> None:
        """Handle one record and acknowledge it."""
        raw: Any = record.raw_message
        try:
            event = open_envelope(raw.headers, raw.value or b"")
        except EventMalformed as error:
            await self._put_aside(raw, error)
        else:
            await self._handle(raw, event)
            await self._note(event)
        await record.ack()

    async def _handle(self, raw: Any, event: Event) -> None:
        if event.type not in self._handlers:
            # A rolling upgrade sends types that this version does not know; they are no fault.
            self.outcomes["unknown"] += 1
            return
        message, run = self._handlers[event.type]
        try:
            with caused_by(event):
                await _with_retries(lambda: run(event.project, decode(event, message)))
        except ContinuityError as error:
            await self._give_up(raw, event, error)
        except Exception as error:
            _log.exception("%s could not handle %s %s", self._bus.service, event.type, event.id)
            await self._give_up(raw, event, HandlerFailed(cause=type(error).__name__))
        else:
            self.outcomes["handled"] += 1

    async def _give_up(self, raw: Any, event: Event, error: ContinuityError) -> None:
        await self._put_aside(raw, error)
        if self._subscription.on_dead is not None:
            try:
                with caused_by(event):
                    await _with_retries(lambda: self._tell(event, error))
            except Exception:
                _log.exception("%s could not mark %s as failed", self._bus.service, event.subject)

    async def _tell(self, event: Event, error: ContinuityError) -> None:
        if self._subscription.on_dead is not None:
            await self._subscription.on_dead(event, error)

    async def _put_aside(self, raw: Any, error: ContinuityError) -> None:
        """Write the record to the dead-letter topic with its headers, the reason and the stack."""
        self.outcomes["dead"] += 1
        _log.warning("%s puts an event of %s aside: %s", self._bus.service, raw.topic, error)
        # A dead letter is longer than its event, and must not be too long for the broker.
        key, value = raw.key, (raw.value or b"")[:MAX_EVENT_BYTES]
        headers = readable(raw.headers) | {
            "dead-reason": error.reason,
            "dead-message": str(error)[:2_000],
            "dead-group": self._bus.service,
            "dead-stack": "".join(traceback.format_exception(error))[-4_000:],
        }
        while True:
            try:
                await self._bus.publish_raw(self._subscription.topic.dead_letter, key, value, headers)
                return
            except BrokerUnavailable:
                # Neither lost nor acknowledged: without the broker there is nothing else to consume either.
                await asyncio.sleep(MAX_DELAY_S)

    async def _note(self, event: Event) -> None:
        try:
            await _with_retries(lambda: self._checkpoints.handled(self._bus.service, event.id))
        except ContinuityError as error:
            _log.warning("event %s will come again: %s", event.id, error)


@dataclass(eq=False)
class HandlerFailed(ContinuityError):
    """A handler broke on an event in a way that it did not foresee."""

    template = "the handler broke: {cause}"
    cause: str


async def _with_retries(attempt: Callable[[], Awaitable[None]]) -> None:
    for number in range(1, MAX_ATTEMPTS + 1):
        try:
            return await attempt()
        except ContinuityError as error:
            if not error.retryable or number == MAX_ATTEMPTS:
                raise
        await asyncio.sleep(random.uniform(0.5, 1) * min(MAX_DELAY_S, FIRST_DELAY_S * 2**number))
