"""A renderer that costs nothing, so that what is measured is everything around it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np

from services.rendering.handlers.ports import Picture, RenderTask

_PIXELS = np.full((8, 8, 3), 127, np.uint8)


class NullRenderer:
    """Gives the same 8×8 picture at once; the ``Renderer`` port."""

    name = "null 1"

    async def render(self, task: RenderTask) -> AsyncIterator[Picture]:
        """Yield the picture."""
        yield Picture(_PIXELS)

    async def check(self) -> None:
        """Return: it can always draw."""
