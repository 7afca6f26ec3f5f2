"""The proxy that makes one address of many services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local import programs
from deploy.local.cache import ROOT
from deploy.local.ports import accepts, free_port
from deploy.local.servers.base import Server

CADDYFILE = ROOT / "deploy" / "proxy" / "Caddyfile"


class Caddy(Server):
    """Balances calls over ``upstreams``: addresses by service."""

    name = "caddy"

    def __init__(
        self, folder: Path, upstreams: Mapping[str, Sequence[str]], port: int = 0, *, detached: bool = False
    ) -> None:
        super().__init__(folder, port or free_port(), detached=detached)
        self._upstreams = upstreams

    def command(self) -> Sequence[str]:
        """Return the command line."""
        return [str(programs.caddy()), "run", "--adapter", "caddyfile", "--config", str(CADDYFILE)]

    def environment(self) -> Mapping[str, str]:
        """Return where it listens and where the services are."""
        services = {
            f"CONTINUITY_{name.upper()}_UPSTREAMS": " ".join(addresses) for name, addresses in self._upstreams.items()
        }
        listening = {"CONTINUITY_PROXY_HOST": "127.0.0.1", "CONTINUITY_PROXY_PORT": str(self.port)}
        return {**super().environment(), **services, **listening, "GOMEMLIMIT": "128MiB"}

    def answers(self) -> bool:
        """Tell whether it accepts connections."""
        return accepts(self.port)
