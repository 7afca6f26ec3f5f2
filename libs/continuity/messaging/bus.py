"""The event bus on Kafka: FastStream over aiokafka, one broker connection a service.

It connects in the background and keeps trying: a service serves calls for as long as its store accepts writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.exceptions import IncorrectState
from faststream.kafka import KafkaBroker

from continuity.documents.port import OutgoingEvent
from continuity.kernel.errors import ContinuityError
from continuity.messaging.admission import require_admission
from continuity.messaging.backoff import Backoff
from continuity.messaging.connection import BrokerMisconfigured, BrokerUnavailable, KafkaConnection
from continuity.messaging.envelope import MAX_RECORD_BYTES, headers
from continuity.messaging.observed import Sending
from continuity.messaging.publishing import Confirmation, Published, TopicMissing, publish_each, refused, retrieved
from continuity.messaging.record import Record

__all__ = ["BatchHandler", "BrokerUnavailable", "EventBus"]

BatchHandler: TypeAlias = Callable[[Sequence[Record]], Awaitable[None]]
"""Returns when all records are taken care of; then they are acknowledged together."""

PUBLISH_TIMEOUT_S = 10.0
PING_TIMEOUT_S = 2.0
STOP_TIMEOUT_S = 10.0
DRAIN_S = 5.0
"""How long a batch that is being handled may take when consuming stops; unacknowledged it comes again."""
NEW_TOPIC_TIMEOUT_S = 2.0
MISSING_TOPIC_S = 5.0
"""How long a topic that was missing counts as missing."""
REQUEST_TIMEOUT_S = 15.0
BATCH_BYTES = 512_000
"""What may be on its way to one partition: whoever sends more waits."""
FETCH_WAIT_S = 0.5
POLL_S = 0.005
"""FastStream rests for as long after an empty poll; it bounds what that adds to a hop."""
POLL_LIMIT_S = 3_600.0
"""A batch ends when its events are handled or held; while the store is away it waits, and is no dead consumer's."""
FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 10.0

_log = logging.getLogger(__name__)
_SILENT = logging.getLogger("continuity.messaging.faststream")
_SILENT.setLevel(logging.ERROR)  # FastStream logs a line for each message at INFO


