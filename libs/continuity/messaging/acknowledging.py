"""Telling the broker how far a group has got, and again until it has taken it.

A broker that is away when a batch ends would else learn of it with the next batch only: on a partition where nothing
follows, the group seems to lag for ever, and a restart handles again what is long done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import TopicPartition

from continuity.messaging.backoff import Backoff

__all__ = ["Acknowledging"]

ACKNOWLEDGE_TIMEOUT_S = 5.0
"""A topic that is gone is never acknowledged, and the others' events are not to wait for that."""
FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 10.0


class Acknowledging:
    """What one consumer's group has handled and the broker may not know yet, by partition."""

    def __init__(self) -> None:
        self._reached: dict[TopicPartition, int] = {}
        self._again: asyncio.Task[None] | None = None

    async def __call__(self, consumer: AIOKafkaConsumer, records: Iterable[Any]) -> None:
        """Acknowledge Kafka's records and all before them; return when the broker has taken it or is left waiting."""
        await self.end()
        for record in records:
            self._reached[TopicPartition(record.topic, record.partition)] = record.offset + 1
        if not await self._taken(consumer):
            self._again = asyncio.create_task(self._repeat(consumer))

    async def end(self) -> None:
        """Try no more."""
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
            self._again = None

    async def _repeat(self, consumer: AIOKafkaConsumer) -> None:
        backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        while True:
            await backoff.pause()
            if await self._taken(consumer, again=True):
                return

    async def _taken(self, consumer: AIOKafkaConsumer, again: bool = False) -> bool:
        """Commit; return False where the broker may take it later."""
        try:
            async with asyncio.timeout(ACKNOWLEDGE_TIMEOUT_S):
                if ours := await self._ours(consumer, again):
                    await consumer.commit(ours)
        except (CommitFailedError, IllegalStateError):
            pass  # somebody else has the partitions by now: what was not acknowledged comes there again
        except (TimeoutError, KafkaError):
            return False
        self._reached.clear()
        return True

    async def _ours(self, consumer: AIOKafkaConsumer, again: bool) -> dict[TopicPartition, int]:
        """Return what to commit: partitions that are ours, and ``again`` only where nobody has got as far meanwhile."""
        assigned = consumer.assignment()
        ours = {partition: offset for partition, offset in self._reached.items() if partition in assigned}
        if not again:
            return ours
        return {each: offset for each, offset in ours.items() if (await consumer.committed(each) or 0) < offset}
