"""Seconds from pixels to a finished cut-out, per example photograph, at its own size and at 2048 px."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from portrait.faces import find_faces
from portrait.matting import cut_out

_PHOTOGRAPHS = Path(__file__).parents[2] / "examples" / "photographs"
_TARGET_S = {"own size": 2.0, "2048 px": 6.0}
_ROUNDS = 3


def run() -> dict[str, dict[str, float]]:
    """Best of three in seconds, finding the face included, with its target, by photograph and size."""
    figures = {}
    for path in sorted(_PHOTOGRAPHS.glob("*.[pj][np]g")):
        photograph = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        scale = 2048 / max(photograph.shape)
        large = np.asarray(cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)
        for size, picture in (("own size", photograph), ("2048 px", large)):
            figures[f"{path.stem}, {size}"] = {"seconds": _seconds(picture), "target": _TARGET_S[size]}
    return figures


def _seconds(picture: np.ndarray) -> float:
    taken = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        faces = find_faces(picture)
        cut_out(picture, faces[0] if faces else None)
        taken.append(time.perf_counter() - start)
    return round(min(taken), 3)
