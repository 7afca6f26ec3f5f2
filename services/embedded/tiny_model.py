"""The model of ``sdxl-tiny``: SDXL's architecture in small with random weights, generated once for each home."""

from __future__ import annotations

import asyncio
import logging
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

from continuity.inference.errors import TinyModelUnmade
from continuity.inference.locate import ENGINE_VENV
from services.embedded.settings import Settings
from services.rendering.adapters.sdxl_models import GENERATED

_log = logging.getLogger(__name__)

_TAIL_CHARACTERS = 2_000


async def make_tiny_model(settings: Settings) -> None:
    """Generate the model where it is what draws and is not there. Raises ``TinyModelUnmade``."""
    folder = settings.models_folder / GENERATED
    if settings.renderer != GENERATED or (folder / "model.json").exists():
        return
    _log.info("generating %s", folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(str(settings.root / ENGINE_VENV / "bin" / "python"), "-m", "engine.models", "tiny", str(folder)),
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(settings.root / "libs"), "HF_HUB_OFFLINE": "1"},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise TinyModelUnmade(str(folder), said.decode(errors="replace")[-_TAIL_CHARACTERS:].strip())
