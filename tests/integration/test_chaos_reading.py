"""The checker of `make chaos` reads the real servers: harm that is planted in them is found, and nothing else."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import minio as s3
import pytest
from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.collection import Collection as MongoCollection

from continuity.api.events.v1.render_events_pb2 import KeyframeRendered
from continuity.documents.mongo import MongoDocuments
from continuity.documents.port import Collection, Document, OutgoingEvent, Ref
from continuity.messaging.administration import ensure_topics
from continuity.messaging.connection import KafkaConnection
from continuity.messaging.envelope import headers
from continuity.messaging.topics import broker_topics, load_topics
from continuity.objects.s3 import S3ObjectStore
from continuity.objects.s3_settings import S3Settings
from deploy.local.servers.base import at_once
from deploy.local.servers.kafka import Kafka
from deploy.local.servers.minio import BUCKET, Minio
from deploy.local.servers.mongo import MongoStandIn
from tests.chaos import reading
from tests.chaos.checker import check
from tests.chaos.evidence import Accepted, AcceptedJob, Asked
from tests.chaos.findings import Kind
from tests.chaos.topology import DATABASE
from tests.integration.topics import LIMIT_S, Letter, send

pytestmark = [pytest.mark.infra, pytest.mark.slow]

PROJECT, JOB = "film", "job-1"
SUBMISSION = Asked(PROJECT, "submission", "request-1")
ACCEPTED = Accepted([AcceptedJob(PROJECT, JOB, SUBMISSION.id, "1/1")], asked={SUBMISSION})
SHOT = {"scene_id": "1", "shot_number": 1}
PICTURE = b"what was drawn"
SUBMISSIONS, JOBS, PROMPTS = Collection("submissions"), Collection("jobs"), Collection("prompts")


@dataclass(frozen=True)
class Servers:
    """Kafka, MinIO and the stand-in for MongoDB, with what they hold and an outsider's way to it."""

    kafka: Kafka
    minio: Minio
    mongo: MongoStandIn
    key: str = ""
    rendered: OutgoingEvent | None = None

    def kinds(self) -> set[Kind]:
        return {finding.kind for finding in check(ACCEPTED, reading.read(self))}

    def objects(self) -> s3.Minio:
        return s3.Minio(self.minio.address, self.minio.access_key, self.minio.secret_key, secure=False)

    def put(self, key: str, data: bytes) -> None:
        self.objects().put_object(BUCKET, key, io.BytesIO(data), len(data))

    @contextmanager
    def jobs(self) -> Iterator[MongoCollection[dict[str, Any]]]:
        with MongoClient[dict[str, Any]](self.mongo.url) as client:
            yield client[DATABASE]["jobs"]

    def publish(self, *events: OutgoingEvent) -> None:
        send(self.kafka.address, [_letter(event) for event in events])

    def acknowledge(self) -> None:
        """Let every group have handled everything."""
        for topic in load_topics().values():
            for group in topic.consumers:
                consumer = Consumer({"bootstrap.servers": self.kafka.address, "group.id": group})
                places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
                ends = [consumer.get_watermark_offsets(place, timeout=LIMIT_S)[1] for place in places]
                handled = [TopicPartition(topic.name, number, end) for number, end in enumerate(ends)]
                consumer.commit(offsets=handled, asynchronous=False)
                consumer.close()


@pytest.fixture
async def servers(tmp_path: Path) -> Any:
    """A film with one shot that was drawn, written by the services' own adapters."""
    made = Servers(Kafka(tmp_path / "kafka"), Minio(tmp_path / "minio"), MongoStandIn(tmp_path / "mongo"))
    every = (made.kafka, made.minio, made.mongo)
    try:
        await asyncio.to_thread(at_once, [server.start for server in every])
        yield await _filled(made)
    finally:
        await asyncio.to_thread(at_once, [server.stop for server in every])


