"""Topics of a real Kafka as an outsider reads, fills and loses them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

LIMIT_S = 30.0


@dataclass(frozen=True)
class Letter:
    """A record as it lies on a topic."""

    topic: str
    value: bytes
    key: bytes = b""
    headers: Sequence[tuple[str, bytes | None]] = field(default=())

    def said(self, header: str) -> str:
        """Return a header as text."""
        return (dict(self.headers).get(header) or b"").decode()


def send(server: str, letters: Iterable[Letter]) -> None:
    """Put records on their topics, in order; return when the broker has them. Raises ``KafkaException``."""
    producer = Producer({"bootstrap.servers": server, "message.max.bytes": 20_000_000})
    refused: list[KafkaError] = []

    def note(error: KafkaError | None, _: object) -> None:
        if error is not None:
            refused.append(error)

    for letter in letters:
        producer.produce(letter.topic, letter.value, key=letter.key, headers=list(letter.headers), on_delivery=note)
    assert producer.flush(LIMIT_S) == 0
    assert not refused, refused


def everything(server: str, topics: Iterable[str]) -> list[Letter]:
    """Return all that lies on the topics now, of each partition in order."""
    consumer = Consumer({"bootstrap.servers": server, "group.id": "reader", "enable.auto.commit": False})
    letters: list[Letter] = []
    for topic in topics:
        for place in _partitions(consumer, topic):
            _, end = consumer.get_watermark_offsets(place, timeout=LIMIT_S)
            consumer.assign([TopicPartition(topic, place.partition, OFFSET_BEGINNING)])
            while consumer.position([place])[0].offset < end and end:
                letters += map(_letter, consumer.consume(500, timeout=1.0))
    consumer.close()
    return letters


def lag(server: str, group: str, topics: Iterable[str]) -> int:
    """Return how many records of the topics the group has not acknowledged."""
    consumer = Consumer({"bootstrap.servers": server, "group.id": group})
    behind = 0
    for topic in topics:
        for place in consumer.committed(_partitions(consumer, topic), timeout=LIMIT_S):
            start, end = consumer.get_watermark_offsets(place, timeout=LIMIT_S)
            behind += end - max(start, place.offset)
    consumer.close()
    return behind


def forget(server: str, group: str) -> None:
    """Let a group that nobody is in begin with all topics from the beginning."""
    admin = AdminClient({"bootstrap.servers": server})  # what it has begun ends with it
    (done,) = admin.delete_consumer_groups([group]).values()
    done.result(LIMIT_S)


def remove(server: str, topic: str) -> None:
    """Delete a topic with all that is on it."""
    admin = AdminClient({"bootstrap.servers": server})  # what it has begun ends with it
    (done,) = admin.delete_topics([topic]).values()
    done.result(LIMIT_S)


def names(server: str) -> set[str]:
    """Return the topics that there are."""
    return set(AdminClient({"bootstrap.servers": server}).list_topics(timeout=LIMIT_S).topics)


def _letter(record: Message) -> Letter:
    return Letter(record.topic() or "", record.value() or b"", record.key() or b"", tuple(record.headers() or ()))


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    described = consumer.list_topics(topic, timeout=LIMIT_S).topics[topic]
    return [TopicPartition(topic, number) for number in described.partitions]
