"""The local servers keep what they were given, whatever way they end."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from minio import Minio as Client
from pymongo import MongoClient

from deploy.local.ports import free_port
from deploy.local.servers.kafka import Kafka
from deploy.local.servers.minio import Minio
from deploy.local.servers.mongo import MongoStandIn
from deploy.local.servers.toxiproxy import Toxiproxy
from tests.conftest import started

pytestmark = [pytest.mark.infra, pytest.mark.slow]

LIMIT_S = 30


def published(address: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": address, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(LIMIT_S) == 0


def consumed(address: str, topic: str) -> bytes | None:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        message = consumer.poll(LIMIT_S)
        assert message is not None
        assert message.error() is None
        return message.value()
    finally:
        consumer.close()


def made_topic(address: str, topic: str) -> str:
    admin = AdminClient({"bootstrap.servers": address})  # its answers end with it
    for made in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        made.result(LIMIT_S)
    return topic


def test_kafka_has_its_records_after_a_kill_and_makes_no_topic_by_itself(tmp_path: Path) -> None:
    with started(Kafka(tmp_path)) as kafka:
        published(kafka.address, made_topic(kafka.address, "kept"), b"a take")
        kafka.kill()
        assert not kafka.answers()
        kafka.start()
        assert consumed(kafka.address, "kept") == b"a take"
        admin = AdminClient({"bootstrap.servers": kafka.address})
        admin.list_topics("absent")  # asking for a topic makes it where brokers may
        assert "absent" not in admin.list_topics().topics


def test_kafka_behind_a_proxy_is_reached_through_it_alone(tmp_path: Path, toxiproxy: Toxiproxy) -> None:
    port = free_port()
    proxy = toxiproxy.proxy("kafka", f"127.0.0.1:{port}")
    with started(Kafka(tmp_path, proxied_port=port, proxied_address=proxy.address)):
        topic = made_topic(proxy.address, "behind")
        published(proxy.address, topic, b"through")
        proxy.cut()
        producer = Producer({"bootstrap.servers": proxy.address, "message.timeout.ms": 500})
        failures: list[Any] = []
        producer.produce(topic, b"lost", on_delivery=lambda error, _message: failures.append(error))
        producer.flush(LIMIT_S)
        assert failures[0] is not None
        proxy.mend()
        assert consumed(proxy.address, topic) == b"through"


def test_minio_has_its_objects_after_a_kill(tmp_path: Path) -> None:
    with started(Minio(tmp_path)) as server:
        client = Client(server.address, server.access_key, server.secret_key, secure=False)
        bucket = server.create_bucket("kept")
        client.put_object(bucket, "frame", io.BytesIO(b"pixels"), 6)
        server.kill()
        server.start()
        assert server.create_bucket("kept") == bucket
        with client.get_object(bucket, "frame") as answer:
            assert answer.read() == b"pixels"


def test_the_mongo_stand_in_has_its_documents_after_it_was_told_to_end(tmp_path: Path) -> None:
    with started(MongoStandIn(tmp_path)) as server:
        with MongoClient[dict[str, Any]](server.url) as client:
            client.films.shots.insert_many([{"_id": number} for number in range(500)])
        server.restart()
        with MongoClient[dict[str, Any]](server.url) as client:
            assert client.films.shots.count_documents({}) == 500


def test_two_ways_to_one_server_are_cut_each_for_itself(toxiproxy: Toxiproxy, minio: Minio) -> None:
    cut, whole = (toxiproxy.proxy("minio", minio.address) for _ in range(2))
    cut.cut()
    with urlopen(f"http://{whole.address}/minio/health/ready", timeout=2) as answer:
        assert answer.status == 200
    with pytest.raises(OSError):
        urlopen(f"http://{cut.address}/minio/health/ready", timeout=2)


def test_a_proxy_cuts_resets_and_mends_a_way(toxiproxy: Toxiproxy, minio: Minio) -> None:
    proxy = toxiproxy.proxy("minio", minio.address)

    def ready() -> int:
        with urlopen(f"http://{proxy.address}/minio/health/ready", timeout=2) as answer:
            return int(answer.status)

    assert ready() == 200
    for fault in (proxy.cut, proxy.reset, proxy.swallow):
        fault()
        with pytest.raises(OSError):
            ready()
        proxy.mend()
        assert ready() == 200
    proxy.slow(50)
    proxy.narrow(1_000)
    assert ready() == 200
