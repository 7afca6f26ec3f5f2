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
from continuity.objects.port import ObjectStore
from services.rendering.adapters.previz_renderer import PrevizRenderer
from services.rendering.adapters.sdxl_errors import told
from services.rendering.adapters.sdxl_options import SdxlChoice, SdxlOptions
from services.rendering.adapters.sdxl_request import Guides, encode_guides, tensors
from services.rendering.adapters.sdxl_tensors import SDXL
from services.rendering.adapters.stored_sources import source_key
from services.rendering.domain.errors import RendererDown
from services.rendering.domain.render_options import SourceImage
from services.rendering.handlers.ports import Picture, RenderTask, Step


class SdxlRenderer:
    """The ``Renderer`` port; ``previz`` draws what guides it.

    ``version`` is the engine's: another version may draw another picture.
    """

    def __init__(
        self,
        triton: TritonClient,
        previz: PrevizRenderer,
        choose: SdxlChoice,
        *,
        objects: ObjectStore,
        pool: CpuPool,
        clock: Clock,
        version: str,
    ) -> None:
        self.name = f"sdxl {version} {choose.service.checkpoint} {choose.service.digest}"
        self._triton = triton
        self._previz = previz
        self._objects = objects
        self._pool = pool
        self._choose = choose
        self._clock = clock

    async def check(self) -> None:
        """Raise ``RendererDown`` unless Triton has both models ready."""
        await self._previz.check()
        if not await self._triton.ready(SDXL.name):
            raise RendererDown(cause="Triton has not loaded the diffusion engine")

    async def render(self, task: RenderTask) -> AsyncIterator[Step | Picture]:
        """Yield steps and pictures, the last when all is answered. Closing the iterator cancels the request."""
        began_s = asyncio.get_running_loop().time()
        options = self._choose(task.job.shot.options)
        guides = await self._guides(task, options)
        spent_s = asyncio.get_running_loop().time() - began_s
        left = replace(task, timeout_s=max(0.0, task.timeout_s - spent_s))
        picture: Picture | None = None
        try:
            async with aclosing(self._responses(left, options, guides)) as responses:  # type: ignore[type-var]
                async for response in responses:
                    if "image" in response:
                        if picture is not None:
                            yield picture
                        picture = _picture(task, response)
                    else:
                        yield Step(int(response["step"][0]), int(response["steps"][0]), bytes(response["preview"][0]))
        except RendererUnavailable as error:
            raise RendererDown(cause=error.detail) from error
        except RenderRefused as error:
            raise told(error, task.job) from error
        # Only now: who has the last picture may close this iterator, and to cancel a request that answers may crash
        # Triton.
        if picture is not None:
            yield picture

    def _responses(self, task: RenderTask, options: SdxlOptions, guides: Guides) -> AsyncIterator[Tensors]:
        inputs = tensors(task, options, guides, {"layout": self._previz.name}, self._clock.now())
        return self._triton.stream(
            SDXL, inputs, request_id=task.job.id, timeout_s=task.timeout_s, priority=task.job.priority
        )

    async def _guides(self, task: RenderTask, options: SdxlOptions) -> Guides:
        guides = Guides()
        if options.layout_strength or options.adapter is not None:
            figures = await self._previz.figures(task.job)
            frame = await self._previz.frame(task, figures)
            guides = await self._pool.run(encode_guides, frame.pixels, frame.masks, figures)
        if not options.layout_strength:
            guides = replace(guides, layout=b"")
        if options.adapter is None:
            guides = replace(guides, references=(), masks=())
        return await self._with_source(task.project, guides, options.asked.source)

    async def _with_source(self, project: str, guides: Guides, source: SourceImage | None) -> Guides:
        if source is None:
            return guides
        image = await self._objects.get(source_key(project, source.image_sha256))
        mask = await self._objects.get(source_key(project, source.mask_sha256)) if source.mask_sha256 else b""
        return replace(guides, image=image, mask=mask)


def _picture(task: RenderTask, response: Tensors) -> Picture:
    take = (task.take or 0) + int(response["index"][0])
    return Picture(response["image"], bytes(response["manifest"][0]), take)
