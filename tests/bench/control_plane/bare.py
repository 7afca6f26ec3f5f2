"""The events of a shot by bare FastStream: two services whose handlers do nothing but publish on. No store, no outbox.

``python -m tests.bench.control_plane.bare SERVICE BOOTSTRAP_SERVERS [--batches]`` runs one of the services: event by
event, as FastStream does where nothing else is said, or in batches.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import Sequence
from uuid import uuid4

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from continuity.hosting.run import announce, stop_signal

REQUESTED, BUILT, RENDERED = TOPICS = ("bench.requested", "bench.built", "bench.rendered")
SERVICES = {"prompts": (REQUESTED, BUILT), "rendering": (BUILT, RENDERED)}
PARTITIONS = 4
ID_LENGTH = 32
EVENT = b"x" * 600
LIMIT_S = 300.0


class BareClient:
    """Publishes requests and sees what is rendered."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._broker = quiet_broker(bootstrap_servers)
        self._awaited: dict[str, asyncio.Future[None]] = {}
        # What is rendered is asked for from the beginning by a group that nobody else has: nothing falls between.
        subscriber = self._broker.subscriber(RENDERED, group_id=uuid4().hex, auto_offset_reset="earliest", batch=True)
        subscriber(self._take)

    async def start(self) -> None:
        """Connect."""
        await self._broker.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._broker.stop()

    async def batch(self, count: int) -> float:
        """Return the seconds from the first request to the last rendering."""
        start = time.perf_counter()
        await self._rendered(count)
        return time.perf_counter() - start

    async def singles(self, count: int) -> list[float]:
        """Return the seconds of each of several requests, one after the other."""
        return [await self.batch(1) for _ in range(count)]

    async def _rendered(self, count: int) -> None:
        ids = [uuid4().hex for _ in range(count)]
        loop = asyncio.get_running_loop()
        self._awaited = {id: loop.create_future() for id in ids}
        async with asyncio.timeout(LIMIT_S):
            sent = [await self._send(id) for id in ids]
            await asyncio.gather(*sent, *self._awaited.values())

    async def _send(self, id: str) -> asyncio.Future[object]:
        future: asyncio.Future[object] = await self._broker.publish(
            id.encode() + EVENT, REQUESTED, key=id.encode(), no_confirm=True
        )
        return future

    async def _take(self, events: list[bytes]) -> None:
        for event in events:
            future = self._awaited.get(event[:ID_LENGTH].decode())
            if future is not None and not future.done():
                future.set_result(None)


def quiet_broker(bootstrap_servers: str) -> KafkaBroker:
    """Return a broker client that waits for every replica and logs nothing on the way of an event."""
    silent = logging.getLogger("bench.faststream")
    silent.setLevel(logging.ERROR)
    return KafkaBroker(bootstrap_servers, logger=silent, acks="all", apply_types=False)


def make_topics(bootstrap_servers: str, topics: Sequence[str] = TOPICS) -> None:
    """Make the topics of the baseline."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics]).values():
        made.result(timeout=30)


async def serve(service: str, bootstrap_servers: str, *, batches: bool) -> None:
    """Publish on what comes, acknowledged when that is confirmed, until a signal comes."""
    stopped = stop_signal()
    source, destination = SERVICES[service]
    broker = quiet_broker(bootstrap_servers)
    subscriber = broker.subscriber(
        source, group_id=service, auto_offset_reset="earliest", ack_policy=AckPolicy.NACK_ON_ERROR, batch=batches
    )

    async def publish_on(event: bytes) -> None:
        await broker.publish(event, destination, key=event[:ID_LENGTH])

    async def publish_all(events: list[bytes]) -> None:
        # Not publish_batch: it refuses more than one batch of the producer, 16 KB.
        sent = [await broker.publish(event, destination, key=event[:ID_LENGTH], no_confirm=True) for event in events]
        await asyncio.gather(*sent)

    subscriber(publish_all if batches else publish_on)
    await broker.start()
    announce(bootstrap_servers)
    await stopped.wait()
    await broker.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("bootstrap_servers")
    parser.add_argument("--batches", action="store_true")
    asked = parser.parse_args()
    asyncio.run(serve(asked.service, asked.bootstrap_servers, batches=asked.batches))
