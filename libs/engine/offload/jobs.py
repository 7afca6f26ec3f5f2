"""What workers do for the engine. Nothing here may import torch: workers would take seconds to start."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.request import RenderRequest
from engine.work import Picture

__all__ = ["manifest_json", "prepared", "preview_jpeg", "warm"]

_JPEG_QUALITY = 80
_LATER = ("engine.manifest", "engine.preparation", "transformers.models.clip.tokenization_clip")


def warm() -> None:
    """Import what a worker needs sooner or later and what takes seconds."""
    for name in _LATER:
        import_module(name)


def preview_jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """Return the JPEG of a picture, uint8, RGB, shape (height, width, 3)."""
    done, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    if not done:
        raise ValueError(f"a preview of shape {rgb.shape} cannot be encoded")
    return encoded.tobytes()


def manifest_json(request: RenderRequest, facts: Mapping[str, Any], picture: Picture) -> bytes:
    """Return the manifest of a picture as UTF-8 JSON; its pixels are hashed row by row, RGB."""
    from engine.manifest import canonical, manifest  # noqa: PLC0415 - only a worker needs it

    pixels_sha256 = hashlib.sha256(picture.pixels.tobytes()).hexdigest()
    return canonical(manifest(request, facts, picture, pixels_sha256))


def prepared(models_folder: str, sharing: int, raw: Any) -> Any:
    """Return the ``Prepared`` of a ``RawRequest``; tokenizers are loaded once per worker and folder.

    ``sharing`` is the device's, see ``ShapeClass``.
    """
    made = _preparation(models_folder)(raw)
    made.shape = replace(made.shape, sharing=sharing)
    return made


@cache
def _preparation(models_folder: str) -> Any:
    from engine.preparation import Preparation  # noqa: PLC0415 - only a worker needs it

    return Preparation(Path(models_folder))
