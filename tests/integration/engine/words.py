"""Requests of words and numbers alone."""

from __future__ import annotations

from engine.samplers.names import POSSIBLE
from tests.integration.engine.case import Case

__all__ = ["FAST", "OF_WORDS"]

FAST = ("tiny-sdxl-turbo", "tiny-sdxl-lightning-4step", "tiny-lcm", "tiny-sd-turbo")
"""Checkpoints whose names tell how they are drawn with."""


def _numbers() -> dict[str, Case]:
    return {
        "plain": Case(),
        "another seed": Case({"seed": 2**32 - 1}),
        "one step": Case({"steps": 1}),
        "many steps": Case({"steps": 12}),
        "twenty steps": Case({"steps": 20}),
        "unguided": Case({"guidance": 1.0}),
        "guidance of nothing": Case({"guidance": 0.0, "negative": "fog", "seed": 12}),
        "much guidance": Case({"guidance": 30.0}),
        "rescaled": Case({"rescale": 0.7}),
        "three images": Case({"images": 3, "seed": 2**32 - 2, "steps": 1, "width_px": 320}),
        "eight images": Case({"images": 8, "seed": 100, "steps": 1}),
    }


def _samplers() -> dict[str, Case]:
    """Return every pair that goes together; unguided, for no sampler knows of guidance and it costs as much again."""
    pairs = [(sampler, schedule) for sampler, schedules in POSSIBLE.items() for schedule in schedules]
    return {f"{s} {c}": Case({"sampler": s, "schedule": c, "steps": 4, "guidance": 1.0}) for s, c in pairs}


def _prompts() -> dict[str, Case]:
    said = {
        "weighted up": "a (launch pad:1.4) in the rain",
        "weighted by brackets": "a ((launch pad)) in the [rain]",
        "parted": "a launch pad BREAK in the rain",
        "two chunks": "rain on steel, " * 30,
        "four chunks": "rain on steel, " * 100,
        "other words": "ein Startturm im Regen, 発射台, 🚀",
        "words of inversion": "a tiny-embedding in the rain",
        "two inversions": "adalovelace and a tiny-embedding in the rain",
    }
    inverted = {"words of inversion": ["tiny-embedding"], "two inversions": ["adalovelace", "tiny-embedding"]}
    drawn = {name: Case({"prompt": text}, models=inverted.get(name, ())) for name, text in said.items()}
    return drawn | {
        "negative": Case({"negative": "fog, people"}),
        "longer negative": Case({"negative": "fog, (people:1.2), " * 30}),
        "inversion in the negative": Case({"negative": "adalovelace"}, models=["adalovelace"]),
        "clip skip": Case({"clip_skip": 1}),
    }


def _sizes() -> dict[str, Case]:
    """Return sizes whose native ones are a quarter of SDXL's, for that is what the small model was made for."""
    sizes = {
        (1024, 576): (336, 192),
        (1344, 768): (336, 192),
        (264, 520): (192, 336),
        (1000, 1000): (256, 256),
        (2048, 256): (384, 160),
        (256, 2048): (160, 384),
        (2048, 2048): (256, 256),
    }
    return {
        f"{width} x {height}": Case({"width_px": width, "height_px": height}, drawn_px=[native])
        for (width, height), native in sizes.items()
    }


def _fast() -> dict[str, Case]:
    return {name: Case({"checkpoint": name, "steps": None, "seed": 13}) for name in FAST}


def _loras() -> dict[str, Case]:
    first, other = {"name": "tiny-lora", "scale": 1.0}, {"name": "other-lora", "scale": 0.7}
    return {
        "a LoRA": Case({"loras": [first]}),
        "a LoRA turned round": Case({"loras": [first | {"scale": -1.0}]}),
        "another LoRA": Case({"loras": [other]}),
        "two LoRAs": Case({"loras": [first, other]}),
    }


OF_WORDS: dict[str, Case] = {
    **_numbers(),
    **_samplers(),
    **_prompts(),
    **_sizes(),
    **_fast(),
    **_loras(),
}
