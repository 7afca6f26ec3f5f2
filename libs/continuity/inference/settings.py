"""How the embedded Triton is run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from continuity.inference.locate import TritonInstallation

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class TritonSettings:
    """One server; no two that run at once may share a ``log_folder``, which also names their shared memory.

    ``models`` alone are loaded from ``model_repository``; ``python_path`` is what they import from besides Triton's own
    site-packages; ``environment`` is added to an otherwise minimal one; ``port`` 0 takes a free one and keeps it.
    Triton needs about 2 s to unload after its last request, and nothing in it is worth saving: a runtime that lets its
    own requests finish first sets ``stop_grace_s`` to 0, which kills at once. ``state_path`` is where a model publishes
    its phases, for whoever watches it (``continuity.inference.phases``); None where no model does.
    """

    installation: TritonInstallation
    model_repository: Path
    models: tuple[str, ...]
    log_folder: Path
    python_path: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 0
    start_timeout_s: float = 60.0
    stop_grace_s: int = 2
    log_limit_bytes: int = 16 * MEBIBYTE
    state_path: Path | None = None

    @property
    def shared_memory_prefix(self) -> str:
        """Start of the names of this server's files in /dev/shm, the same at the next start so that it can sweep."""
        return f"continuity-{hashlib.sha256(str(self.log_folder.resolve()).encode()).hexdigest()[:12]}-"

    def command(self, port: int) -> tuple[str, ...]:
        """Return the command line of a server for gRPC on ``port`` alone."""
        return (
            str(self.installation.server),
            f"--model-repository={self.model_repository}",
            f"--backend-directory={self.installation.backends}",
            f"--backend-config=python,shm-region-prefix-name={self.shared_memory_prefix}",
            "--model-control-mode=explicit",
            *(f"--load-model={model}" for model in self.models),
            "--disable-auto-complete-config",
            f"--grpc-address={self.host}",
            f"--grpc-port={port}",
            "--reuse-grpc-port=true",
            "--allow-http=false",
            "--allow-metrics=false",
            f"--exit-timeout-secs={self.stop_grace_s}",
        )

    def variables(self) -> dict[str, str]:
        """Return the whole environment of the server and its models."""
        installed = self.installation
        return {
            "PATH": f"{installed.programs}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "LD_LIBRARY_PATH": _joined(*installed.libraries),
            "PYTHONPATH": _joined(*self.python_path, installed.site_packages),
            **self.environment,
        }


def _joined(*folders: Path) -> str:
    return ":".join(map(str, folders))
