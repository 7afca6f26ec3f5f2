"""Every way into a real Kafka, and every way of not getting in: one line that names the setting, and no secret."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from continuity.hosting.settings import PlatformSettings
from continuity.messaging.administration import TopicDenied, ensure_topics
from continuity.messaging.admission import (
    KafkaCertificateRefused,
    KafkaClientCertificateRefused,
    KafkaCredentialsRefused,
    KafkaMechanismRefused,
    KafkaProtocolMismatch,
)
from continuity.messaging.connection import BrokerMisconfigured, KafkaConnection, KafkaFileUnusable
from continuity.messaging.topics import broker_topics, load_topics
from deploy.local.servers.kafka import MECHANISMS, Kafka
from tests.e2e.conftest import environment

pytestmark = [pytest.mark.infra, pytest.mark.slow]

TOPICS = broker_topics(load_topics())
WRONG = "wr0ng-horse"


class StrictKafka(Kafka):
    """Lets nobody but the nameless of the plain listener do anything, and takes one kind of log-in."""

    def properties(self) -> dict[str, str]:
        return {
            **super().properties(),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": MECHANISMS[0],
        }


@pytest.fixture(scope="module")
def strict_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    kafka = StrictKafka(tmp_path_factory.mktemp("strict-kafka"))
    kafka.start()
    yield kafka
    kafka.stop()


def told(variables: Mapping[str, str], **changes: Any) -> KafkaConnection:
    """Return the connection that a service makes of these variables."""
    named = {name.removeprefix("CONTINUITY_").lower(): value for name, value in variables.items()}
    return PlatformSettings(**named | changes).kafka


async def refusal(connection: KafkaConnection) -> BrokerMisconfigured:
    with pytest.raises(BrokerMisconfigured) as refused:
        await ensure_topics(connection, TOPICS)
    message = str(refused.value)
    assert WRONG not in message
    assert len(message.splitlines()) == 1
    return refused.value


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_password_over_tls_lets_us_in(kafka: Kafka, mechanism: str) -> None:
    await ensure_topics(told(kafka.secured_variables(mechanism)), TOPICS)


async def test_a_certificate_of_our_own_lets_us_in(kafka: Kafka) -> None:
    await ensure_topics(told(kafka.mutual_variables), TOPICS)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("setting", ["kafka_sasl_username", "kafka_sasl_password"])
async def test_wrong_credentials_are_refused_naming_their_settings(kafka: Kafka, mechanism: str, setting: str) -> None:
    refused = await refusal(
        told(kafka.secured_variables(mechanism), **{setting: WRONG[:5] if "name" in setting else WRONG})
    )
    assert isinstance(refused, KafkaCredentialsRefused)
    for named in ("CONTINUITY_KAFKA_SASL_USERNAME", "CONTINUITY_KAFKA_SASL_PASSWORD"):
        assert named in str(refused)


def test_a_service_with_a_wrong_password_ends_with_one_line_and_no_stack(kafka: Kafka, tmp_path: Path) -> None:
    variables = {**kafka.secured_variables(), "CONTINUITY_KAFKA_SASL_PASSWORD": WRONG}
    ended = subprocess.run(
        [sys.executable, "-m", "services.prompts"],
        env={**environment(tmp_path), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "CONTINUITY_KAFKA_SASL_PASSWORD" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert WRONG not in ended.stdout + ended.stderr


async def test_a_log_in_that_the_server_does_not_offer_is_refused(strict_kafka: Kafka) -> None:
    refused = await refusal(told(strict_kafka.secured_variables("PLAIN")))
    assert isinstance(refused, KafkaMechanismRefused)
    assert "CONTINUITY_KAFKA_SASL_MECHANISM" in str(refused)


@pytest.mark.parametrize("authority", ["another", None])
async def test_a_server_that_our_authority_has_not_signed_is_refused(kafka: Kafka, authority: str | None) -> None:
    ca_file = kafka.certificates.client_certificate if authority else None
    refused = await refusal(told(kafka.secured_variables(), kafka_ca_file=ca_file))
    assert isinstance(refused, KafkaCertificateRefused)
    assert "CONTINUITY_KAFKA_CA_FILE" in str(refused)


async def test_an_authority_that_is_not_there_is_told_of_before_anything_is_sent(kafka: Kafka, tmp_path: Path) -> None:
    refused = await refusal(told(kafka.secured_variables(), kafka_ca_file=tmp_path / "gone.pem"))
    assert isinstance(refused, KafkaFileUnusable)
    assert f"CONTINUITY_KAFKA_CA_FILE is {tmp_path}/gone.pem" in str(refused)


async def test_a_server_that_wants_our_certificate_says_so(kafka: Kafka) -> None:
    refused = await refusal(told(kafka.mutual_variables, kafka_cert_file=None, kafka_key_file=None))
    assert isinstance(refused, KafkaClientCertificateRefused)
    assert "CONTINUITY_KAFKA_CERT_FILE" in str(refused)


@pytest.mark.parametrize(
    ("protocol", "port", "spoken"),
    [
        ("PLAINTEXT", "secured_port", "SASL_SSL"),
        ("SASL_PLAINTEXT", "secured_port", "SASL_SSL"),
        ("SSL", "secured_port", "SASL_SSL"),
        ("SASL_SSL", "port", "PLAINTEXT"),
        ("SSL", "port", "PLAINTEXT"),
        ("SASL_PLAINTEXT", "port", "PLAINTEXT"),
    ],
)
async def test_another_protocol_than_the_server_speaks_is_refused_naming_both(
    kafka: Kafka, protocol: str, port: str, spoken: str
) -> None:
    servers = f"127.0.0.1:{getattr(kafka, port)}"
    variables = kafka.secured_variables()
    refused = await refusal(told(variables, bootstrap_servers=servers, kafka_security_protocol=protocol))
    assert isinstance(refused, KafkaProtocolMismatch)
    assert f"speaks {spoken}, not {protocol}; see CONTINUITY_KAFKA_SECURITY_PROTOCOL" in str(refused)


async def test_who_may_not_create_a_topic_is_told_which(strict_kafka: Kafka) -> None:
    name = "continuity.render.v1"
    with pytest.raises(TopicDenied, match=f"no topic {name} for these credentials") as denied:
        await ensure_topics(told(strict_kafka.secured_variables()), {name: TOPICS[name]})
    assert denied.value.retryable
