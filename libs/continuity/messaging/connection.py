"""How the broker is reached: its address, encryption and credentials."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512
from pydantic import SecretStr

from continuity.kernel.errors import Misconfigured, Unavailable

SecurityProtocol: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class BrokerUnavailable(Unavailable):
    """The broker did not confirm in time."""

    template = "the event broker does not answer"


class BrokerMisconfigured(Misconfigured):
    """The broker answers, and will never serve these settings: a person must change them. Messages name the setting."""


@dataclass(eq=False)
class KafkaSettingMissing(BrokerMisconfigured):
    """A setting is empty that another one makes necessary."""

    template = "{setting} is not set; {because} needs it"
    setting: str
    because: str


@dataclass(eq=False)
class KafkaFileUnusable(BrokerMisconfigured):
    """A certificate or key cannot be read, or is none."""

    template = "{setting} is {path}, which cannot be used: {cause}"
    setting: str
    path: str
    cause: str


@dataclass(frozen=True)
class KafkaConnection:
    """``bootstrap_servers`` are ``host:port``, comma-separated; files are PEM, None where the system's will do."""

    bootstrap_servers: str
    security_protocol: SecurityProtocol = "PLAINTEXT"
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: SecretStr = field(default_factory=lambda: SecretStr(""))

    @property
    def encrypted(self) -> bool:
        """Whether the connection is TLS."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def authenticated(self) -> bool:
        """Whether a user name and password are sent."""
        return self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    def security(self) -> BaseSecurity:
        """Return the same for FastStream. Raises ``BrokerMisconfigured``."""
        context = self.ssl_context()
        if not self.authenticated:
            return BaseSecurity(ssl_context=context, use_ssl=self.encrypted)
        kind = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
        username, password = self._credentials()
        return kind[self.sasl_mechanism](username, password, ssl_context=context, use_ssl=self.encrypted)

    def client_options(self) -> dict[str, Any]:
        """Return the keyword arguments of aiokafka's clients, servers aside. Raises ``BrokerMisconfigured``."""
        options: dict[str, Any] = {"security_protocol": self.security_protocol, "ssl_context": self.ssl_context()}
        if self.authenticated:
            username, password = self._credentials()
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = username
            options["sasl_plain_password"] = password
        return options

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return how the broker's certificate is checked and ours shown; None without TLS.

        Raises ``BrokerMisconfigured``.
        """
        if not self.encrypted:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise _unusable("CONTINUITY_KAFKA_CA_FILE", self.ca_file, error) from None
        if self.cert_file is None and self.key_file is not None:
            raise KafkaSettingMissing("CONTINUITY_KAFKA_CERT_FILE", "CONTINUITY_KAFKA_KEY_FILE")
        if self.cert_file is not None:
            self._show_certificate(context, self.cert_file)
        return context

    def _show_certificate(self, context: ssl.SSLContext, cert_file: Path) -> None:
        """Load our own certificate; the key may lie in the same file."""
        for setting, path in (("CERT_FILE", cert_file), ("KEY_FILE", self.key_file or cert_file)):
            try:
                path.read_bytes()
            except OSError as error:
                raise _unusable(f"CONTINUITY_KAFKA_{setting}", path, error) from None
        try:
            context.load_cert_chain(cert_file, self.key_file, password="")  # an empty one: never ask the terminal
        except OSError:
            cause = "no certificate with a key that fits it and has no passphrase"
            raise KafkaFileUnusable("CONTINUITY_KAFKA_CERT_FILE", str(cert_file), cause) from None

    def _credentials(self) -> tuple[str, str]:
        password = self.sasl_password.get_secret_value()
        for setting, value in (("USERNAME", self.sasl_username), ("PASSWORD", password)):
            if not value:
                because = f"CONTINUITY_KAFKA_SECURITY_PROTOCOL={self.security_protocol}"
                raise KafkaSettingMissing(f"CONTINUITY_KAFKA_SASL_{setting}", because)
        return self.sasl_username, password


def _unusable(setting: str, path: Path | None, error: OSError) -> KafkaFileUnusable:
    """An ``ssl.SSLError`` is an ``OSError`` too; its reason is the only part of it that says something."""
    cause = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or type(error).__name__
    return KafkaFileUnusable(setting, str(path), cause.lower().replace("_", " "))
