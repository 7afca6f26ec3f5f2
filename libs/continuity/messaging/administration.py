"""Topics are created where they are missing and verified where they stand, by whoever needs them first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidReplicationFactorError,
    KafkaError,
    NoError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from continuity.kernel.errors import NotAllowed
from continuity.messaging.admission import require_admission
from continuity.messaging.connection import BrokerMisconfigured, BrokerUnavailable, KafkaConnection
from continuity.messaging.topics import Topic, topic_settings

_log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0
VISIBLE_TIMEOUT_S = 10.0
"""How long a new topic may take until every broker knows of it."""
LOOK_S = 0.1


@dataclass(eq=False)
class TopicDenied(NotAllowed):
    """A topic is missing or hidden from us, and we may not create it; somebody who may can mend that at any time."""

    retryable = True
    template = "there is no topic {topic} for these credentials, and they may not create it ({cause})"
    topic: str
    cause: str


@dataclass(eq=False)
class TopicPartitionsDiffer(BrokerMisconfigured):
    """A topic has other partitions than declared: keys would move between them, and their events lose their order."""

    template = "topic {topic} has {actual} partitions, its declaration says {declared}"
    topic: str
    actual: int
    declared: int


@dataclass(eq=False)
class ReplicationImpossible(BrokerMisconfigured):
    """The cluster has too few brokers for the copies that are asked for."""

    template = (
        "topic {topic} cannot have {replication_factor} copies ({cause}); see CONTINUITY_KAFKA_REPLICATION_FACTOR"
    )
    topic: str
    replication_factor: int
    cause: str


class TopicAdministration(Protocol):
    """Makes topics exist."""

    async def create(self, topics: Mapping[str, Topic]) -> None:
        """Create those of the topics (by the name they are to have) that are missing; verify the others."""
        ...


async def ensure_topics(connection: KafkaConnection, topics: Mapping[str, Topic], replication_factor: int = 1) -> None:
    """Create or verify topics on the broker that the settings name; harmless when many processes do it at once.

    Raises ``BrokerUnavailable`` and ``TopicDenied``, after which a later attempt may succeed, and
    ``BrokerMisconfigured``, after which none will until a person changes something.
    """
    await KafkaTopics(connection, replication_factor).create(topics)


class KafkaTopics:
    """The ``TopicAdministration`` of a real broker."""

    def __init__(self, connection: KafkaConnection, replication_factor: int = 1) -> None:
        self._connection = connection
        self._copies = replication_factor

    async def create(self, topics: Mapping[str, Topic]) -> None:
        """Create or verify. Raises what ``ensure_topics`` does."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S + VISIBLE_TIMEOUT_S), self._admin() as admin:
                found = await _partitions(admin)
                missing = {name: topic for name, topic in topics.items() if name not in found}
                if missing:
                    await self._create(admin, missing)
                    found = await _visible(admin, missing)
                _verify_partitions(topics, found)
                await self._compare_settings(admin, {name: topics[name] for name in topics.keys() - missing.keys()})
        except (TimeoutError, OSError, KafkaError) as error:
            raise BrokerUnavailable from error

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        await require_admission(self._connection)
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._connection.bootstrap_servers,
            client_id="continuity-topics",
            request_timeout_ms=int(REQUEST_TIMEOUT_S * 1_000),
            **self._connection.client_options(),
        )
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()

    async def _create(self, admin: AIOKafkaAdminClient, missing: Mapping[str, Topic]) -> None:
        wanted = [
            NewTopic(name, topic.partitions, self._copies, topic_configs=topic_settings(topic, self._copies))
            for name, topic in missing.items()
        ]
        answer = await admin.create_topics(wanted)
        for name, code, *message in answer.topic_errors:
            self._require_created(name, for_code(code), str((message or [""])[0] or ""))

    def _require_created(self, topic: str, error: type[KafkaError], told: str) -> None:
        if error in (NoError, TopicAlreadyExistsError):  # somebody else was faster
            return
        cause = told or str(error.description)
        if error in (TopicAuthorizationFailedError, ClusterAuthorizationFailedError, PolicyViolationError):
            raise TopicDenied(topic, cause)
        if error is InvalidReplicationFactorError:
            raise ReplicationImpossible(topic, self._copies, cause)
        raise error(f"{topic}: {cause}")

    async def _compare_settings(self, admin: AIOKafkaAdminClient, topics: Mapping[str, Topic]) -> None:
        """Warn of what differs: it may be meant, and events are carried all the same."""
        if not topics:
            return
        for name, actual in (await _settings(admin, topics)).items():
            for setting, declared in topic_settings(topics[name], self._copies).items():
                if actual.get(setting, declared) != declared:
                    _log.warning("topic %s has %s=%s, declared is %s", name, setting, actual[setting], declared)


async def _partitions(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """Return how many partitions each topic has. All topics are listed: asking for one by name may create it."""
    return {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics()}


async def _visible(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, int]:
    """Return the partitions of all topics once these are among them."""
    async with asyncio.timeout(VISIBLE_TIMEOUT_S):
        while True:
            found = await _partitions(admin)
            if all(found.get(name) for name in topics):
                return found
            await asyncio.sleep(LOOK_S)


def _verify_partitions(topics: Mapping[str, Topic], found: Mapping[str, int]) -> None:
    for name, topic in topics.items():
        if found[name] != topic.partitions:
            raise TopicPartitionsDiffer(name, found[name], topic.partitions)


async def _settings(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the settings by topic; of those that we may not read, and of brokers that have none, nothing."""
    wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    try:
        answers = await admin.describe_configs(wanted)
    except IncompatibleBrokerVersion:
        return {}
    resources: list[Any] = [resource for answer in answers for resource in answer.resources]
    return {name: {entry[0]: entry[1] for entry in entries} for code, _, _, name, entries in resources if code == 0}
