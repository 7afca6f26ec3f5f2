"""The embedded broker: the one that librdkafka carries for its own tests, spoken to over the Kafka protocol.

It lives in memory and keeps at most 5 MB a partition. So the store is the truth: the relay stops while consumers lag,
and what was not handled is published again at the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from confluent_kafka import Producer

from continuity.messaging.connection import BrokerUnavailable

EMBEDDED_FETCH_WAIT_S = 0.007
"""This broker answers a fetch that has to wait only when its time is over, whatever comes in between."""
_READY_TIMEOUT_S = 10.0


class EmbeddedBroker:
    """A Kafka broker inside this process, on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self._producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
        metadata = self._producer.list_topics(timeout=_READY_TIMEOUT_S)
        broker = next(iter(metadata.brokers.values()))
        self.bootstrap_servers = f"{broker.host}:{broker.port}"

    async def create(self, topics: Iterable[str]) -> None:
        """Make the topics: this broker makes one when its metadata is asked for."""
        for topic in topics:
            metadata = await asyncio.to_thread(self._producer.list_topics, topic, _READY_TIMEOUT_S)
            if metadata.topics[topic].error is not None:
                raise BrokerUnavailable

    def close(self) -> None:
        """End the broker; everything in it is gone."""
        del self._producer
