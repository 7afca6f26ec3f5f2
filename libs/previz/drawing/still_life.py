"""The thing that an insert is about, drawn to stand or lie on its table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from previz.drawing.canvas import Pixels, ramp, to_bytes

_SIZE_PX = 256
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class StillLife:
    """A square card, RGBA: its side in metres, and whether it stands upright on its lower edge or lies flat."""

    card: Pixels
    side_m: float
    stands: bool


def still_life(words: str) -> StillLife | None:
    """The first thing that ``words`` name and that can be drawn, else ``None``."""
    for word in _WORD.findall(words.lower()):
        for names, side_m, stands, draw in _THINGS:
            if word in names or word.removesuffix("s") in names:
                card: Pixels = np.zeros((_SIZE_PX, _SIZE_PX, 4), np.uint8)
                draw(card)
                return StillLife(_rounded(card) if stands else card, side_m, stands)
    return None


def _rounded(card: Pixels) -> Pixels:
    """Shade across, as on a turned form lit from the left."""
    x = np.linspace(0, 1, _SIZE_PX, dtype=np.float32)[None, :, None]
    shade = np.float32(0.62) + np.float32(0.5) * ramp(1.0, 0.2, x) * ramp(0.0, 0.3, x)
    return np.dstack([to_bytes(card[:, :, :3] * shade), card[:, :, 3]])


def _cup(card: Pixels) -> None:
    cv2.ellipse(card, (196, 140), (38, 44), 0, 0, 360, (228, 222, 208, 255), 15, cv2.LINE_AA)
    outline = np.array([(44, 62), (196, 62), (180, 232), (120, 248), (60, 232)], np.int32)
    cv2.fillPoly(card, [outline], (236, 230, 216, 255), cv2.LINE_AA)
    cv2.ellipse(card, (120, 62), (76, 20), 0, 0, 360, (244, 240, 230, 255), -1, cv2.LINE_AA)
    cv2.ellipse(card, (120, 65), (66, 14), 0, 0, 360, (70, 44, 28, 255), -1, cv2.LINE_AA)


def _glass(card: Pixels) -> None:
    outline = np.array([(70, 30), (186, 30), (170, 246), (86, 246)], np.int32)
    cv2.fillPoly(card, [outline], (200, 214, 220, 90), cv2.LINE_AA)
    drink = np.array([(76, 120), (180, 120), (170, 240), (86, 240)], np.int32)
    cv2.fillPoly(card, [drink], (196, 128, 52, 210), cv2.LINE_AA)
    cv2.polylines(card, [outline], True, (236, 242, 246, 220), 4, cv2.LINE_AA)
    cv2.ellipse(card, (128, 30), (58, 12), 0, 0, 360, (240, 246, 250, 235), 4, cv2.LINE_AA)


def _clock(card: Pixels) -> None:
    cv2.circle(card, (128, 128), 122, (92, 64, 40, 255), -1, cv2.LINE_AA)
    cv2.circle(card, (128, 128), 102, (240, 236, 224, 255), -1, cv2.LINE_AA)
    for angle in np.arange(12) * np.pi / 6:
        inner, outer = ((int(128 + radius * np.sin(angle)), int(128 - radius * np.cos(angle))) for radius in (82, 96))
        cv2.line(card, inner, outer, (40, 38, 36, 255), 5, cv2.LINE_AA)
    cv2.line(card, (128, 128), (86, 100), (30, 28, 28, 255), 9, cv2.LINE_AA)
    cv2.line(card, (128, 128), (170, 62), (30, 28, 28, 255), 6, cv2.LINE_AA)


def _flower(card: Pixels) -> None:
    cv2.line(card, (128, 110), (128, 200), (70, 116, 60, 255), 8, cv2.LINE_AA)
    vase = np.array([(100, 170), (156, 170), (172, 252), (84, 252)], np.int32)
    cv2.fillPoly(card, [vase], (96, 130, 150, 255), cv2.LINE_AA)
    for angle in np.arange(6) * np.pi / 3:
        petal = (int(128 + 36 * np.cos(angle)), int(70 + 36 * np.sin(angle)))
        cv2.circle(card, petal, 26, (206, 70, 84, 255), -1, cv2.LINE_AA)
    cv2.circle(card, (128, 70), 22, (236, 188, 70, 255), -1, cv2.LINE_AA)


def _phone(card: Pixels) -> None:
    cv2.rectangle(card, (70, 10), (186, 246), (30, 32, 36, 255), -1, cv2.LINE_AA)
    cv2.rectangle(card, (80, 28), (176, 226), (96, 150, 186, 255), -1, cv2.LINE_AA)
    cv2.rectangle(card, (92, 60), (164, 96), (226, 236, 240, 255), -1, cv2.LINE_AA)


def _book(card: Pixels) -> None:
    cv2.rectangle(card, (12, 40), (244, 226), (112, 40, 36, 255), -1, cv2.LINE_AA)
    cv2.rectangle(card, (20, 46), (236, 218), (240, 232, 212, 255), -1, cv2.LINE_AA)
    for y in range(66, 206, 14):
        cv2.line(card, (34, y), (114, y), (120, 112, 100, 255), 3, cv2.LINE_AA)
        cv2.line(card, (142, y), (222, y), (120, 112, 100, 255), 3, cv2.LINE_AA)
    cv2.line(card, (128, 46), (128, 218), (176, 164, 142, 255), 6, cv2.LINE_AA)


def _photograph(card: Pixels) -> None:
    cv2.rectangle(card, (24, 14), (232, 242), (242, 238, 228, 255), -1, cv2.LINE_AA)
    cv2.rectangle(card, (40, 30), (216, 200), (126, 142, 154, 255), -1, cv2.LINE_AA)
    cv2.ellipse(card, (128, 200), (66, 62), 0, 180, 360, (66, 60, 62, 255), -1, cv2.LINE_AA)
    cv2.ellipse(card, (128, 104), (30, 38), 0, 0, 360, (206, 168, 142, 255), -1, cv2.LINE_AA)


def _map(card: Pixels) -> None:
    cv2.rectangle(card, (4, 30), (252, 226), (222, 210, 172, 255), -1, cv2.LINE_AA)
    land = np.array([(40, 60), (120, 50), (150, 110), (216, 120), (200, 200), (90, 196), (60, 140)], np.int32)
    cv2.fillPoly(card, [land], (160, 176, 122, 255), cv2.LINE_AA)
    cv2.polylines(card, [land[:5]], False, (186, 66, 48, 255), 5, cv2.LINE_AA)
    for x in (66, 128, 190):
        cv2.line(card, (x, 30), (x, 226), (190, 178, 142, 255), 3, cv2.LINE_AA)


_THINGS: tuple[tuple[tuple[str, ...], float, bool, Callable[[Pixels], None]], ...] = (
    (("cup", "mug", "coffee", "tea"), 0.22, True, _cup),
    (("glass", "whisky", "whiskey", "drink"), 0.24, True, _glass),
    (("clock", "watch"), 0.24, True, _clock),
    (("flower", "rose", "bouquet"), 0.32, True, _flower),
    (("phone", "telephone", "smartphone"), 0.34, False, _phone),
    (("book", "diary", "notebook", "journal"), 0.42, False, _book),
    (("photograph", "photo", "picture"), 0.36, False, _photograph),
    (("map", "chart"), 0.52, False, _map),
)
