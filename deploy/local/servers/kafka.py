"""Apache Kafka as one node, with a listener for each way to connect."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local import programs
from deploy.local.ports import accepts, free_port
from deploy.local.processes import tail
from deploy.local.servers.base import Server, ServerFailed
from deploy.local.servers.certificates import Certificates
from deploy.local.servers.secrets import kept_secret, write_private

USERNAME = "continuity"
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
HEAP = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC")


class Kafka(Server):
    """KRaft, one node, topics only by request.

    Listeners: ``port`` plain, ``secured_port`` SASL_SSL, ``mutual_port`` SSL with a client's certificate, and, where
    ``proxied_address`` is given, ``proxied_port``, which tells its clients to come to that address: a proxy's. A proxy
    wants to know ``proxied_port`` first: take ``free_port()`` for it.
    """

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        *,
        secured_port: int = 0,
        mutual_port: int = 0,
        controller_port: int = 0,
        proxied_port: int = 0,
        proxied_address: str = "",
        detached: bool = False,
    ) -> None:
        super().__init__(folder, port or free_port(), detached=detached)
        self.secured_port = secured_port or free_port()
        self.mutual_port = mutual_port or free_port()
        self.proxied_port = proxied_port or free_port()
        self.certificates = Certificates(self.folder / "certificates")
        self._controller_port = controller_port or free_port()
        self._proxied_address = proxied_address

    @property
    def password(self) -> str:
        """The password of ``USERNAME``, made once for the folder."""
        return kept_secret(self.folder, "kafka")

    @property
    def variables(self) -> dict[str, str]:
        """What a service is told to connect plainly."""
        return {"CONTINUITY_BOOTSTRAP_SERVERS": self.address}

    def secured_variables(self, mechanism: str = MECHANISMS[0]) -> dict[str, str]:
        """Return what a service is told to connect with a password over TLS."""
        return {
            "CONTINUITY_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.secured_port}",
            "CONTINUITY_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "CONTINUITY_KAFKA_CA_FILE": str(self.certificates.authority),
            "CONTINUITY_KAFKA_SASL_MECHANISM": mechanism,
            "CONTINUITY_KAFKA_SASL_USERNAME": USERNAME,
            "CONTINUITY_KAFKA_SASL_PASSWORD": self.password,
        }

    @property
    def mutual_variables(self) -> dict[str, str]:
        """What a service is told to connect with a certificate of its own."""
        return {
            "CONTINUITY_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.mutual_port}",
            "CONTINUITY_KAFKA_SECURITY_PROTOCOL": "SSL",
            "CONTINUITY_KAFKA_CA_FILE": str(self.certificates.authority),
            "CONTINUITY_KAFKA_CERT_FILE": str(self.certificates.client_certificate),
            "CONTINUITY_KAFKA_KEY_FILE": str(self.certificates.client_key),
        }

    def command(self) -> Sequence[str]:
        """Return the command line; formats the data folder the first time."""
        self.certificates.make()
        properties = self.folder / "server.properties"
        write_private(properties, "".join(f"{key}={value}\n" for key, value in self.properties().items()))
        if not (self._data / "meta.properties").exists():
            self._format(properties)
        return [*self._java(*HEAP), "kafka.Kafka", str(properties)]

    def properties(self) -> dict[str, str]:
        """Return the broker's configuration."""
        return {
            **self._roles(),
            **self._listeners(),
            **self._security(),
            "log.dirs": str(self._data),
            "num.partitions": "4",
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            "log.segment.bytes": str(64 << 20),
            "num.network.threads": "2",
            "num.io.threads": "4",
            "log.cleaner.dedupe.buffer.size": str(8 << 20),
            **dict.fromkeys(_ONE_NODE, "1"),
        }

    def answers(self) -> bool:
        """Tell whether it names itself as a broker."""
        if not accepts(self.port):
            return False
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        try:
            return bool(admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _roles(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAIN",
        }

    def _listeners(self) -> dict[str, str]:
        ports = {"PLAIN": self.port, "SECURED": self.secured_port, "MUTUAL": self.mutual_port}
        advertised = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        if self._proxied_address:
            ports["PROXIED"] = self.proxied_port
            advertised["PROXIED"] = self._proxied_address
        ports["CONTROLLER"] = self._controller_port
        protocols = {"SECURED": "SASL_SSL", "MUTUAL": "SSL"}
        return {
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items()),
            "advertised.listeners": ",".join(f"{name}://{address}" for name, address in advertised.items()),
            "listener.security.protocol.map": ",".join(f"{name}:{protocols.get(name, 'PLAINTEXT')}" for name in ports),
        }

    def _security(self) -> dict[str, str]:
        login = f'username="{USERNAME}" password="{self.password}"'
        modules = "org.apache.kafka.common.security"
        scram = f"{modules}.scram.ScramLoginModule required;"
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificates.server_pair),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.authority),
            "listener.name.mutual.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "listener.name.secured.scram-sha-512.sasl.jaas.config": scram,
            "listener.name.secured.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.secured.plain.sasl.jaas.config": (
                f'{modules}.plain.PlainLoginModule required {login} user_{USERNAME}="{self.password}";'
            ),
        }

    def _format(self, properties: Path) -> None:
        scram = [f"--add-scram={name}=[name={USERNAME},password={self.password}]" for name in MECHANISMS[:2]]
        cluster = f"--cluster-id={secrets.token_urlsafe(16)}"
        command = [*self._java("-Xmx128m"), "kafka.tools.StorageTool", "format", cluster, "-c", str(properties)]
        with self.log.open("ab") as log:
            done = subprocess.run([*command, *scram], stdout=log, stderr=log, env=dict(self.environment()), check=False)
        if done.returncode:
            raise ServerFailed(f"kafka's data folder could not be formatted; end of {self.log}:\n{tail(self.log)}")

    def _java(self, *options: str) -> list[str]:
        level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return [programs.java(), *options, level, "-cp", f"{programs.kafka()}/*"]


_ONE_NODE = (
    "offsets.topic.replication.factor",
    "offsets.topic.num.partitions",
    "transaction.state.log.replication.factor",
    "transaction.state.log.min.isr",
    "transaction.state.log.num.partitions",
    "share.coordinator.state.topic.replication.factor",
    "share.coordinator.state.topic.min.isr",
)
