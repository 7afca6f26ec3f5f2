"""Why a broker does not let us in: told apart from one that is merely away.

Client libraries say the same in both cases, that they could not connect. So one bootstrap server after another is asked
by hand, and what went wrong on the way in is put into the words of our settings.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from continuity.messaging.connection import (
    BrokerMisconfigured,
    BrokerUnavailable,
    KafkaConnection,
    SecurityProtocol,
)

SERVER_TIMEOUT_S = 3.0
"""For one attempt at one server; at most five are made, at most three servers are asked."""
MAX_SERVERS = 3
_PROBED: tuple[SecurityProtocol, ...] = ("SSL", "PLAINTEXT")


@dataclass(eq=False)
class KafkaAddressInvalid(BrokerMisconfigured):
    """The servers are not written as ``host:port``, separated by commas."""

    template = "CONTINUITY_BOOTSTRAP_SERVERS is {value!r}; it must be host:port, several with commas between"
    value: str


@dataclass(eq=False)
class KafkaCredentialsRefused(BrokerMisconfigured):
    """The user is unknown or the password wrong; brokers do not say which."""

    template = (
        "{server} refuses {username!r} and the password; see CONTINUITY_KAFKA_SASL_USERNAME, "
        "CONTINUITY_KAFKA_SASL_PASSWORD and CONTINUITY_KAFKA_SASL_MECHANISM ({mechanism})"
    )
    server: str
    username: str
    mechanism: str


@dataclass(eq=False)
class KafkaMechanismRefused(BrokerMisconfigured):
    """The server does not offer this kind of log-in."""

    template = "{server} does not take {mechanism}; see CONTINUITY_KAFKA_SASL_MECHANISM"
    server: str
    mechanism: str


@dataclass(eq=False)
class KafkaCertificateRefused(BrokerMisconfigured):
    """The server's certificate is not signed by whom we trust, has expired or is another host's."""

    template = "the certificate of {server} is not trusted ({cause}); see CONTINUITY_KAFKA_CA_FILE"
    server: str
    cause: str


@dataclass(eq=False)
class KafkaClientCertificateRefused(BrokerMisconfigured):
    """The server wants a certificate of ours and does not like the one that it got, or got none."""

    template = "{server} refuses our certificate ({cause}); see CONTINUITY_KAFKA_CERT_FILE"
    server: str
    cause: str


@dataclass(eq=False)
class KafkaProtocolMismatch(BrokerMisconfigured):
    """The server speaks, but with other encryption or log-in."""

    template = "{server} speaks {spoken}, not {set}; see CONTINUITY_KAFKA_SECURITY_PROTOCOL"
    server: str
    spoken: str
    set: str


async def require_admission(connection: KafkaConnection) -> None:
    """Return when some server lets us in.

    Raises ``BrokerMisconfigured`` when one answers and refuses us, ``BrokerUnavailable`` when none answers.
    """
    options = connection.client_options()
    for host, port in _servers(connection.bootstrap_servers):
        try:
            await _enter(host, port, options)
        except (OSError, KafkaError, TimeoutError, ValueError) as error:
            await _explain(error, f"{host}:{port}", connection)
        else:
            return
    raise BrokerUnavailable


def _servers(bootstrap_servers: str) -> list[tuple[str, int]]:
    """Return some of the servers, in random order."""
    try:
        servers = [(host, port) for host, port, _ in collect_hosts(bootstrap_servers)]
        for host, port in servers:
            if not host.encode("idna") or not 0 < port < 65_536:
                raise ValueError
    except ValueError:
        raise KafkaAddressInvalid(bootstrap_servers) from None
    return servers[:MAX_SERVERS]


async def _enter(host: str, port: int, options: dict[str, Any]) -> None:
    async with asyncio.timeout(SERVER_TIMEOUT_S), _connected(host, port, options) as server:
        await server.send(MetadataRequest([]))  # the first request that a server wants a log-in for


async def _explain(error: Exception, server: str, connection: KafkaConnection) -> None:
    """Raise what the error means; return where it may only mean that the server is away."""
    match error:
        case ssl.SSLCertVerificationError():
            raise KafkaCertificateRefused(server, error.verify_message) from None
        case UnsupportedSaslMechanismError():
            raise KafkaMechanismRefused(server, connection.sasl_mechanism) from None
        case SaslAuthenticationFailed() | ValueError():  # a ValueError: the server could not prove that it knows us
            raise KafkaCredentialsRefused(server, connection.sasl_username, connection.sasl_mechanism) from None
    spoken = await _spoken(server, _unchecking(connection.ssl_context()))
    if spoken and spoken != connection.security_protocol:
        raise KafkaProtocolMismatch(server, spoken, connection.security_protocol) from None
    if alert := _client_certificate_alert(error):
        raise KafkaClientCertificateRefused(server, alert) from None


def _client_certificate_alert(error: BaseException | None) -> str:
    """Return the alert about a missing or bad certificate of ours, which arrives after the handshake in TLS 1.3."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "") and "CERTIFICATE" in error.reason:
            return error.reason.lower().replace("_", " ")
        error = error.__cause__ or error.__context__
    return ""


async def _spoken(server: str, tls: ssl.SSLContext) -> SecurityProtocol | None:
    """Return what the server speaks, None when it speaks nothing that we understand."""
    host, _, port = server.rpartition(":")
    for protocol in _PROBED:
        options = {"security_protocol": protocol, "ssl_context": tls}
        with contextlib.suppress(OSError, KafkaError, TimeoutError):
            async with asyncio.timeout(SERVER_TIMEOUT_S), _connected(host, int(port), options) as conn:
                return _with_log_in(protocol) if await _asks_for_log_in(conn) else protocol
    return None


async def _asks_for_log_in(server: AIOKafkaConnection) -> bool:
    try:
        answer = await server.send(SaslHandShakeRequest("NONE"))
    except KafkaError:
        return False
    return bool(answer.error_code != IllegalSaslStateError.errno)


def _with_log_in(protocol: SecurityProtocol) -> SecurityProtocol:
    return "SASL_SSL" if protocol == "SSL" else "SASL_PLAINTEXT"


def _unchecking(context: ssl.SSLContext | None) -> ssl.SSLContext:
    """Return a context for a look at who is there: it takes every certificate, and nothing secret is sent over it."""
    context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@asynccontextmanager
async def _connected(host: str, port: int, options: dict[str, Any]) -> AsyncIterator[AIOKafkaConnection]:
    server = AIOKafkaConnection(host, port, request_timeout_ms=int(SERVER_TIMEOUT_S * 1_000), **options)
    try:
        await server.connect()
        yield server
    finally:
        server.close()
