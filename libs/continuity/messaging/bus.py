"""The event bus on Kafka: FastStream over aiokafka, one broker connection a service.

It connects in the background and keeps trying: a service serves calls for as long as its store accepts writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.exceptions import IncorrectState
from faststream.kafka import KafkaBroker

from continuity.documents.port import OutgoingEvent
from continuity.kernel.endings import within
from continuity.kernel.errors import ContinuityError
from continuity.messaging.acknowledging import Acknowledging
from continuity.messaging.admission import require_admission
from continuity.messaging.backoff import Backoff
from continuity.messaging.connection import BrokerMisconfigured, BrokerUnavailable, KafkaConnection
from continuity.messaging.envelope import MAX_RECORD_BYTES, headers
from continuity.messaging.observed import Sending
from continuity.messaging.publishing import Confirmation, Published, TopicMissing, publish_each, refused, retrieved
from continuity.messaging.reading import Reading
from continuity.messaging.record import Record
from continuity.messaging.topic_watch import TopicWatch

__all__ = ["BatchHandler", "BrokerUnavailable", "EventBus"]

BatchHandler: TypeAlias = Callable[[Sequence[Record]], Awaitable[None]]
"""Returns when all records are taken care of; then they are acknowledged together."""

PUBLISH_TIMEOUT_S = 10.0
PING_TIMEOUT_S = 2.0
END_TIMEOUT_S = 5.0
"""A partition that nobody leads keeps no service from consuming the others."""
DRAIN_S = 5.0
"""How long a batch that is being handled may take when consuming stops; unacknowledged it comes again."""
STOP_CONSUMING_S = DRAIN_S + 1.0
STOP_TIMEOUT_S = 3.0
"""How long a broker that does not answer is waited for at the end."""
NEW_TOPIC_TIMEOUT_S = 2.0
REQUEST_TIMEOUT_S = 15.0
METADATA_AGE_S = 5.0
"""After this time a consumer sees that a topic is there again."""
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

    ``prepare`` is the first step of connecting, such as making the topics, and is taken again when one of them is gone;
    raises ``BrokerMisconfigured`` for what only a person can mend. ``fetch_wait_s`` is how long a broker holds an empty
    fetch of a consumer group, ``poll_s`` how long FastStream waits for one, and rests after it.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        service: str,
        prepare: Callable[[], Awaitable[None]] | None = None,
        fetch_wait_s: float = FETCH_WAIT_S,
        poll_s: float = POLL_S,
    ) -> None:
        self.service = service
        self._prepare = prepare or (lambda: require_admission(connection))
        self._fetch_wait_s = fetch_wait_s
        self._poll_s = poll_s
        self._groups: list[tuple[Sequence[str], BatchHandler, int]] = []
        self._listeners: list[Any] = []
        self._acknowledging: list[Acknowledging] = []
        self._connecting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._topics = TopicWatch(service, self._names, self._prepare)
        self._known: set[str] = set()
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
            metadata_max_age_ms=int(METADATA_AGE_S * 1_000),
            allow_auto_create_topics=False,
            graceful_timeout=DRAIN_S,
            apply_types=False,
        )

    def subscribe(self, topics: Sequence[str], handle: BatchHandler, batch_limit: int) -> None:
        """Consume topics in the service's group, from the beginning."""
        self._groups.append((topics, handle, batch_limit))

    def listen(self, topic: str, handle: BatchHandler, batch_limit: int = 500) -> None:
        """Read what comes once the bus is connected, in no group: every replica sees everything."""
        options = {"group_id": None, "auto_offset_reset": "latest", "fetch_max_wait_ms": int(FETCH_WAIT_S * 1_000)}
        self._listeners.append(self._consume([topic], handle, batch_limit, **options))

    async def start(self) -> None:
        """Begin to connect and to consume; return at once."""
        # Joining a group takes seconds, listening takes none: so groups come last, and one group has all its topics.
        for topics, handle, batch_limit in self._groups:
            wait_ms = int(self._fetch_wait_s * 1_000)
            options = {"group_id": self.service, "auto_offset_reset": "earliest", "fetch_max_wait_ms": wait_ms}
            self._consume(topics, handle, batch_limit, **options)
        self._connecting = asyncio.create_task(self._connect())

    async def connected(self) -> None:
        """Return once everything is connected. Raises ``BrokerMisconfigured``."""
        if self._connecting is None:
            raise BrokerUnavailable
        await asyncio.shield(self._connecting)

    async def stop_consuming(self) -> None:
        """Let batches that are being handled end, within a limit, and take no more; publishing goes on."""
        if any(isinstance(each, TimeoutError) for each in await within(STOP_CONSUMING_S, [self._end_consuming()])):
            _log.warning("the event broker does not answer; %s takes no more from it", self.service)

    async def stop(self) -> None:
        """Stop consuming and disconnect; a broker that does not answer is waited for three seconds at most."""
        if await within(STOP_TIMEOUT_S, [self._disconnect()]):
            _log.warning("the event broker does not answer; %s leaves it", self.service)

    async def publish(self, events: Sequence[OutgoingEvent]) -> None:
        """Publish events in order; return when the broker has confirmed all. Raises what stopped it."""
        (published,) = await self.publish_each([events])
        if published.error is not None:
            raise published.error

    async def publish_each(self, outboxes: Sequence[Sequence[OutgoingEvent]]) -> list[Published]:
        """Publish outboxes side by side, each in order up to its first failure; return how each has fared."""
        return await publish_each(outboxes, self._send, self._silence, PUBLISH_TIMEOUT_S)

    async def post(self, events: Sequence[OutgoingEvent]) -> None:
        """Send events that may be lost: nobody waits for the broker to confirm them. Raises what stops them here."""
        for event in events:
            sending = Sending(event)
            try:
                confirmation = await self._send(event)
            except (ContinuityError, OSError, KafkaError, IncorrectState) as error:
                refusal = refused(event.topic, error)
                sending.end(refusal)
                raise refusal from error
            confirmation.add_done_callback(partial(retrieved, sending))

    async def publish_raw(self, topic: str, key: bytes | None, value: bytes, record_headers: dict[str, str]) -> None:
        """Publish a record as it is; return when the broker has confirmed it. Raises what it is refused for."""
        self._topics.use([topic])
        self._topics.require([topic])
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self._broker.publish(value, topic, key=key, headers=record_headers)
        except (TimeoutError, OSError, KafkaError, IncorrectState) as error:
            raise refused(topic, error) from error

    async def check(self) -> None:
        """Raise ``BrokerUnavailable`` unless the broker answers, ``TopicMissing`` unless it has all topics in use."""
        if not await self._broker.ping(timeout=PING_TIMEOUT_S):
            raise BrokerUnavailable
        self._topics.require_all()

    async def _connect(self) -> None:
        """Connect, however long it takes. Raises ``BrokerMisconfigured``."""
        backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        while True:
            try:
                await self._prepare()
                await self._broker.start()
                await self._find_ends()
                self._watching = asyncio.create_task(self._topics.run())
                return
            except BrokerMisconfigured:
                raise
            except (OSError, KafkaError, ContinuityError) as error:
                cause = error if isinstance(error, ContinuityError) else BrokerUnavailable()
                _log.warning("%s connects later: %s", self.service, cause)
            with contextlib.suppress(KafkaError):
                await self._broker.stop()
            await backoff.pause()

    async def _find_ends(self) -> None:
        """Return when every listener knows where its topic ends; consumers find out beside everything else."""
        consumers = [subscriber.consumer for subscriber in self._listeners]
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                for consumer in consumers:
                    for partition in consumer.assignment():
                        await consumer.position(partition)
        except (TimeoutError, KafkaError):
            _log.warning("%s may miss what is told before it knows where its topics end", self.service)

    async def _end_connecting(self) -> None:
        for task in (self._connecting, self._watching):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _end_consuming(self) -> None:
        await self._end_connecting()
        try:
            stops = (subscriber.stop() for subscriber in self._broker.subscribers)
            await asyncio.gather(*stops, return_exceptions=True)
        finally:  # also when it took too long
            await self._end_acknowledging()

    async def _disconnect(self) -> None:
        await self._end_connecting()
        try:
            await self._broker.stop()
        finally:
            await self._end_acknowledging()

    async def _end_acknowledging(self) -> None:
        for acknowledging in self._acknowledging:
            await acknowledging.end()

    async def _names(self) -> list[str]:
        """Return all topics of the broker: asking for one by name may create it. Raises ``BrokerUnavailable``."""
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                names: list[str] = await self._broker.config.admin_client.list_topics()
        except (TimeoutError, OSError, KafkaError, IncorrectState) as error:
            raise BrokerUnavailable from error
        return names

    async def _send(self, event: OutgoingEvent) -> Confirmation:
        self._topics.require((event.topic,))
        if event.topic in self._known:
            return await self._hand_over(event)
        self._topics.use((event.topic,))
        try:
            async with asyncio.timeout(NEW_TOPIC_TIMEOUT_S):
                confirmation = await self._hand_over(event)
        except TimeoutError:
            await self._topics.look()
            raise self._silence(event.topic) from None
        self._known.add(event.topic)
        return confirmation

    def _silence(self, topic: str) -> ContinuityError:
        """Return why the broker does not confirm an event for the topic."""
        try:
            self._topics.require((topic,))
        except TopicMissing as missing:
            return missing
        return BrokerUnavailable()

    async def _hand_over(self, event: OutgoingEvent) -> Confirmation:
        return await self._broker.publish(
            event.payload,
            event.topic,
            key=event.key.encode(),
            headers=headers(event),
            correlation_id=event.headers.get("correlationid", event.id),  # FastStream would draw one
            no_confirm=True,
        )

    def _consume(self, topics: Sequence[str], handle: BatchHandler, batch_limit: int, **options: Any) -> Any:
        self._topics.use(topics)
        subscriber = self._broker.subscriber(
            *topics,
            batch=True,
            max_records=batch_limit,
            batch_timeout_ms=int(self._poll_s * 1_000),
            ack_policy=AckPolicy.MANUAL,
            parser=_unread,
            decoder=_undecoded,
            max_poll_interval_ms=int(POLL_LIMIT_S * 1_000),
            **options,
        )

        reading = Reading(subscriber.get_msg, batch_limit, grouped=options["group_id"] is not None)
        subscriber.get_msg = reading

        acknowledge = Acknowledging()

        async def consume(message: Any) -> None:
            await self._take_care(handle, [Record.of(raw) for raw in message.raw_message])
            if options["group_id"] is not None:
                await acknowledge(message.consumer, message.raw_message)

        self._acknowledging.append(acknowledge)

        subscriber(consume)
        return subscriber

    async def _take_care(self, handle: BatchHandler, records: Sequence[Record]) -> None:
        """Have a batch handled, however often that breaks: with the next one it would count as acknowledged."""
        backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        while True:
            try:
                return await handle(records)
            except Exception:
                _log.exception("%s could not take care of a batch; it begins again", self.service)
            await backoff.pause()


async def _unread(records: Any, parse: Callable[[Any], Awaitable[Any]]) -> Any:
    """Keep the records from FastStream: it fails on headers that are no text, and answers those that ask for it."""
    message = await parse((replace(records[0], headers=(), value=b""),))
    message.raw_message = records
    return message


async def _undecoded(message: Any) -> Any:
    """Hand the whole batch on: the payloads are ours to read."""
    return message
