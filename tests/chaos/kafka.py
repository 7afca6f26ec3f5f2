"""Kafka with a listener for each service, so that one can be cut off while the others are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.local.ports import free_port
from deploy.local.servers.kafka import Kafka


class KafkaOfManyWays(Kafka):
    """``ways`` are the addresses, those of proxies, to which it tells clients to come, by name.

    ``upstreams`` are the addresses at which it waits for what comes that way.
    """

    def __init__(self, folder: Path, ways: Mapping[str, str]) -> None:
        super().__init__(folder)
        self._ways = ways
        self.upstreams = {name: f"127.0.0.1:{free_port()}" for name in ways}

    def properties(self) -> dict[str, str]:
        """Return the broker's configuration with a listener for each way."""
        told = super().properties()
        names = {name: f"WAY_{number}" for number, name in enumerate(self._ways)}
        for key, entries in {
            "listeners": [f"{names[name]}://{address}" for name, address in self.upstreams.items()],
            "advertised.listeners": [f"{names[name]}://{address}" for name, address in self._ways.items()],
            "listener.security.protocol.map": [f"{name}:PLAINTEXT" for name in names.values()],
        }.items():
            told[key] = ",".join([told[key], *entries])
        return told
