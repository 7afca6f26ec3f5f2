"""The script of a whole request: load, encode, draw one image after another."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

import engine
from engine.checkpoint import Checkpoint
from engine.drawing.autoencoder import pixels_of, tensor_of
from engine.drawing.conditions import conditioned, conditions
from engine.drawing.costs import request_bytes
from engine.drawing.enlarging import enlarged
from engine.drawing.expert import Expert
from engine.drawing.fit import fitted, fitted_mask
from engine.drawing.image import autoencoder_tiles, denoised, developed, encoded, started
from engine.drawing.opening import Claim, opened
from engine.drawing.passes import Pass, passes, seed_of
from engine.drawing.scene import Scene
from engine.drawing.script import Drawing, Script
from engine.drawing.sources import Source, source_of
from engine.drawing.steps import Steps
from engine.drawing.studio import Studio
from engine.request import RenderRequest
from engine.samplers import Sampler
from engine.variants.licence import permitted
from engine.work import Picture

if TYPE_CHECKING:
    from engine.preparation import Prepared

__all__ = ["drawing"]


def drawing(prepared: Prepared, studio: Studio) -> Drawing:
    """Return a request's work, standing before its first unit. Raises ``EngineError``."""
    plan = passes(prepared.request, prepared.shape)
    units = _units(prepared, plan, [each.steps for each in plan])
    memory = request_bytes(plan, studio.known(prepared.request.checkpoint))
    return Drawing(prepared.request, memory, units, lambda work: _drawn(work, prepared, studio, plan))


def _drawn(work: Drawing, prepared: Prepared, studio: Studio, plan: tuple[Pass, ...]) -> Script[None]:
    with closing(Claim(studio, work.request)) as claim:
        checkpoint = yield from opened(work, studio, claim, "checkpoint")
        scene = _scene(work.request, studio, checkpoint)
        if work.request.refiner is not None:
            _refine(scene, (yield from opened(work, studio, claim, "refiner")))
        _count(work, scene, prepared, plan)
        yield from conditioned(scene, prepared, studio)
        source = source_of(prepared)
        moments = None
        if source is not None:
            moments = yield from encoded(scene, tensor_of(source.pixels, scene.checkpoint.device))
        for index in range(work.request.images):
            work.tell((yield from _image(scene, plan, index, source, moments)))


def _scene(request: RenderRequest, studio: Studio, checkpoint: Checkpoint) -> Scene:
    for each in request.loras:
        permitted(studio.catalogue, each.name, "lora", request)
    variant = studio.variant(checkpoint, request.loras)
    return Scene(request, Expert(checkpoint, variant, request.loras), studio.kernels)


def _refine(scene: Scene, checkpoint: Checkpoint) -> None:
    """Have a refiner for the last steps."""
    scene.adapters[checkpoint.name] = checkpoint.sha256
    scene.refiner = Expert(checkpoint, checkpoint.sha256)


def _count(work: Drawing, scene: Scene, prepared: Prepared, plan: tuple[Pass, ...]) -> None:
    """Now that the samplers can be asked for their evaluations."""
    request = work.request
    counts = [scene.sampler(each, seed_of(request, 0)).evaluations for each in plan]
    work.units = _units(prepared, plan, counts)
    steps = request.images * sum(counts)
    scene.steps = Steps(steps, request.preview_every, scene.checkpoint.architecture, work.tell)


def _image(
    scene: Scene, plan: tuple[Pass, ...], index: int, source: Source | None, moments: torch.Tensor | None
) -> Script[Picture]:
    mask = None if source is None else source.mask
    first, *others = plan
    seed = seed_of(scene.request, index)
    drawn, sampler = yield from _passed(scene, first, seed, moments, mask)
    used = [(first, sampler)]
    for each in others:
        size = each.shape.width_px, each.shape.height_px
        moments = yield from encoded(scene, enlarged(drawn, *size))
        hidden = None if mask is None else fitted_mask(mask, *size)
        drawn, sampler = yield from _passed(scene, each, seed, moments, hidden)
        used.append((each, sampler))
    return _picture(scene, index, pixels_of(drawn), used)


def _passed(
    scene: Scene, each: Pass, seed: int, moments: torch.Tensor | None, mask: NDArray[np.uint8] | None
) -> Script[tuple[torch.Tensor, Sampler]]:
    sampler = scene.sampler(each, seed)
    latent, blend = started(scene, each, sampler, moments, mask)
    latent = yield from denoised(scene, each.shape, sampler, latent, blend)
    return (yield from developed(scene, latent)), sampler


def _picture(scene: Scene, index: int, pixels: NDArray[np.uint8], used: list[tuple[Pass, Sampler]]) -> Picture:
    request = scene.request
    facts = {
        "checkpoint": {"name": scene.checkpoint.name, "sha256": scene.checkpoint.sha256},
        "variant_sha256": scene.base.variant,
        "adapters": scene.adapters,
        "kernels_sha256": scene.kernels.sha256,
        "dtype": str(scene.checkpoint.dtype),
        "engine": engine.VERSION,
        "passes": [_pass_facts(each, sampler) for each, sampler in used],
    }
    return Picture(index, seed_of(request, index), fitted(pixels, request.width_px, request.height_px), facts)


def _pass_facts(each: Pass, sampler: Sampler) -> dict[str, object]:
    return {
        "width_px": each.shape.width_px,
        "height_px": each.shape.height_px,
        "slots": each.shape.slots,
        "evaluations": sampler.evaluations,
        "strength": each.strength,
        "sigmas_sha256": sampler.sigmas_sha256,
    }


def _units(prepared: Prepared, plan: tuple[Pass, ...], steps: list[int]) -> int:
    """How many units a request has, with so many steps in each pass."""
    tiled = [len(autoencoder_tiles(each.shape.width_px, each.shape.height_px)) for each in plan]
    decoded, encoded_again = sum(tiled), sum(tiled[1:])
    sources = tiled[0] if plan[0].strength is not None else 0
    loads = 1 + (prepared.request.refiner is not None)
    return loads + conditions(prepared) + sources + prepared.request.images * (sum(steps) + decoded + encoded_again)
