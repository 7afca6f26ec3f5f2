"""The embedded Triton: the real server from its wheel, hosting the same model repository as elsewhere.

``python -m services.embedded.triton`` runs it as a process of its own and prints where it listens.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from continuity.hosting.observed import observed
from continuity.hosting.run import announce, stop_signal, unless_misconfigured
from continuity.inference.locate import locate_triton, with_engine
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings
from continuity.inference.watchdog import RendererHealth, RendererState, TritonWatchdog
from services.embedded.settings import Settings
from services.embedded.tiny_model import make_tiny_model

_log = logging.getLogger("services.embedded.triton")  # also where this is the program

PREVIZ, SDXL = "previz", "sdxl"
ENGINE_START_S = 300.0
"""To import torch takes seconds on a fast disk and minutes on a slow one."""
_LEVELS = {RendererState.RESTARTING: logging.WARNING, RendererState.FAILED: logging.ERROR}


def embedded_triton(settings: Settings, listen_address: str = "127.0.0.1:0") -> tuple[TritonServer, TritonWatchdog]:
    """Return a server for the models that the renderer needs, and its watchdog. Raises ``TritonMissing``."""
    host, port = listen_address.rsplit(":", 1)
    plain = TritonSettings(
        installation=locate_triton(settings.root),
        model_repository=settings.root / "deploy" / "triton" / "model_repository",
        models=(PREVIZ,),
        log_folder=settings.home / "logs",
        python_path=(settings.root / "libs",),
        host=host,
        port=int(port),
        # A frame's bytes must not depend on how many threads drew it.
        environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        # Jobs have been handed back by then; unloading takes Triton two seconds.
        stop_grace_s=0,
    )
    server = TritonServer(_with_engine(plain, settings) if settings.diffuses else plain)
    return server, TritonWatchdog(server, on_change=say)


def _with_engine(plain: TritonSettings, settings: Settings) -> TritonSettings:
    return replace(
        plain,
        installation=with_engine(plain.installation, settings.root),
        models=(PREVIZ, SDXL),
        start_timeout_s=ENGINE_START_S,
        state_path=settings.engine_state_path,
        environment={
            **plain.environment,
            "CONTINUITY_MODELS": str(settings.models_folder),
            "CONTINUITY_ENGINE_DEVICE": settings.engine_device,
            "CONTINUITY_ENGINE_THREADS": str(settings.engine_threads),
            "CONTINUITY_ENGINE_STATE": str(settings.engine_state_path),
            "HF_HUB_OFFLINE": "1",
        },
    )


def say(health: RendererHealth) -> None:
    """Log how Triton stands."""
    why = f": {health.reason}" if health.reason else ""
    _log.log(_LEVELS.get(health.state, logging.INFO), "Triton is %s%s", health.state.value, why)


async def run(settings: Settings) -> None:
    """Run until a signal comes; print the address once Triton serves."""
    stopped = stop_signal()
    server, watchdog = embedded_triton(settings, settings.listen_address)
    await make_tiny_model(settings)
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
