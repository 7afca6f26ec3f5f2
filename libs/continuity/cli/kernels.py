"""Whether kernels were tuned for the GPU of this machine, as far as files and its driver tell."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from continuity.cli.engine import engine_folder
from engine import VERSION
from engine.kernels.artifact import FOLDER, differences

_ASKED = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
_LONGEST_S = 10


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="CONTINUITY_", env_ignore_empty=True, frozen=True)

    engine_device: str = "auto"


def gpu() -> tuple[str, str] | None:
    """Return the name of the GPU that draws and its driver's version; None where the processor does."""
    if _Settings().engine_device == "cpu":
        return None
    try:
        told = subprocess.run(_ASKED, capture_output=True, text=True, check=True, timeout=_LONGEST_S).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    name, comma, driver = told.partition("\n")[0].rpartition(", ")
    return (name.strip(), driver.strip()) if comma else None


def untuned(models: Path, name: str, driver: str) -> str:
    """Return why the engine will draw with torch's own kernels on this GPU, as far as is seen here; empty if not.

    Which torch and cuDNN it draws with is known to the engine alone; its log tells where those are others.
    """
    unfit = differences(models / FOLDER, {"device": name, "cuda_driver": driver, "engine": VERSION})
    if unfit is None:
        return f"none for {name}"
    return ", ".join(f"for {what} {then}, not {now}" for what, (then, now) in unfit.items())


def command(models: Path, checkpoint: str) -> str:
    """Return what tunes, to be run in the project's folder."""
    words = ("--models", str(models), "--checkpoint", checkpoint, "--size", "1024x576")
    return f"PYTHONPATH=libs {shlex.join((f'{engine_folder().name}/bin/python', '-m', 'engine.kernels', *words))}"
