"""How much memory of the device a unit takes beside the weights: upper estimates, so nothing is started in vain."""

from __future__ import annotations

from collections.abc import Sequence

from engine.checkpoint import Checkpoint
from engine.drawing.passes import Pass
from engine.shapes import MEGAPIXEL, ShapeClass

__all__ = ["autoencoder_bytes", "request_bytes", "step_bytes"]

UNET_VALUES_PER_PX = 512
"""Of one row of the batch: SDXL at 1024² holds about half a billion values at once."""
UNET_CHANNELS = 320
DECODER_VALUES_PER_PX = 1280
"""The last stages hold a few planes of 128 to 256 channels at full size."""
DECODER_CHANNELS = 128
HELD_BYTES_PER_PX = 16
"""Latents, a sampler's history and the picture itself."""
HELD_BYTES = 8 * 1024**2
"""Embeddings of a few chunks."""
REFERENCE_BYTES = 11 * 1024**2
"""Keys and values of one reference slot: SDXL has 83,200 values of each in 16 tokens and two halves."""


def step_bytes(shape: ShapeClass, checkpoint: Checkpoint | None) -> int:
    """Return what one UNet call of this class takes; without a checkpoint as of SDXL in half precision."""
    rows = shape.slots * (2 if shape.guided else 1)
    values = rows * shape.width_px * shape.height_px * UNET_VALUES_PER_PX
    if checkpoint is None:
        return values * 2
    return values * checkpoint.unet.config.block_out_channels[0] // UNET_CHANNELS * checkpoint.dtype.itemsize


def autoencoder_bytes(size_px: int, checkpoint: Checkpoint | None) -> int:
    """Return what encoding or decoding so many pixels takes; without a checkpoint as of SDXL in float32."""
    values = size_px * DECODER_VALUES_PER_PX
    if checkpoint is None:
        return values * 4
    return values * checkpoint.vae.config.block_out_channels[0] // DECODER_CHANNELS * checkpoint.vae.dtype.itemsize


def request_bytes(plan: Sequence[Pass], checkpoint: Checkpoint | None) -> int:
    """Return the most that a request takes: what it holds between its units, and the largest of these."""
    largest_px = max(each.shape.width_px * each.shape.height_px for each in plan)
    steps = [step_bytes(each.shape, checkpoint) for each in plan]
    decoding = autoencoder_bytes(min(largest_px, MEGAPIXEL), checkpoint)
    references = REFERENCE_BYTES * plan[0].shape.reference_slots
    return HELD_BYTES + references + largest_px * HELD_BYTES_PER_PX + max(*steps, decoding)
