"""The event bus on Kafka: FastStream over aiokafka, one broker connection a service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from continuity.documents.port import OutgoingEvent
from continuity.kernel.errors import Unavailable
from continuity.messaging.envelope import MAX_EVENT_BYTES, headers

RecordHandler: TypeAlias = Callable[[KafkaMessage], Awaitable[None]]

PUBLISH_TIMEOUT_S = 10.0
PING_TIMEOUT_S = 2.0
STOP_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)
_SILENT = logging.getLogger("continuity.messaging.faststream")
_SILENT.setLevel(logging.ERROR)  # FastStream logs a line for each message at INFO


class BrokerUnavailable(Unavailable):
    """The broker did not confirm in time."""

    template = "the event broker does not answer"


class EventBus:
    """Publishes and subscribes for one service, whose name is its consumer group."""

    def __init__(self, bootstrap_servers: str, service: str) -> None:
        self.service = service
        self._handlers: dict[str, RecordHandler] = {}
        self._broker = KafkaBroker(
            bootstrap_servers,
            client_id=f"continuity-{service}",
            logger=_SILENT,
            acks="all",
            linger_ms=2,
            max_request_size=MAX_EVENT_BYTES + 64_000,
            allow_auto_create_topics=False,
            graceful_timeout=5.0,
            apply_types=False,
        )

    def subscribe(self, topic: str, handle: RecordHandler) -> None:
        """Consume a topic in the service's group, from the beginning; ``handle`` acknowledges each record itself."""
        self._handlers[topic] = handle

    def listen(self, topic: str, handle: RecordHandler) -> None:
        """Read what comes from now on, in no group: every replica sees everything."""
        self._consume([topic], handle, group_id=None, auto_offset_reset="latest")

    async def start(self) -> None:
        """Connect and begin to consume. Raises ``BrokerUnavailable``."""
        if self._handlers:
            # One consumer for all topics: every further one would join the group after the one before, seconds each.
            options = {"group_id": self.service, "auto_offset_reset": "earliest"}
            self._consume(list(self._handlers), self._dispatch, **options)
        try:
            await self._broker.start()
        except KafkaError as error:
            raise BrokerUnavailable from error

    async def stop(self) -> None:
        """Stop consuming and disconnect; a broker that does not answer is waited for ten seconds at most."""
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._broker.stop()
        except TimeoutError:
            _log.warning("the event broker does not answer; %s leaves it", self.service)

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        """Publish events in order; return when the broker has confirmed all. Raises ``BrokerUnavailable``."""
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                confirmations = [await self._send(event) for event in events]
                await asyncio.gather(*confirmations)
        except (TimeoutError, OSError, KafkaError) as error:
            raise BrokerUnavailable from error

    async def publish_raw(self, topic: str, key: bytes | None, value: bytes, record_headers: dict[str, str]) -> None:
        """Publish a record as it is; return when the broker has confirmed it. Raises ``BrokerUnavailable``."""
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self._broker.publish(value, topic, key=key, headers=record_headers)
        except (TimeoutError, OSError, KafkaError) as error:
            raise BrokerUnavailable from error

    async def check(self) -> None:
        """Raise ``BrokerUnavailable`` unless the broker answers."""
        if not await self._broker.ping(timeout=PING_TIMEOUT_S):
            raise BrokerUnavailable

    async def _send(self, event: OutgoingEvent) -> asyncio.Future[Any]:
        sent = await self._broker.publish(
            event.payload,
            event.topic,
            key=event.key.encode(),
            headers=headers(event),
            no_confirm=True,
        )
        return sent

    async def _dispatch(self, record: KafkaMessage) -> None:
        raw: Any = record.raw_message
        await self._handlers[raw.topic](record)

    def _consume(self, topics: Sequence[str], handle: RecordHandler, **options: Any) -> None:
        subscriber = self._broker.subscriber(
            *topics,
            ack_policy=AckPolicy.MANUAL,
            parser=_unread,
            decoder=_undecoded,
            fetch_max_wait_ms=100,
            **options,
        )

        async def consume(message: Any) -> None:
            await handle(message)

        subscriber(consume)


async def _unread(record: Any, parse: Callable[[Any], Awaitable[Any]]) -> Any:
    """Keep the headers from FastStream: it fails on those that are no text, and answers those that ask for a reply."""
    message = await parse(replace(record, headers=()))
    message.raw_message = record
    return message


async def _undecoded(message: Any) -> Any:
    """Hand the whole record on: the payload is ours to read."""
    return message
