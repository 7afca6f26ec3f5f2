"""Settings of the embedded runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from services.rendering.settings import RendererSettings

ROOT = Path(__file__).resolve().parents[2]
GPU_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""What is there where CUDA has a driver: Linux's own, and that of Linux within Windows."""


class Settings(RendererSettings):
    """One process on one ``home``; ``idle_exit_s`` is how long nothing must happen before it ends by itself.

    ``engine_threads`` belong to what determines a picture's bytes where the diffusion engine runs on the CPU.
    """

    root: Path = ROOT
    cast_deadline_s: float = Field(default=600.0, gt=0, le=86_400)
    prompt_deadline_s: float = Field(default=86_400.0, gt=0, le=604_800)
    answer_deadline_s: float = Field(default=86_400.0, gt=0, le=604_800)
    idle_exit_s: float = Field(default=3.0, gt=0)
    engine_device: Literal["auto", "cpu", "cuda"] = "auto"
    engine_threads: int = Field(default=1, ge=1, le=256)

    @field_validator("engine_device")
    @classmethod
    def _has_a_driver(cls, device: str) -> str:
        """Refuse at the start what would else only be found when torch is loaded, with jobs waiting for it."""
        if device == "cuda" and not any(driver.exists() for driver in GPU_DRIVERS):
            raise ValueError("there is no NVIDIA driver on this machine; auto draws on what there is")
        return device

    @property
    def lock_path(self) -> Path:
        """Held for as long as a runtime lives."""
        return self.home / "runtime.lock"

    @property
    def runtime_path(self) -> Path:
        """Tells commands where the runtime listens."""
        return self.home / "runtime.json"

    @property
    def engine_state_path(self) -> Path:
        """Where the diffusion engine says what it is at."""
        return self.home / "engine-state.json"
