"""What the composer's tests share: a drawn portrait that stands in for a photograph, and small frames."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from previz.spec import FaceBox, FigureSpec, FrameSpec, LocationSpec

OFFICE = LocationSpec("interior", "The archive office", "office")
PAD = LocationSpec("exterior", "Pad 39", "launch pad")
ADA = FigureSpec(
    "Ada",
    FaceBox(92 / 240, 62 / 300, 76 / 240, 76 / 300),
    palette=((190, 80, 50),),
    hair=(70, 50, 40),
    skin=(212, 164, 134),
    screen_order=0,
)
BEN = FigureSpec("Ben", palette=((60, 80, 120), (50, 50, 54)), screen_order=1)


def portrait() -> npt.NDArray[np.uint8]:
    """Head and shoulders, cropped by the lower and both side edges. RGBA"""
    matte = np.zeros((300, 240, 4), np.uint8)
    cv2.ellipse(matte, (130, 330), (135, 165), 0, 0, 360, (190, 80, 50, 255), -1, cv2.LINE_AA)
    cv2.rectangle(matte, (110, 120), (150, 190), (200, 150, 120, 255), -1)
    cv2.ellipse(matte, (130, 88), (46, 62), 0, 0, 360, (70, 50, 40, 255), -1, cv2.LINE_AA)
    cv2.ellipse(matte, (130, 98), (36, 48), 0, 0, 360, (212, 164, 134, 255), -1, cv2.LINE_AA)
    for x in (116, 144):
        cv2.circle(matte, (x, 90), 5, (40, 34, 30, 255), -1, cv2.LINE_AA)
    return matte


def frame(*figures: FigureSpec, **changes: Any) -> FrameSpec:
    """A small frame in the office."""
    values: dict[str, Any] = {"width_px": 320, "height_px": 180, "location": OFFICE, "seed": 5} | changes
    return FrameSpec(figures=figures, **values)
