"""Reads MongoDB, S3 and Kafka with their own clients, at their own addresses: no service is asked."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import minio
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from pymongo import MongoClient

from continuity.messaging.topics import Topic, load_topics
from deploy.local.servers.kafka import Kafka
from deploy.local.servers.minio import BUCKET, Minio
from deploy.local.servers.mongo import MongoStandIn
from tests.chaos.checker import unreferenced
from tests.chaos.evidence import Evidence, StoredDocument, StoredObject, TopicEvent
from tests.chaos.promises import FINISHED
from tests.chaos.topology import DATABASE

NO_AGGREGATES = ("health",)
KAFKA_LIMIT_S = 15.0
READ_LIMIT_S = 120.0
TYPE_PREFIX = "film.continuity."


class Servers(Protocol):
    """Where things are kept; those of a ``Topology``, or others."""

    @property
    def kafka(self) -> Kafka:
        """Events."""

    @property
    def minio(self) -> Minio:
        """Objects."""

    @property
    def mongo(self) -> MongoStandIn:
        """Documents."""


def read(servers: Servers) -> Evidence:
    """Return all there is."""
    return Evidence(
        documents=tuple(documents(servers.mongo.url)),
        objects=dict(objects(servers)),
        events=tuple(events(servers.kafka.address)),
        unhandled=unhandled(servers.kafka.address),
    )


def unsettled(servers: Servers) -> list[str]:
    """Return what still waits, outside of which nothing more will happen."""
    with MongoClient[dict[str, Any]](servers.mongo.url, timeoutMS=20_000) as client:
        database = client[DATABASE]
        waiting = {"unfinished jobs": database["jobs"].count_documents({"body.state": {"$nin": list(FINISHED)}})}
        waiting["unready characters"] = database["characters"].count_documents({"body.state": "ingested"})
        for name in database.list_collection_names():
            if name.endswith("_held_events"):
                waiting[name] = database[name].count_documents({"body.state": "waiting"})
            waiting[f"outboxes of {name}"] = database[name].count_documents({"outbox": {"$exists": True}})
    waiting |= {f"{group} on {topic}": count for (group, topic), count in unhandled(servers.kafka.address).items()}
    return [f"{count} {what}" for what, count in waiting.items() if count]


def nothing_leased(servers: Servers) -> list[str]:
    """Return that no job is under a lease, unless one is."""
    with MongoClient[dict[str, Any]](servers.mongo.url, timeoutMS=5_000) as client:
        leased = client[DATABASE]["jobs"].count_documents({"body.state": "rendering"}, limit=1)
    return [] if leased else ["nothing is drawn"]


def documents(url: str) -> Iterator[StoredDocument]:
    """Yield every document of every collection."""
    with MongoClient[dict[str, Any]](url, timeoutMS=60_000) as client:
        database = client[DATABASE]
        for name in sorted(set(database.list_collection_names()) - set(NO_AGGREGATES)):
            for found in database[name].find():
                key, waiting = found["_id"], len(found.get("outbox", ()))
                inbox = tuple(found.get("inbox", ()))
                yield StoredDocument(name, key["p"], key["i"], found["version"], found["body"], inbox, waiting)


def left_over(servers: Servers) -> set[str]:
    """Return the keys of objects that no document names."""
    keys = [str(listed.object_name) for listed in _client(servers).list_objects(BUCKET, recursive=True)]
    return unreferenced(documents(servers.mongo.url), keys)


def objects(servers: Servers) -> Iterator[tuple[str, StoredObject]]:
    """Yield every object as its bytes are, once nobody writes or removes any."""
    client = _client(servers)
    for listed in client.list_objects(BUCKET, recursive=True):
        key = str(listed.object_name)
        answer = client.get_object(BUCKET, key)
        try:
            data = answer.read()
        finally:
            answer.close()
            answer.release_conn()
        yield key, StoredObject(key, hashlib.sha256(data).hexdigest(), len(data))


def events(address: str) -> Iterator[TopicEvent]:
    """Yield every record of every topic that an outbox is published to, dead letters included."""
    with _consumer(address, "chaos-checker") as consumer:
        partitions = [each for topic in _topics() for each in _partitions(consumer, topic)]
        ends = {(each.topic, each.partition): _range(consumer, each)[1] for each in partitions}
        left = {place for place, end in ends.items() if end > 0}
        consumer.assign([TopicPartition(each.topic, each.partition, OFFSET_BEGINNING) for each in partitions])
        deadline = time.monotonic() + READ_LIMIT_S
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"records of {sorted(left)} could not be read")
            found: list[Any] = consumer.consume(500, timeout=1.0)
            for record in found:
                if record.error():
                    raise KafkaException(record.error())
                yield _event(record)
                if record.offset() + 1 >= ends[record.topic(), record.partition()]:
                    left.discard((record.topic(), record.partition()))


def unhandled(address: str) -> Mapping[tuple[str, str], int]:
    """Return how many records of each topic each of its groups has not acknowledged."""
    found: dict[tuple[str, str], int] = {}
    for topic in _declared():
        for group in topic.consumers:
            with _consumer(address, group) as consumer:
                committed = consumer.committed(_partitions(consumer, topic.name), timeout=KAFKA_LIMIT_S)
                found[group, topic.name] = sum(_behind(consumer, each) for each in committed)
    return found


def _client(servers: Servers) -> minio.Minio:
    server = servers.minio
    return minio.Minio(server.address, server.access_key, server.secret_key, secure=False)


def _behind(consumer: Consumer, committed: TopicPartition) -> int:
    low, high = _range(consumer, committed)
    return int(high - max(low, committed.offset))


def _range(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    low, high = consumer.get_watermark_offsets(partition, timeout=KAFKA_LIMIT_S)
    return int(low), int(high)


def _event(record: Any) -> TopicEvent:
    said = {name: (value or b"").decode() for name, value in record.headers() or ()}
    return TopicEvent(
        topic=record.topic(),
        project=said.get("ce_project", ""),
        key=(record.key() or b"").decode(),
        source=said.get("ce_source", ""),
        id=said.get("ce_id", ""),
        type=said.get("ce_type", "").removeprefix(TYPE_PREFIX),
        payload=record.value() or b"",
    )


def _topics() -> list[str]:
    return [name for topic in _declared() for name in (topic.name, topic.dead_letter) if name]


def _declared() -> list[Topic]:
    return [topic for topic in load_topics().values() if topic.outbox]


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    found = consumer.list_topics(topic, timeout=KAFKA_LIMIT_S).topics[topic]
    return [TopicPartition(topic, partition) for partition in found.partitions]


@contextmanager
def _consumer(address: str, group: str) -> Iterator[Consumer]:
    """A consumer that joins no group: it asks what a group has acknowledged, and reads what it is assigned."""
    settings = {"bootstrap.servers": address, "group.id": group, "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer(settings)
    try:
        yield consumer
    finally:
        consumer.close()
