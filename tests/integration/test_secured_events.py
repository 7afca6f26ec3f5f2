"""Events from a document's outbox to a handler over every secured way into a real Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from continuity.api.events.v1.character_events_pb2 import CharacterDeleted
from continuity.documents.sqlite import SqliteDocuments
from continuity.hosting.settings import PlatformSettings
from continuity.kernel.ids import new_id
from continuity.messaging.administration import ensure_topics
from continuity.messaging.bus import EventBus
from continuity.messaging.checkpoints import NoCheckpoints
from continuity.messaging.consumer import Consumer, Subscription
from continuity.messaging.held_events import HeldEvents, held_collection
from continuity.messaging.relay import Relay
from continuity.messaging.topics import Topic, broker_topics
from deploy.local.servers.kafka import MECHANISMS, Kafka
from tests.conftest import started
from tests.integration.test_kafka_delivery import REELS, running, tell, until

pytestmark = [pytest.mark.infra, pytest.mark.slow]

VERSIONS = 20


class UnencryptedKafka(Kafka):
    """Asks for a password without TLS, as the broker of docker-compose.yml does in its own network."""

    def properties(self) -> dict[str, str]:
        protocols = "listener.security.protocol.map"
        usual = super().properties()
        return {**usual, protocols: usual[protocols].replace("SECURED:SASL_SSL", "SECURED:SASL_PLAINTEXT")}


@pytest.fixture(scope="module")
def unencrypted_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with started(UnencryptedKafka(tmp_path_factory.mktemp("unencrypted-kafka"))) as server:
        yield server


Way = Callable[[pytest.FixtureRequest], Mapping[str, str]]


def over_tls(mechanism: str, request: pytest.FixtureRequest) -> Mapping[str, str]:
    kafka: Kafka = request.getfixturevalue("kafka")
    return kafka.secured_variables(mechanism)


def with_a_certificate(request: pytest.FixtureRequest) -> Mapping[str, str]:
    kafka: Kafka = request.getfixturevalue("kafka")
    return kafka.mutual_variables


def in_the_clear(mechanism: str, request: pytest.FixtureRequest) -> Mapping[str, str]:
    kafka: Kafka = request.getfixturevalue("unencrypted_kafka")
    return {**kafka.secured_variables(mechanism), "CONTINUITY_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}


WAYS: dict[str, Way] = {
    **{f"{mechanism} over TLS": partial(over_tls, mechanism) for mechanism in MECHANISMS},
    "certificates of both": with_a_certificate,
    "PLAIN in the clear": partial(in_the_clear, "PLAIN"),
    "SCRAM-SHA-512 in the clear": partial(in_the_clear, "SCRAM-SHA-512"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_events_come_in_order_from_the_outbox_to_the_handler(
    way: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WAYS[way](request).items():
        monkeypatch.setenv(name, value)
    connection = PlatformSettings().kafka
    name = f"test.{new_id()}.v1"
    topic = Topic(name, "cutting", "id", 4, None, (name,), ("CharacterDeleted",), f"{name}.dead", outbox=True)
    documents = await SqliteDocuments(tmp_path / "documents.sqlite3", [REELS, held_collection(name)]).open()
    bus = EventBus(connection, name, partial(ensure_topics, connection, broker_topics({name: topic})))
    seen: list[int] = []

    async def handle(project: str, message: CharacterDeleted) -> None:
        seen.append(message.version)

    handlers = {CharacterDeleted: handle}
    consumer = Consumer(bus, [Subscription(topic, handlers)], HeldEvents(documents, name), NoCheckpoints())
    relay = Relay(documents, [REELS], bus)
    await bus.start()
    async with running(relay.run, consumer.retries.run):
        for version in range(1, VERSIONS + 1):
            await tell(documents, relay, topic, "a", version)
        await until(lambda: len(seen) == VERSIONS)
    await bus.stop()
    await documents.close()
    assert seen == list(range(1, VERSIONS + 1))
