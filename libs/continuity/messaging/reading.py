"""Reading batches off a topic past what the Kafka client cannot decode.

Kafka takes header names that are no text, and aiokafka breaks on them: it gives nothing of the partition from there on,
and drops what it had read of the others. Here such a record comes without its content, to be put aside like any other
that is no event. What lies behind it in the same batch of its producer cannot be decoded either and comes likewise.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import ConsumerRecord, TopicPartition

UNREADABLE = "unreadable"
"""The only header of a record that comes without its content: why."""
READ_TIMEOUT_S = 5.0
"""How long one record that is there is waited for."""

_log = logging.getLogger(__name__)
_UNDECODABLE = (UnicodeDecodeError, CorruptRecordException)

Records: TypeAlias = Sequence[Any]


class Reading:
    """Reads for one consumer; everything of the batch before is acknowledged, or handled, by whoever asks for the next.

    ``read_on`` is the usual way, ``limit`` the most records of a batch. Without a group nothing is read again: what
    else was fetched with such a record is missed.
    """

    def __init__(self, read_on: Callable[[AIOKafkaConsumer], Awaitable[Records]], limit: int, grouped: bool) -> None:
        self._read_on = read_on
        self._limit = limit
        self._grouped = grouped
        self._lost = False

    async def __call__(self, consumer: AIOKafkaConsumer) -> Records:
        """Return the next records, none when none came for a moment. Raises ``KafkaError``."""
        if not self._lost:
            try:
                return await self._read_on(consumer)
            except _UNDECODABLE:
                self._lost = True  # also what the client has read of other partitions, until we have gone back
        return await self._read_singly(consumer)

    async def _read_singly(self, consumer: AIOKafkaConsumer) -> Records:
        """Return what comes next, one record after the other, so that the one that cannot be read hides no others."""
        ends = await consumer.end_offsets(consumer.assignment())
        for partition in ends:
            await self._go_back(consumer, partition)
        self._lost = False
        records: list[ConsumerRecord] = []
        for partition, end in ends.items():
            while len(records) < self._limit and await consumer.position(partition) < end:
                came = await _next(consumer, partition)
                if not came:
                    break
                records += came
        return tuple(records)

    async def _go_back(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
        """Stand where the group has got to; without one, where we are, less what has broken."""
        if not self._grouped:
            consumer.seek(partition, await consumer.position(partition))
        elif (offset := await consumer.committed(partition)) is not None:
            consumer.seek(partition, offset)
        else:
            await consumer.seek_to_beginning(partition)


async def _next(consumer: AIOKafkaConsumer, partition: TopicPartition) -> list[ConsumerRecord]:
    try:
        came = await consumer.getmany(partition, timeout_ms=int(READ_TIMEOUT_S * 1_000), max_records=1)
    except _UNDECODABLE as error:
        offset = await consumer.position(partition)
        consumer.seek(partition, offset + 1)
        _log.warning("record %d of %s cannot be read: %s", offset, partition, error)
        return [_without_content(partition, offset, error)]
    return list(came.get(partition, ()))


def _without_content(partition: TopicPartition, offset: int, error: Exception) -> ConsumerRecord:
    reason = ((UNREADABLE, str(error).encode()),)
    return ConsumerRecord(partition.topic, partition.partition, offset, -1, -1, None, None, None, -1, -1, reason)
