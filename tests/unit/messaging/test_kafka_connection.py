"""Settings of the connection, and how a broker that will never let us in is told from one that is away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from continuity.kernel.errors import Misconfigured
from continuity.messaging import admission
from continuity.messaging.administration import TopicPartitionsDiffer, ensure_topics
from continuity.messaging.admission import KafkaAddressInvalid, KafkaProtocolMismatch, require_admission
from continuity.messaging.connection import (
    BrokerUnavailable,
    KafkaConnection,
    KafkaFileUnusable,
    KafkaSettingMissing,
    SaslMechanism,
    SecurityProtocol,
)
from continuity.messaging.embedded_broker import EmbeddedBroker
from continuity.messaging.topics import broker_topics, load_topics

TOPICS = broker_topics(load_topics())
SECRET = "correct horse"
PLAIN = KafkaConnection("127.0.0.1:9092")
SECURED = replace(PLAIN, security_protocol="SASL_SSL", sasl_username="ward", sasl_password=SecretStr(SECRET))

Meet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


@pytest.fixture
def broker() -> EmbeddedBroker:
    return EmbeddedBroker()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "SERVER_TIMEOUT_S", 0.5)


@asynccontextmanager
async def listening(meet: Meet) -> AsyncIterator[KafkaConnection]:
    server = await asyncio.start_server(meet, "127.0.0.1", 0)  # type: ignore[arg-type]
    try:
        yield replace(
            SECURED, security_protocol="PLAINTEXT", bootstrap_servers=f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        )
    finally:
        server.close()


def test_without_encryption_no_certificate_is_looked_at() -> None:
    options = replace(PLAIN, ca_file=Path("/nowhere")).client_options()
    assert options == {"security_protocol": "PLAINTEXT", "ssl_context": None}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_both_client_libraries_are_told_the_same(mechanism: SaslMechanism) -> None:
    from faststream.kafka.security import parse_security

    connection = replace(SECURED, sasl_mechanism=mechanism)
    ours, theirs = connection.client_options(), parse_security(connection.security())
    assert ours.pop("ssl_context").verify_mode == theirs.pop("ssl_context").verify_mode
    assert ours == theirs
    assert ours["sasl_plain_password"] == SECRET


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_every_protocol_is_passed_on_as_it_is_named(protocol: SecurityProtocol) -> None:
    from faststream.kafka.security import parse_security

    connection = replace(SECURED, security_protocol=protocol)
    assert parse_security(connection.security())["security_protocol"] == protocol
    assert connection.client_options()["security_protocol"] == protocol


def test_the_password_shows_nowhere() -> None:
    assert SECRET not in repr(SECURED) + str(SECURED)


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"sasl_username": ""}, "CONTINUITY_KAFKA_SASL_USERNAME"),
        ({"sasl_password": SecretStr("")}, "CONTINUITY_KAFKA_SASL_PASSWORD"),
        ({"key_file": Path("/etc/hostname")}, "CONTINUITY_KAFKA_CERT_FILE"),
    ],
)
def test_a_setting_that_another_needs_is_named(change: dict[str, object], setting: str) -> None:
    with pytest.raises(KafkaSettingMissing, match=setting):
        replace(SECURED, **change).client_options()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "content", "cause"),
    [
        ("ca_file", None, "no such file or directory"),
        ("ca_file", "not a certificate", "no certificate or crl found"),
        ("cert_file", None, "no such file or directory"),
        ("cert_file", "not a certificate", "no certificate with a key"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_setting(
    tmp_path: Path, field: str, content: str | None, cause: str
) -> None:
    path = tmp_path / "some.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(KafkaFileUnusable, match=f"CONTINUITY_KAFKA_{field.upper()} is {path}.*{cause}"):
        replace(SECURED, **{field: path}).security()  # type: ignore[arg-type]


@pytest.mark.parametrize("servers", ["", "host:port", "host:70000", "a..b:9092", "one:1,two:x"])
async def test_an_address_that_is_none_is_refused_naming_the_setting(servers: str) -> None:
    with pytest.raises(KafkaAddressInvalid, match="CONTINUITY_BOOTSTRAP_SERVERS"):
        await require_admission(replace(PLAIN, bootstrap_servers=servers))


@pytest.mark.parametrize("protocol", ["SSL", "SASL_PLAINTEXT", "SASL_SSL"])
async def test_a_broker_that_speaks_otherwise_is_told_of(broker: EmbeddedBroker, protocol: SecurityProtocol) -> None:
    connection = replace(SECURED, bootstrap_servers=broker.bootstrap_servers, security_protocol=protocol)
    with pytest.raises(KafkaProtocolMismatch, match=f"speaks PLAINTEXT, not {protocol}"):
        await require_admission(connection)


async def test_the_first_server_that_answers_lets_us_in(broker: EmbeddedBroker) -> None:
    await require_admission(replace(PLAIN, bootstrap_servers=f"127.0.0.1:1,{broker.bootstrap_servers}"))


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_SSL"])
async def test_a_server_that_hangs_up_may_only_be_restarting(protocol: SecurityProtocol) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with listening(hang_up) as connection:
        with pytest.raises(BrokerUnavailable):
            await require_admission(replace(connection, security_protocol=protocol))


async def test_a_server_that_never_says_a_word_is_left_in_time() -> None:
    async with listening(lambda _reader, _writer: None) as connection:
        with pytest.raises(BrokerUnavailable):
            async with asyncio.timeout(30):
                await require_admission(connection)


async def test_topics_that_stand_are_verified_and_a_difference_in_partitions_is_refused(broker: EmbeddedBroker) -> None:
    await broker.create(TOPICS)
    connection = replace(PLAIN, bootstrap_servers=broker.bootstrap_servers)
    await ensure_topics(connection, TOPICS)
    name = "continuity.render.v1"
    with pytest.raises(TopicPartitionsDiffer, match=f"{name} has 4 partitions, its declaration says 8"):
        await ensure_topics(connection, {name: replace(TOPICS[name], partitions=8)})


async def test_a_broker_that_is_away_is_worth_another_attempt() -> None:
    with pytest.raises(BrokerUnavailable) as away:
        await ensure_topics(replace(PLAIN, bootstrap_servers="127.0.0.1:1"), TOPICS)
    assert not isinstance(away.value, Misconfigured)
