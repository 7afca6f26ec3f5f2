"""Switching telemetry on for a process, which is off unless a collector is named."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from continuity.telemetry.providers import install

if TYPE_CHECKING:
    from continuity.telemetry.otlp import Pipelines

FLUSH_LIMIT_S = 5.0


class Telemetry:
    """What a process has switched on."""

    def __init__(self, pipelines: Pipelines | None) -> None:
        self._pipelines = pipelines

    def shutdown(self, limit_s: float = FLUSH_LIMIT_S) -> bool:
        """Send what waits and stop; false when that took longer than ``limit_s`` and something may be lost."""
        if self._pipelines is None:
            return True
        install(None, None)
        # The exporters' own limits do not hold while they try again; a thread that is left alone ends with the process.
        closing = threading.Thread(target=self._pipelines.shut_down, name="telemetry-shutdown", daemon=True)
        closing.start()
        closing.join(limit_s)
        return not closing.is_alive()


def set_up_telemetry(service: str, otlp_endpoint: str, version: str, *, content: bool = False) -> Telemetry:
    """Send spans and metrics to a collector's OTLP/gRPC port, ``http(s)://host:port``; empty sends none.

    ``content`` puts what users wrote (requests and events, cut to 4,096 characters) on spans as well.
    """
    if not otlp_endpoint:
        return Telemetry(None)
    from continuity.telemetry.otlp import open_pipelines  # noqa: PLC0415  0.15 s that only who exports pays

    pipelines = open_pipelines(service, otlp_endpoint, version)
    install(pipelines.tracers, pipelines.meters, content=content)
    return Telemetry(pipelines)