class EventBus:
    """Publishes and subscribes for one service, whose name is its consumer group.

    ``prepare`` is the first step of connecting, such as making the topics; raises ``BrokerMisconfigured`` for what only
    a person can mend. ``fetch_wait_s`` is how long a broker holds an empty fetch.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        service: str,
        prepare: Callable[[], Awaitable[None]] | None = None,
        fetch_wait_s: float = FETCH_WAIT_S,
    ) -> None:
        self.service = service
        self._prepare = prepare or (lambda: require_admission(connection))
        self._fetch_wait_s = fetch_wait_s
        self._groups: list[tuple[Sequence[str], BatchHandler, int]] = []
        self._connecting: asyncio.Task[None] | None = None
        self._known: set[str] = set()
        self._missing_until: dict[str, float] = {}
        self._broker = KafkaBroker(
            connection.bootstrap_servers,
            security=connection.security(),
            client_id=f"continuity-{service}",
            logger=_SILENT,
            acks="all",
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            request_timeout_ms=int(REQUEST_TIMEOUT_S * 1_000),
            allow_auto_create_topics=False,
            graceful_timeout=DRAIN_S,
            apply_types=False,
        )

    def subscribe(self, topics: Sequence[str], handle: BatchHandler, batch_limit: int) -> None:
        """Consume topics in the service's group, from the beginning."""
        self._groups.append((topics, handle, batch_limit))

    def listen(self, topic: str, handle: BatchHandler, batch_limit: int = 500) -> None:
        """Read what comes from now on, in no group: every replica sees everything."""
        self._consume([topic], handle, batch_limit, group_id=None, auto_offset_reset="latest")

    async def start(self) -> None:
        """Begin to connect and to consume; return at once."""
        # Joining a group takes seconds, listening takes none: so groups come last, and one group has all its topics.
        for topics, handle, batch_limit in self._groups:
            options = {"group_id": self.service, "auto_offset_reset": "earliest"}
            self._consume(topics, handle, batch_limit, **options)
        self._connecting = asyncio.create_task(self._connect())

    async def connected(self) -> None:
        """Return once everything is connected. Raises ``BrokerMisconfigured``."""
        if self._connecting is None:
            raise BrokerUnavailable
        await asyncio.shield(self._connecting)

    async def stop_consuming(self) -> None:
        """Let batches that are being handled end, within a limit, and take no more; publishing goes on."""
        await self._end_connecting()
        await asyncio.gather(*(subscriber.stop() for subscriber in self._broker.subscribers), return_exceptions=True)

    async def stop(self) -> None:
        """Stop consuming and disconnect; a broker that does not answer is waited for ten seconds at most."""
        await self._end_connecting()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._broker.stop()
        except (TimeoutError, KafkaError):
            _log.warning("the event broker does not answer; %s leaves it", self.service)

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        """Publish events in order; return when the broker has confirmed all. Raises what stopped it."""
        (published,) = await self.publish_each([events])
        if published.error is not None:
            raise published.error

    async def publish_each(self, outboxes: Sequence[Sequence[OutgoingEvent]]) -> list[Published]:
        """Publish outboxes side by side, each in order up to its first failure; return how each has fared."""
        return await publish_each(outboxes, self._send, PUBLISH_TIMEOUT_S)

    async def post(self, events: Sequence[OutgoingEvent]) -> None:
        """Send events that may be lost: nobody waits for the broker to confirm them. Raises what stops them here."""
        for event in events:
            try:
                confirmation = await self._send(event)
            except (OSError, KafkaError, IncorrectState) as error:
                raise refused(event.topic, error) from error
            confirmation.add_done_callback(partial(retrieved, Sending(event)))

    async def publish_raw(self, topic: str, key: bytes | None, value: bytes, record_headers: dict[str, str]) -> None:
        """Publish a record as it is; return when the broker has confirmed it. Raises what it is refused for."""
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self._broker.publish(value, topic, key=key, headers=record_headers)
        except (TimeoutError, OSError, KafkaError, IncorrectState) as error:
            raise refused(topic, error) from error

    async def check(self) -> None:
        """Raise ``BrokerUnavailable`` unless the broker answers."""
        if not await self._broker.ping(timeout=PING_TIMEOUT_S):
            raise BrokerUnavailable

    async def _connect(self) -> None:
        """Connect, however long it takes. Raises ``BrokerMisconfigured``."""
        backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        while True:
            try:
                await self._prepare()
                await self._broker.start()
                return
            except BrokerMisconfigured:
                raise
            except (OSError, KafkaError, ContinuityError) as error:
                cause = error if isinstance(error, ContinuityError) else BrokerUnavailable()
                _log.warning("%s connects later: %s", self.service, cause)
            with contextlib.suppress(KafkaError):
                await self._broker.stop()
            await backoff.pause()

    async def _end_connecting(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)

    async def _send(self, event: OutgoingEvent) -> Confirmation:
        if event.topic in self._known:
            return await self._hand_over(event)
        if time.monotonic() < self._missing_until.get(event.topic, 0.0):
            raise TopicMissing(topic=event.topic)
        try:
            async with asyncio.timeout(NEW_TOPIC_TIMEOUT_S):
                confirmation = await self._hand_over(event)
        except TimeoutError:
            await self.check()
            self._missing_until[event.topic] = time.monotonic() + MISSING_TOPIC_S
            raise TopicMissing(topic=event.topic) from None
        self._known.add(event.topic)
        return confirmation

    async def _hand_over(self, event: OutgoingEvent) -> Confirmation:
        return await self._broker.publish(
            event.payload,
            event.topic,
            key=event.key.encode(),
            headers=headers(event),
            correlation_id=event.headers.get("correlationid", event.id),  # FastStream would draw one
            no_confirm=True,
        )

    def _consume(self, topics: Sequence[str], handle: BatchHandler, batch_limit: int, **options: Any) -> None:
        subscriber = self._broker.subscriber(
            *topics,
            batch=True,
            max_records=batch_limit,
            batch_timeout_ms=int(POLL_S * 1_000),
            ack_policy=AckPolicy.MANUAL,
            parser=_unread,
            decoder=_undecoded,
            fetch_max_wait_ms=int(self._fetch_wait_s * 1_000),
            max_poll_interval_ms=int(POLL_LIMIT_S * 1_000),
            **options,
        )

        async def consume(message: Any) -> None:
            await self._take_care(handle, [Record.of(raw) for raw in message.raw_message])
            if options["group_id"] is not None:
                await _acknowledge(message)

        subscriber(consume)

    async def _take_care(self, handle: BatchHandler, records: Sequence[Record]) -> None:
        """Have a batch handled, however often that breaks: with the next one it would count as acknowledged."""
        backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        while True:
            try:
                return await handle(records)
            except Exception:
                _log.exception("%s could not take care of a batch; it begins again", self.service)
            await backoff.pause()


async def _acknowledge(message: Any) -> None:
    """Acknowledge what was consumed. Somebody else may have the partitions by now: then it comes there again."""
    with contextlib.suppress(KafkaError, IllegalStateError):
        await message.ack()


async def _unread(records: Any, parse: Callable[[Any], Awaitable[Any]]) -> Any:
    """Keep the records from FastStream: it fails on headers that are no text, and answers those that ask for it."""
    message = await parse((replace(records[0], headers=(), value=b""),))
    message.raw_message = records
    return message


async def _undecoded(message: Any) -> Any:
    """Hand the whole batch on: the payloads are ours to read."""
    return message
