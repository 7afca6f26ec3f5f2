"""The folder where the embedded runtime keeps its state, tried before anything relies on it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from continuity.cli.settings import Settings
from continuity.kernel.errors import ContinuityError


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
    """Make the home where it is missing, and write a file that is gone again. Raises ``HomeUnusable``."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=settings.home, buffering=0) as file:
            file.write(b"tried")
    except OSError as error:
        cause = (error.strerror or str(error)).lower()
        raise HomeUnusable(settings.home, cause, settings.command) from error
