"""The SDXL renderer: Triton's model ``sdxl``, which draws over the previz frame."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from continuity.compute.pool import CpuPool
from continuity.inference.client import TritonClient
from continuity.inference.errors import RendererUnavailable, RenderRefused
from continuity.inference.tensors import Tensors
from continuity.kernel.clock import Clock
from services.rendering.adapters.previz_renderer import PrevizRenderer
from services.rendering.adapters.sdxl_errors import told
from services.rendering.adapters.sdxl_options import SdxlOptions
from services.rendering.adapters.sdxl_request import Guides, encode_guides, tensors
from services.rendering.adapters.sdxl_tensors import SDXL
from services.rendering.domain.errors import RendererDown
from services.rendering.handlers.ports import Picture, RenderTask, Step


class SdxlRenderer:
    """The ``Renderer`` port. ``version`` is the engine's: another version may draw another picture.

    ``previz`` draws what guides it, ``timeout_s`` is the longest that an attempt may take.
    """

    def __init__(
        self,
        triton: TritonClient,
        previz: PrevizRenderer,
        pool: CpuPool,
        options: SdxlOptions,
        clock: Clock,
        *,
        version: str,
        timeout_s: float,
    ) -> None:
        self.name = f"sdxl {version} {options.checkpoint} {options.digest}"
        self._triton = triton
        self._previz = previz
        self._pool = pool
        self._options = options
        self._clock = clock
        self._timeout_s = timeout_s

    async def check(self) -> None:
        """Raise ``RendererDown`` unless Triton has both models ready."""
        await self._previz.check()
        if not await self._triton.ready(SDXL.name):
            raise RendererDown(cause="Triton has not loaded the diffusion engine")

    async def render(self, task: RenderTask) -> AsyncIterator[Step | Picture]:
        """Yield steps and, last, the picture. Closing the iterator cancels the request."""
        began_s = asyncio.get_running_loop().time()
        guides = await self._guides(task)
        spent_s = asyncio.get_running_loop().time() - began_s
        left = replace(task, timeout_s=max(0.0, min(self._timeout_s, task.timeout_s) - spent_s))
        picture: Picture | None = None
        try:
            async with aclosing(self._responses(left, guides)) as responses:  # type: ignore[type-var]
                async for response in responses:
                    if "image" in response:
                        picture = Picture(response["image"], bytes(response["manifest"][0]))
                    else:
                        yield Step(int(response["step"][0]), int(response["steps"][0]), bytes(response["preview"][0]))
        except RendererUnavailable as error:
            raise RendererDown(cause=error.detail) from error
        except RenderRefused as error:
            raise told(error, task.job) from error
        # Only now: who has the picture closes this iterator, and to cancel a request that answers may crash Triton.
        if picture is not None:
            yield picture

    def _responses(self, task: RenderTask, guides: Guides) -> AsyncIterator[Tensors]:
        inputs = tensors(task, self._options, guides, {"layout": self._previz.name}, self._clock.now())
        return self._triton.stream(
            SDXL, inputs, request_id=task.job.id, timeout_s=task.timeout_s, priority=task.job.priority
        )

    async def _guides(self, task: RenderTask) -> Guides:
        if not self._options.layout_strength and self._options.adapter is None:
            return Guides()
        figures = await self._previz.figures(task.job)
        frame = await self._previz.frame(task, figures)
        return await self._pool.run(encode_guides, frame.pixels, frame.masks, figures)
