"""Topics on a real Kafka: created as declared, by however many at once, and verified where they stand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from continuity.messaging.administration import ReplicationImpossible, TopicPartitionsDiffer, ensure_topics
from continuity.messaging.connection import KafkaConnection
from continuity.messaging.topics import Topic, load_topics, topic_settings
from deploy.local.servers.kafka import Kafka

pytestmark = [pytest.mark.infra, pytest.mark.slow]

PROGRESS = load_topics()["continuity.render-progress.v1"]
_numbers = count(1)


@pytest.fixture
def connection(kafka: Kafka) -> KafkaConnection:
    return KafkaConnection(kafka.address)


@pytest.fixture
async def admin(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
def topic() -> Topic:
    return replace(PROGRESS, name=f"test.topics.{next(_numbers)}", partitions=3, retention_s=3_600.0)


async def settings_of(admin: AIOKafkaAdminClient, topic: Topic) -> dict[str, str]:
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name)])
    ((_, _, _, _, entries),) = answer.resources
    return {entry[0]: entry[1] for entry in entries}


async def test_a_missing_topic_is_created_as_it_is_declared(
    connection: KafkaConnection, admin: AIOKafkaAdminClient, topic: Topic
) -> None:
    await ensure_topics(connection, {topic.name: topic})
    ((described),) = [each for each in await admin.describe_topics() if each["topic"] == topic.name]
    assert len(described["partitions"]) == 3
    declared = topic_settings(topic, 1)
    assert declared["retention.ms"] == "3600000"
    assert declared.items() <= (await settings_of(admin, topic)).items()


async def test_ten_processes_that_create_a_topic_at_once_create_it_once(
    connection: KafkaConnection, admin: AIOKafkaAdminClient, topic: Topic
) -> None:
    await asyncio.gather(*(ensure_topics(connection, {topic.name: topic}) for _ in range(10)))
    assert (await admin.list_topics()).count(topic.name) == 1


async def test_other_partitions_than_declared_are_refused_with_both_numbers(
    connection: KafkaConnection, topic: Topic
) -> None:
    await ensure_topics(connection, {topic.name: topic})
    with pytest.raises(TopicPartitionsDiffer, match="has 3 partitions, its declaration says 8"):
        await ensure_topics(connection, {topic.name: replace(topic, partitions=8)})


async def test_another_retention_than_declared_is_warned_of_and_left(
    connection: KafkaConnection, admin: AIOKafkaAdminClient, topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    await ensure_topics(connection, {topic.name: topic})
    with caplog.at_level(logging.WARNING):
        await ensure_topics(connection, {topic.name: replace(topic, retention_s=None)})
    assert f"topic {topic.name} has retention.ms=3600000, declared is -1" in caplog.text
    assert (await settings_of(admin, topic))["retention.ms"] == "3600000"


async def test_a_topic_that_stands_as_declared_is_passed_without_a_word(
    connection: KafkaConnection, topic: Topic, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await ensure_topics(connection, {topic.name: topic})
    assert not [record for record in caplog.records if record.name.startswith("continuity")]


async def test_more_copies_than_brokers_are_refused_naming_the_setting(
    connection: KafkaConnection, admin: AIOKafkaAdminClient, topic: Topic
) -> None:
    with pytest.raises(ReplicationImpossible, match="CONTINUITY_KAFKA_REPLICATION_FACTOR"):
        await ensure_topics(connection, {topic.name: topic}, replication_factor=3)
    assert topic.name not in await admin.list_topics()
