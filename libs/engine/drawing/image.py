"""One image of a request, unit by unit: what it starts from, its steps, its picture."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from engine.checks import require_finite, require_picture
from engine.drawing.autoencoder import decode, drawn_from, encode
from engine.drawing.costs import autoencoder_bytes, step_bytes
from engine.drawing.evaluation import Row, batch, call_of
from engine.drawing.guidance import guided
from engine.drawing.passes import Pass
from engine.drawing.scene import Scene
from engine.drawing.script import Script, Want
from engine.drawing.sources import LATENT_PX, Blend, latent_mask
from engine.drawing.tiles import Canvas, Tile, tiles
from engine.samplers import Sampler
from engine.shapes import MEGAPIXEL, ShapeClass
from engine.work import Phase

__all__ = ["autoencoder_tiles", "denoised", "developed", "encoded", "started"]

TILE = 1024 // LATENT_PX
OVERLAP = 128 // LATENT_PX
MODEL_CHANNELS = 4


def autoencoder_tiles(width_px: int, height_px: int) -> tuple[Tile, ...]:
    """Return the tiles, in latent pixels, that a picture goes through the autoencoder in; one up to a megapixel."""
    height, width = height_px // LATENT_PX, width_px // LATENT_PX
    side = TILE if width_px * height_px > MEGAPIXEL else max(height, width)
    return tiles(height, width, side, OVERLAP)


def encoded(scene: Scene, picture: torch.Tensor) -> Script[torch.Tensor]:
    """Encode a picture (1, 3, h, w), -1..1; return the moments of its latent, (1, 2C, h / 8, w / 8)."""
    height, width = picture.shape[-2:]
    cover = autoencoder_tiles(width, height)
    canvas = Canvas(height // LATENT_PX, width // LATENT_PX, OVERLAP, 1)
    for tile in cover:
        cut = picture[(..., *_slices(tile, LATENT_PX))].contiguous()
        moments = yield from _through(scene, "encode", tile, picture=cut)
        if len(cover) == 1:
            return moments.clone()
        canvas.add(tile, moments)
    return canvas.whole()


def started(
    scene: Scene, each: Pass, sampler: Sampler, moments: torch.Tensor | None, mask: NDArray[np.uint8] | None
) -> tuple[torch.Tensor, Blend | None]:
    """Return the latent that the first step takes, and what inpainting puts back.

    The generator is asked in the order in which diffusers' pipelines ask it, so equal seeds mean equal noise.
    """
    size = (1, MODEL_CHANNELS, each.shape.height_px // LATENT_PX, each.shape.width_px // LATENT_PX)
    device = scene.checkpoint.device
    if moments is None or each.strength is None:
        return sampler.noise(size).to(device) * sampler.init_noise_sigma, None
    latent = drawn_from(scene.checkpoint, moments, sampler.generator)
    noise = sampler.noise(size).to(device)
    if mask is None:
        return sampler.noised(latent, noise), None
    sampler.noise(size)  # diffusers draws another for the masked picture, which only UNets with nine channels see
    start = noise * sampler.init_noise_sigma if each.strength == 1.0 else sampler.noised(latent, noise)
    return start, Blend(latent, noise, latent_mask(mask, each.shape, device))


def denoised(
    scene: Scene, shape: ShapeClass, sampler: Sampler, latent: torch.Tensor, blend: Blend | None
) -> Script[torch.Tensor]:
    """Take all steps; return the latent. Raises ``NotAPicture`` when it is not finite in the end."""
    timesteps = sampler.timesteps.to(scene.checkpoint.device, torch.float32)
    wanted = step_bytes(shape, scene.checkpoint)
    yield from _compiled(scene, shape, latent, timesteps[:1])
    rows = [(expert, expert.row(shape), expert.group(shape)) for expert in scene.experts]
    for i, timestep in enumerate(sampler.timesteps.tolist()):
        row, group = next((row, group) for expert, row, group in rows if expert is scene.expert(timestep))
        row = replace(row, latent=sampler.scaled(latent, i), timestep=timesteps[i : i + 1])
        weights = row.checkpoint, row.loras
        unconditional, conditional = yield Want("step", wanted, group=group, row=row, weights=weights)
        output = conditional
        if shape.guided:
            output = guided(unconditional, conditional, scene.request.guidance, scene.request.rescale)
        latent = sampler.step(output, i, latent)
        if blend is not None:
            kept = sampler.renoised(blend.latent, blend.noise, i)
            latent = (1 - blend.mask) * kept + blend.mask * latent
        scene.steps.taken(latent)
    require_finite(latent, "step")
    return latent


def _compiled(scene: Scene, shape: ShapeClass, latent: torch.Tensor, timestep: torch.Tensor) -> Script[None]:
    """Have the kernels made that are not there yet."""
    for expert in scene.experts:
        kernels = expert.group(shape).kernels
        if not scene.kernels.ready(kernels):
            row = replace(expert.row(shape), latent=latent, timestep=timestep)
            act = partial(_prepared, scene, kernels, expert.seen(shape), row)
            yield Want("compile", step_bytes(shape, expert.checkpoint), act)


def _prepared(scene: Scene, kernels: tuple[Hashable, ...], shape: ShapeClass, row: Row) -> None:
    scene.kernels.prepare(kernels, call_of(row), batch(shape, [row]))


def developed(scene: Scene, latent: torch.Tensor) -> Script[torch.Tensor]:
    """Decode a latent; return the picture (1, 3, h, w), float32, about -1..1. Raises ``NotAPicture``."""
    height, width = latent.shape[-2:]
    cover = autoencoder_tiles(width * LATENT_PX, height * LATENT_PX)
    canvas = Canvas(height, width, OVERLAP, LATENT_PX)
    for tile in cover:
        cut = latent[(..., *_slices(tile, 1))].contiguous()
        picture = yield from _through(scene, "decode", tile, latent=cut)
        if len(cover) > 1:
            canvas.add(tile, picture)
    whole = picture if len(cover) == 1 else canvas.whole()
    require_picture(whole)
    return whole


def _slices(tile: Tile, scale: int) -> tuple[slice, slice]:
    top, left = tile.top * scale, tile.left * scale
    return slice(top, top + tile.height * scale), slice(left, left + tile.width * scale)


def _through(scene: Scene, phase: Phase, tile: Tile, **inputs: torch.Tensor) -> Script[torch.Tensor]:
    """Let a tile go through the autoencoder, as a unit; its kernels, if they are not there, are made in another."""
    wanted = autoencoder_bytes(tile.width * tile.height * LATENT_PX**2, scene.checkpoint)
    group = (phase, scene.checkpoint.place, str(scene.checkpoint.vae.dtype), tile.height, tile.width)
    call = partial(encode if phase == "encode" else decode, scene.checkpoint)
    if not scene.kernels.ready(group):
        yield Want("compile", wanted, partial(scene.kernels.prepare, group, call, inputs))
    return (yield Want(phase, wanted, partial(scene.kernels.run, group, call, inputs), kind=group))
