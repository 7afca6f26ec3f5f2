"""Tell of everything that shots cannot be drawn with, before any is handed in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from continuity.kernel.errors import InvalidValue
from services.rendering.domain.asked_options import AskedOptions
from services.rendering.domain.render_options import RenderOptions
from services.rendering.domain.submission import DEFAULT_HEIGHT_PX, DEFAULT_WIDTH_PX
from services.rendering.handlers.ports import InstalledModels, OptionRules

MAX_TOLD = 1_000


@dataclass(frozen=True)
class OptionsAsked:
    """What the caller would submit; 0 px means the default size."""

    shots: tuple[RenderOptions, ...]
    options: RenderOptions | None = None
    width_px: int = 0
    height_px: int = 0
    commercial: bool = False


@dataclass(frozen=True)
class CheckOptions:
    """Accepts nothing, and looks at no picture that shots begin with."""

    rules: OptionRules
    models: InstalledModels

    async def __call__(self, asked: OptionsAsked) -> list[InvalidValue]:
        """Return what is wrong, each once, named as ``SubmitShots`` would name it."""
        found: dict[str, InvalidValue] = {}
        options = AskedOptions(asked.options, asked.shots or (RenderOptions(),))
        for place, drawn in options.different():
            for refused in await asyncio.to_thread(self._refusals, drawn, asked):
                path = options.path(place, refused.field)
                found.setdefault(path, replace(refused, field=path))
            if len(found) >= MAX_TOLD:
                break
        return list(found.values())[:MAX_TOLD]

    def _refusals(self, drawn: RenderOptions, asked: OptionsAsked) -> list[InvalidValue]:
        """Runs beside the event loop: models are looked for on a disk."""
        width_px, height_px = asked.width_px or DEFAULT_WIDTH_PX, asked.height_px or DEFAULT_HEIGHT_PX
        return [
            *self.rules.refusals(drawn, width_px, height_px),
            *self.models.refusals(drawn, commercial=asked.commercial),
        ]
