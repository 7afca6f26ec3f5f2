"""What the SDXL renderers need besides the rest: an environment of their own, installed at their first use."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict

from continuity.cli.files import CHECKOUT
from continuity.kernel.errors import Unavailable

PREVIZ, TINY = "previz", "sdxl-tiny"
SET_UP = "deploy.local.set_up"
REMEDY = f"python3 -m {SET_UP} engine"


@dataclass(eq=False)
class EngineNotInstalled(Unavailable):
    """The environment of the SDXL renderers could not be installed."""

    template = "what the renderer {renderer} needs could not be installed; by itself that is, in {folder}: {remedy}"
    renderer: str
    folder: Path
    remedy: str = REMEDY


class RendererSettings(BaseSettings):
    """Which renderer a runtime that is started here will have; the services read the same variables."""

    model_config = SettingsConfigDict(env_prefix="CONTINUITY_", env_ignore_empty=True, frozen=True)

    renderer: Literal["previz", "sdxl", "sdxl-tiny"] = "previz"
    checkpoint: str = ""
    models: Path | None = None
    commercial: bool = False

    def model_folder(self, home: Path) -> Path:
        """Return where the model lies that is drawn with."""
        return (self.models or home / "models") / (self.checkpoint or self.renderer)


def engine_folder(checkout: Path = CHECKOUT) -> Path:
    """Return where the environment lies, or would."""
    return checkout / ".venv-engine"


async def require_engine(
    note: Callable[[str], None], check: Callable[[], Awaitable[None]], checkout: Path = CHECKOUT
) -> None:
    """Install what the renderer needs, where it does and this is a checkout. Raises ``EngineNotInstalled``.

    ``check`` comes before that: it raises what would end the runtime anyway, when gigabytes have been fetched for it.
    """
    renderer = RendererSettings().renderer
    if renderer == PREVIZ or not (checkout / "deploy" / "local" / "set_up.py").exists():
        return
    if not engine_folder(checkout).exists():
        await check()
    if not await installed(f"the renderer {renderer} needs", note, checkout):
        raise EngineNotInstalled(renderer, checkout)


async def installed(who_needs: str, note: Callable[[str], None], checkout: Path = CHECKOUT) -> bool:
    """Install the environment where it is missing, saying who needs it; tell whether it is there."""
    folder = engine_folder(checkout)
    if folder.exists():
        return True
    note(f"{who_needs} torch and diffusers; installing them once, 6 GB, into {folder}")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", SET_UP, "engine"), cwd=checkout, stdin=DEVNULL, stdout=sys.__stderr__
    )
    return not await child.wait()
