"""What the engine is asked to draw in these tests: every option at least once, each with bytes of its own."""

from __future__ import annotations

from tests.integration.engine.case import PLAIN, Case
from tests.integration.engine.guided import GUIDED
from tests.integration.engine.words import FAST, OF_WORDS

__all__ = ["CASES", "FAST", "IN_BATCHES", "PLAIN", "Case"]

CASES: dict[str, Case] = OF_WORDS | GUIDED

IN_BATCHES = (
    "plain", "many steps", "twenty steps", "another seed", "one step", "much guidance", "rescaled", "unguided",
    "guidance of nothing", "euler normal", "heun karras", "dpmpp-sde karras", "weighted up", "parted", "two chunks",
    "words of inversion", "two inversions", "negative", "clip skip", "half of an image", "inpainted",
    "all of it inpainted", "one person", "two people", "two people who change places", "a LoRA", "another LoRA",
    "two LoRAs",
)  # fmt: skip
"""Those of one size, most of which share batches."""
