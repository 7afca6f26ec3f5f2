"""What the engine is measured against: diffusers' own pipeline on the same networks, at batch 1."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

from engine.checkpoint import Checkpoint
from engine.text.encoding import encode
from tests.bench.gpu.requests import tokens


class Stock:
    """diffusers' text-to-image pipeline as its documentation runs it: eager, the checkpoint's dtype, no tricks."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        one, two = checkpoint.text_encoders
        self._pipeline = StableDiffusionXLPipeline(
            checkpoint.vae, one, two, None, None, checkpoint.unet,
            EulerDiscreteScheduler.from_config(dict(checkpoint.scheduler_config)), add_watermarker=False,
        )  # fmt: skip
        self._pipeline.set_progress_bar_config(disable=True)

    def draw(self, side_px: int, steps: int, seed: int) -> Any:
        """Return the picture, uint8 (h, w, 3): text encoding, steps, VAE, everything but a file."""
        text = encode(self._checkpoint, tokens(seed))
        made = self._pipeline(
            prompt_embeds=text.prompt, negative_prompt_embeds=text.negative, pooled_prompt_embeds=text.pooled,
            negative_pooled_prompt_embeds=text.negative_pooled, num_inference_steps=steps, guidance_scale=7.5,
            width=side_px, height=side_px, generator=torch.Generator().manual_seed(seed), output_type="np",
        )  # fmt: skip
        return (made.images[0] * 255).round().astype("uint8")
