"""The folder where the embedded runtime keeps its state, tried before anything relies on it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from continuity.cli.settings import Settings
from continuity.kernel.errors import ContinuityError

ROOM_BYTES = 16 * 2**20
"""What a runtime needs to start: its log, its documents before the first of them."""


@dataclass(eq=False)
class HomeUnusable(ContinuityError):
    """The home cannot be made or written."""

    template = (
        "CONTINUITY_HOME: {home} cannot be used ({cause}); set it to a folder of yours, and {command} doctor checks it"
    )
    home: Path
    cause: str
    command: str


def require_home(settings: Settings) -> None:
    """Make the home where it is missing, and see that a runtime has room there. Raises ``HomeUnusable``."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=settings.home, buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise HomeUnusable(settings.home, cause, settings.command) from error
