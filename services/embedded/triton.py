"""The embedded Triton: the real server from its wheel, hosting the same model repository as elsewhere.

``python -m services.embedded.triton`` runs it as a process of its own and prints where it listens.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from continuity.hosting.observed import observed
from continuity.hosting.run import announce, stop_signal, unless_misconfigured
from continuity.inference.locate import locate_triton
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings
from continuity.inference.watchdog import RendererHealth, RendererState, TritonWatchdog
from services.embedded.settings import Settings

_log = logging.getLogger("services.embedded.triton")  # also where this is the program

MODELS = ("previz",)
_LEVELS = {RendererState.RESTARTING: logging.WARNING, RendererState.FAILED: logging.ERROR}


def embedded_triton(root: Path, home: Path, listen_address: str = "127.0.0.1:0") -> tuple[TritonServer, TritonWatchdog]:
    """Return a server for the models that need no weights, and its watchdog. Raises ``TritonMissing``."""
    host, port = listen_address.rsplit(":", 1)
    settings = TritonSettings(
        installation=locate_triton(root),
        model_repository=root / "deploy" / "triton" / "model_repository",
        models=MODELS,
        log_folder=home / "logs",
        python_path=(root / "libs",),
        host=host,
        port=int(port),
        # A frame's bytes must not depend on how many threads drew it.
        environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        # Jobs have been handed back by then; unloading takes Triton two seconds.
        stop_grace_s=0,
    )
    server = TritonServer(settings)
    return server, TritonWatchdog(server, on_change=say)


def say(health: RendererHealth) -> None:
    """Log how Triton stands."""
    why = f": {health.reason}" if health.reason else ""
    _log.log(_LEVELS.get(health.state, logging.INFO), "Triton is %s%s", health.state.value, why)


async def run(settings: Settings) -> None:
    """Run until a signal comes; print the address once Triton serves."""
    stopped = stop_signal()
    server, watchdog = embedded_triton(settings.root, settings.home, settings.listen_address)
    watchdog.start()
    try:
        await watchdog.settled()
        announce(server.address)
        await stopped.wait()
    finally:
        await watchdog.stop()


if __name__ == "__main__":
    with unless_misconfigured():
        settings = Settings()
        with observed(settings, "triton"):
            asyncio.run(run(settings))
