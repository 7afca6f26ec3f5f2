"""The embedded Triton: the real server from its wheel, hosting the same model repository as elsewhere."""

from __future__ import annotations

from pathlib import Path

from continuity.inference.locate import locate_triton
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings
from continuity.inference.watchdog import TritonWatchdog

MODELS = ("previz",)


def embedded_triton(root: Path, home: Path) -> tuple[TritonServer, TritonWatchdog]:
    """Return a server for the models that need no weights, and its watchdog. Raises ``TritonMissing``."""
    settings = TritonSettings(
        installation=locate_triton(root),
        model_repository=root / "deploy" / "triton" / "model_repository",
        models=MODELS,
        log_folder=home / "logs",
        python_path=(root / "libs",),
        # A frame's bytes must not depend on how many threads drew it.
        environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        # Jobs have been handed back by then; unloading takes Triton two seconds.
        stop_grace_s=0,
    )
    server = TritonServer(settings)
    return server, TritonWatchdog(server)
