from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from portrait.faces import find_faces
from portrait.matting import Matte, cut_out

Picture = NDArray[np.uint8]
PHOTOGRAPHS = Path(__file__).parents[3] / "examples" / "photographs"


def _photograph(name: str) -> Picture:
    encoded = np.frombuffer((PHOTOGRAPHS / name).read_bytes(), np.uint8)
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])


@pytest.fixture(scope="session")
def collins() -> Picture:
    return _photograph("eileen_collins.png")


@pytest.fixture(scope="session")
def hopper() -> Picture:
    return _photograph("grace_hopper.jpg")


@pytest.fixture(scope="session")
def matte_of() -> Callable[[Picture], Matte]:
    made: dict[int, Matte] = {}

    def cut(photograph: Picture) -> Matte:
        if id(photograph) not in made:
            made[id(photograph)] = cut_out(photograph, find_faces(photograph)[0])
        return made[id(photograph)]

    return cut


@pytest.fixture(scope="session")
def soft_figure() -> tuple[Picture, NDArray[np.float32], Picture]:
    """A red and yellow egg with an edge of six pixels over blue-green noise: picture, true alpha, true colours."""
    rows, columns = np.mgrid[:320, :320].astype(np.float32)
    radius = np.hypot((columns - 160) / 75, (rows - 185) / 110)
    alpha = np.clip((1 - radius) * 90 / 6 + 0.5, 0, 1).astype(np.float32)
    wave = (0.5 + 0.5 * np.sin(rows / 25))[..., np.newaxis]
    colours = wave * (205, 40, 30) + (1 - wave) * (225, 170, 40)
    noise = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 60, (320, 320, 1)).astype(np.float32), (0, 0), 3)
    back = np.clip(np.array((40, 110, 150)) + noise[..., np.newaxis], 0, 255)
    picture = alpha[..., np.newaxis] * colours + (1 - alpha[..., np.newaxis]) * back
    return np.rint(picture).astype(np.uint8), alpha, np.rint(colours).astype(np.uint8)
