"""A proxy that cuts, slows and resets connections on request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from deploy.local import programs
from deploy.local.ports import free_port
from deploy.local.servers.base import Server

CALL_LIMIT_S = 5.0
FAULTS = ("latency", "bandwidth", "reset_peer", "timeout")


class Toxiproxy(Server):
    """Its proxies are forgotten when it ends."""

    name = "toxiproxy"

    def __init__(self, folder: Path, port: int = 0, *, detached: bool = False) -> None:
        super().__init__(folder, port or free_port(), detached=detached)

    def proxy(self, name: str, upstream: str, port: int = 0) -> Proxy:
        """Stand before ``upstream`` (``host:port``); several proxies may have one name."""
        port = port or free_port()
        name, listen = f"{name}-{port}", f"127.0.0.1:{port}"
        self.call("POST", "/proxies", {"name": name, "listen": listen, "upstream": upstream, "enabled": True})
        return Proxy(self, name, listen)

    def command(self) -> Sequence[str]:
        """Return the command line."""
        return [str(programs.toxiproxy()), "-host", "127.0.0.1", "-port", str(self.port)]

    def answers(self) -> bool:
        """Tell whether it answers calls."""
        try:
            self.call("GET", "/version")
        except (OSError, HTTPException):
            return False
        return True

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        """Call its HTTP interface. Raises ``OSError``."""
        content = json.dumps(body).encode() if body is not None else None
        # It refuses what looks like a browser.
        request = Request(
            f"http://{self.address}{path}", content, {"User-Agent": "continuity", "Content-Type": "application/json"}
        )
        request.method = method
        with urlopen(request, timeout=CALL_LIMIT_S) as answer:  # noqa: S310
            answer.read()


@dataclass(frozen=True)
class Proxy:
    """A way to one server; ``address`` is where clients go."""

    server: Toxiproxy
    name: str
    address: str

    def cut(self) -> None:
        """End all connections and accept none."""
        self._change({"enabled": False})

    def mend(self) -> None:
        """Accept connections again and remove every fault."""
        for kind in FAULTS:
            self._without(kind)
        self._change({"enabled": True})

    def slow(self, latency_ms: int, jitter_ms: int = 0) -> None:
        """Delay every answer."""
        self._toxic("latency", {"latency": latency_ms, "jitter": jitter_ms})

    def narrow(self, kilobytes_per_s: int) -> None:
        """Limit the bandwidth of answers."""
        self._toxic("bandwidth", {"rate": kilobytes_per_s})

    def reset(self, after_ms: int = 0) -> None:
        """Reset connections after a while."""
        self._toxic("reset_peer", {"timeout": after_ms})

    def swallow(self) -> None:
        """Keep connections open and let no answer through."""
        self._toxic("timeout", {"timeout": 0})

    def _change(self, change: dict[str, Any]) -> None:
        self.server.call("POST", f"/proxies/{self.name}", change)

    def _toxic(self, kind: str, attributes: dict[str, int]) -> None:
        self._without(kind)
        body = {"name": kind, "type": kind, "stream": "downstream", "attributes": attributes}
        self.server.call("POST", f"/proxies/{self.name}/toxics", body)

    def _without(self, kind: str) -> None:
        try:
            self.server.call("DELETE", f"/proxies/{self.name}/toxics/{kind}")
        except HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