async def test_harm_in_the_real_servers_is_found(servers: Servers) -> None:
    assert servers.rendered
    assert servers.kinds() == set()
    assert reading.unsettled(servers) == []
    assert reading.left_over(servers) == set()

    with servers.jobs() as jobs:
        job = jobs.find_one({"_id.i": JOB})
        assert job
        jobs.delete_one({"_id": job["_id"]})
        assert servers.kinds() >= {Kind.LOST, Kind.UNASKED}
        jobs.insert_one({**job, "outbox": [{"id": "e"}]})
        assert servers.kinds() == {Kind.UNPUBLISHED}
        assert reading.unsettled(servers) == ["1 outboxes of jobs"]
        jobs.replace_one({"_id": job["_id"]}, {**job, "body": {**job["body"], "lease_token": "t"}})
        assert servers.kinds() == {Kind.LEASED}
        jobs.replace_one({"_id": job["_id"]}, {**job, "inbox": ["a#1", "a#1"]})
        assert servers.kinds() == {Kind.DUPLICATED}
        jobs.replace_one({"_id": job["_id"]}, job)

    servers.put(servers.key, PICTURE[::-1])
    assert servers.kinds() == {Kind.DAMAGED}
    servers.objects().remove_object(BUCKET, servers.key)
    assert servers.kinds() == {Kind.DAMAGED}
    servers.put(servers.key, PICTURE)

    orphan = f"{PROJECT}/keyframes/nobody.png"
    servers.put(orphan, b"nobody's")
    assert servers.kinds() == {Kind.ORPHANED}
    assert reading.left_over(servers) == {orphan}
    servers.objects().remove_object(BUCKET, orphan)

    # Delivered again, as it may be: nobody has handled that delivery yet.
    servers.publish(servers.rendered)
    assert servers.kinds() == {Kind.UNHANDLED}
    servers.acknowledge()
    assert servers.kinds() == set()

    servers.publish(replace(servers.rendered, id="again"))
    servers.acknowledge()
    assert servers.kinds() == {Kind.DUPLICATED}


async def _filled(servers: Servers) -> Servers:
    await asyncio.to_thread(servers.minio.create_bucket)
    await ensure_topics(KafkaConnection(servers.kafka.address), broker_topics(load_topics()))
    settings = S3Settings(
        servers.minio.url, BUCKET, SecretStr(servers.minio.access_key), SecretStr(servers.minio.secret_key)
    )
    store = await S3ObjectStore(settings).open()
    picture = await store.put(f"{PROJECT}/keyframes/one.png", PICTURE, "image/png")
    await store.close()
    keyframe = KeyframeRendered(job_id=JOB)
    keyframe.keyframe.object.key, keyframe.keyframe.object.sha256 = picture.key, picture.sha256
    rendered = _event("rendering", "KeyframeRendered", "continuity.render.v1", keyframe.SerializeToString())
    requested = _event("rendering", "RenderRequested", "continuity.render.v1")
    prompted = _event("prompts", "PromptBuilt", "continuity.prompt.v1")
    job = {
        "state": "succeeded",
        "submission_id": SUBMISSION.id,
        "shot": SHOT,
        "keyframe": {"object": vars(picture)},
        "lease_token": "",
        "requested_time": 1.0,
    }
    await _store(servers, SUBMISSIONS, SUBMISSION.id, {"fanned_out": True, "shots": [SHOT]})
    await _store(servers, JOBS, JOB, job, requested, rendered)
    await _store(servers, PROMPTS, JOB, {"job_id": JOB}, prompted)
    servers.publish(requested, prompted, rendered)
    servers.acknowledge()
    return replace(servers, key=picture.key, rendered=rendered)


async def _store(
    servers: Servers, collection: Collection, id: str, body: dict[str, Any], *events: OutgoingEvent
) -> None:
    documents = await MongoDocuments(servers.mongo.url, DATABASE, [collection]).open()
    await documents.insert(collection, Document(PROJECT, id, 0, body), events, owner="me")
    await documents.settle({Ref(collection.name, PROJECT, id): [event.id for event in events]})
    await documents.close()


def _event(service: str, type: str, topic: str, payload: bytes = b"") -> OutgoingEvent:
    return OutgoingEvent(f"e-{type}", f"continuity/{service}", type, topic, JOB, PROJECT, 1.0, payload)


def _letter(event: OutgoingEvent) -> Letter:
    told = [(name, value.encode()) for name, value in headers(event).items()]
    return Letter(event.topic, event.payload, event.key.encode(), told)
