"""What kernels are tuned for: requests like those of a film's shots, one for each shape that they come in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from engine.models.catalogue import Catalogue
from engine.preparation import RawRequest
from engine.request import IMG2IMG

__all__ = ["film_requests"]

PROMPTS = ("a street", "a street BREAK at night")
"""Of one and of two chunks of 77 tokens; descriptions of shots seldom take more."""
STEPS = 1
"""As few as every checkpoint is drawn in; the kernels of all steps are the same."""


def film_requests(catalogue: Catalogue, checkpoint: str, width_px: int, height_px: int) -> Iterator[RawRequest]:
    """Yield requests that begin with a previz frame: short and long words, each also with a person where that is known.

    How strongly something acts, whom it shows and which adapter looks at it is no part of a shape. Raises ``Refused``
    for a checkpoint that is not there.
    """
    grey = _grey()
    layout = {"layout": {"kind": IMG2IMG, "scale": 0.0}, "steps": STEPS, "preview_every": 0}
    size = {"checkpoint": checkpoint, "width_px": width_px, "height_px": height_px}
    for people in _people(catalogue, checkpoint):
        for prompt in PROMPTS:
            asked = {"id": "tune", "prompt": prompt} | size | layout | people
            yield RawRequest(json.dumps(asked).encode(), layout=grey, references=[grey] if people else [])


def _people(catalogue: Catalogue, checkpoint: str) -> Iterator[dict[str, Any]]:
    yield {}
    architecture = catalogue.entry(checkpoint).architecture
    for each in catalogue.entries("ip-adapter"):
        if each.architecture == architecture:
            yield {"references": [{"picture": 0, "adapter": each.name}]}
            return


def _grey() -> bytes:
    """Return a small picture as PNG; nothing of what is tuned depends on it."""
    return bytes(cv2.imencode(".png", np.full((64, 64, 3), 128, np.uint8))[1].tobytes())
