"""Textures of interior surfaces: what is painted on walls, floors and the fronts of things, before any light."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from previz.drawing.canvas import Pixels, Plane, Rgb, mixed, scaled, to_bytes
from previz.drawing.noise import fractal, generator

Painter = Callable[["Swatch", np.random.Generator], None]


class Swatch:
    """A rectangle of a surface under the brush: its paint, what shines by itself, and its scale."""

    def __init__(self, paint: Pixels, glow: Pixels, px_per_m: float) -> None:
        self.paint, self.glow, self.px_per_m = paint, glow, px_per_m
        self.height, self.width = paint.shape[:2]

    def rect(
        self, left: float, top: float, right: float, bottom: float, colour: Rgb, *, glow: Rgb | None = None
    ) -> None:
        """Fill a rectangle given in fractions of the swatch."""
        x0, x1 = round(left * self.width), max(round(left * self.width) + 1, round(right * self.width))
        y0, y1 = round(top * self.height), max(round(top * self.height) + 1, round(bottom * self.height))
        self.paint[y0:y1, x0:x1] = to_bytes(np.array(colour))
        self.glow[y0:y1, x0:x1] = to_bytes(np.array(glow if glow is not None else (0, 0, 0)))


def plaster(rng: np.random.Generator, height: int, width: int, colour: Rgb, roughness: float = 0.05) -> Pixels:
    """A plain surface with slight unevenness."""
    top, left = rng.integers(0, 256, 2)
    repeats = min(12, max(1, width // max(height, 1)))
    repeated = np.tile(np.roll(_unevenness(), (int(top), int(left)), (0, 1)), (1, repeats))
    grain = cv2.resize(repeated, (width, height), interpolation=cv2.INTER_LINEAR)
    table = np.array(colour) * (1 + roughness * (np.arange(256)[:, None] / 127.5 - 1))
    return np.asarray(cv2.LUT(cv2.merge([grain, grain, grain]), to_bytes(table)[None]), np.uint8)


@lru_cache(maxsize=1)
def _unevenness() -> Pixels:
    return to_bytes(255 * fractal(generator("plaster"), 256, 256, 4, 6))


def floor(kind: str, rng: np.random.Generator, height: int, width: int, *, px_per_m: float, colour: Rgb) -> Pixels:
    """Boards that run away from the camera, square tiles, slabs of concrete, or a plain sweep."""
    grain = cv2.resize(fractal(rng, 256, 256, 6, 6), (width, height), interpolation=cv2.INTER_LINEAR)
    tone: Plane = np.asarray(cv2.addWeighted(grain, 0.24, grain, 0, 0.88), np.float32)
    if kind == "boards":
        _lay(tone, rng, px_per_m * 0.16, px_per_m * 2.2, 0.16)
    elif kind == "tiles":
        _lay(tone, rng, px_per_m * 0.6, px_per_m * 0.6, 0.06)
    elif kind == "concrete":
        _lay(tone, rng, px_per_m * 4.0, px_per_m * 4.0, 0.05)
    level = cv2.convertScaleAbs(tone, alpha=160)
    table = to_bytes(np.arange(256)[:, None] / 160 * np.array(colour))
    return np.asarray(cv2.LUT(cv2.merge([level, level, level]), table[None]), np.uint8)


def _lay(tone: Plane, rng: np.random.Generator, width_px: float, length_px: float, variation: float) -> None:
    """Vary the tone from plank to plank and darken the joints, in place."""
    rows, columns = tone.shape
    for i in range(int(columns / width_px) + 1):
        x0, x1 = round(i * width_px), round((i + 1) * width_px)
        offset = rng.random() * length_px if length_px > width_px * 1.5 else 0.0
        for j in range(-1, int(rows / length_px) + 1):
            y0, y1 = max(0, round(j * length_px + offset)), max(0, round((j + 1) * length_px + offset))
            tone[y0:y1, x0:x1] *= np.float32(1 + variation * (rng.random() - 0.5) * 2)
            tone[y0 : y0 + 1, x0:x1] *= np.float32(0.72)
        tone[:, x0 : x0 + 1] *= np.float32(0.70)


def window(swatch: Swatch, sky: Pixels) -> None:
    """A window with frame and bars; ``sky`` is stretched over its panes and shines."""
    frame: Rgb = (222, 218, 208)
    swatch.rect(0, 0, 1, 1, frame)
    panes_x = 2 if swatch.width < 2.2 * swatch.height else 4
    for i in range(panes_x):
        for j in range(3 if swatch.height > swatch.width else 2):
            rows = 3 if swatch.height > swatch.width else 2
            x0, x1 = 0.06 + 0.88 * i / panes_x + 0.012, 0.06 + 0.88 * (i + 1) / panes_x - 0.012
            y0, y1 = 0.05 + 0.9 * j / rows + 0.01, 0.05 + 0.9 * (j + 1) / rows - 0.01
            _glaze(swatch, sky, (x0, y0, x1, y1))


def _glaze(swatch: Swatch, sky: Pixels, pane: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = (round(v * n) for v, n in zip(pane, (swatch.width, swatch.height) * 2, strict=True))
    if x1 <= x0 or y1 <= y0:
        return
    view = cv2.resize(sky, (swatch.width, swatch.height), interpolation=cv2.INTER_LINEAR)
    swatch.paint[y0:y1, x0:x1] = 8
    swatch.glow[y0:y1, x0:x1] = view[y0:y1, x0:x1]


def door(swatch: Swatch, rng: np.random.Generator) -> None:
    """A panelled door with a handle."""
    wood: Rgb = (126, 96, 70)
    swatch.rect(0, 0, 1, 1, scaled(wood, 0.7))
    swatch.rect(0.07, 0.03, 0.93, 1, wood)
    for y0, y1 in ((0.08, 0.42), (0.5, 0.93)):
        for x0, x1 in ((0.16, 0.46), (0.54, 0.84)):
            swatch.rect(x0, y0, x1, y1, scaled(wood, 0.78))
            swatch.rect(x0 + 0.025, y0 + 0.012, x1, y1, scaled(wood, 0.93))
    swatch.rect(0.84, 0.47, 0.9, 0.49, (214, 196, 140))


def picture(swatch: Swatch, rng: np.random.Generator) -> None:
    """A framed landscape of no particular place."""
    swatch.rect(0, 0, 1, 1, (58, 44, 34))
    swatch.rect(0.06, 0.08, 0.94, 0.92, (224, 216, 198))
    hue = rng.random(3) * 40
    swatch.rect(0.14, 0.18, 0.86, 0.55, (132 + hue[0], 150 + hue[1], 160 + hue[2]))
    swatch.rect(0.14, 0.55, 0.86, 0.82, (96 + hue[2], 104 + hue[0], 84 + hue[1]))


def board(swatch: Swatch, rng: np.random.Generator) -> None:
    """A pinboard with notes and prints."""
    swatch.rect(0, 0, 1, 1, (92, 72, 54))
    swatch.rect(0.02, 0.04, 0.98, 0.96, (146, 120, 90))
    for _ in range(13):
        x, y = rng.random() * 0.8 + 0.05, rng.random() * 0.62 + 0.09
        shade = 190 + rng.random() * 50
        swatch.rect(
            x, y, x + 0.05 + rng.random() * 0.07, y + 0.12 + rng.random() * 0.14, (shade, shade - 4, shade - 18)
        )


def screen(swatch: Swatch, rng: np.random.Generator) -> None:
    """A monitor that shows a map, curves and columns of figures."""
    swatch.rect(0, 0, 1, 1, (26, 28, 32))
    swatch.rect(0.03, 0.05, 0.97, 0.95, (8, 14, 20), glow=(12, 44, 58))
    if swatch.width < 24:
        return
    for row in range(1, 6):
        swatch.rect(0.03, row / 6, 0.97, row / 6 + 0.006, (8, 14, 20), glow=(22, 70, 84))
    x = np.linspace(0.06, 0.70, 40)
    for phase, colour in ((0.0, (120, 232, 210)), (2.1, (248, 190, 92))):
        y = 0.5 + 0.24 * np.sin(x * 14 + phase + rng.random())
        points = np.stack([x * swatch.width, y * swatch.height], axis=1)
        thickness = max(1, swatch.height // 70)
        cv2.polylines(swatch.glow, [np.round(points * 16).astype(np.int32)], False, colour, thickness, cv2.LINE_AA, 4)
    for row in range(9):
        y0 = 0.12 + row * 0.085
        swatch.rect(0.75, y0, 0.75 + 0.04 + 0.14 * rng.random(), y0 + 0.035, (8, 14, 20), glow=(96, 176, 176))


def panel(swatch: Swatch, rng: np.random.Generator) -> None:
    """Riveted plates with a few signal lamps."""
    base: Rgb = tuple(float(c) for c in swatch.paint.reshape(-1, 3).mean(axis=0) * 0.9)  # type: ignore[assignment]
    for i in range(3):
        for j in range(2):
            swatch.rect(
                i / 3 + 0.01,
                j / 2 + 0.015,
                (i + 1) / 3 - 0.01,
                (j + 1) / 2 - 0.015,
                scaled(base, 0.86 + 0.2 * rng.random()),
            )
    for _ in range(5):
        x, y = 0.05 + 0.9 * rng.random(), 0.06 + 0.85 * rng.random()
        colour: Rgb = (250, 170, 70) if rng.random() < 0.5 else (110, 230, 160)
        swatch.rect(x, y, x + 0.016, y + 0.02, colour, glow=colour)


def console(swatch: Swatch, rng: np.random.Generator) -> None:
    """A control desk's front: a row of small screens over a grid of keys and lamps."""
    base: Rgb = tuple(float(c) for c in swatch.paint.reshape(-1, 3).mean(axis=0))  # type: ignore[assignment]
    swatch.rect(0, 0, 1, 0.06, scaled(base, 1.3))
    swatch.rect(0.02, 0.12, 0.98, 0.58, scaled(base, 0.62))
    for i in range(12):
        for j in range(3):
            x, y = 0.05 + i * 0.077, 0.18 + j * 0.13
            lit = rng.random()
            colour: Rgb = ((244, 188, 92), (120, 220, 200), (220, 92, 74))[int(rng.integers(3))]
            dim = scaled(colour, 0.35)
            swatch.rect(x, y, x + 0.045, y + 0.07, dim, glow=colour if lit > 0.62 else None)
    swatch.rect(0, 0.62, 1, 0.64, scaled(base, 0.7))
    swatch.rect(0.49, 0.64, 0.5, 1, scaled(base, 0.75))


def drawers(swatch: Swatch, rng: np.random.Generator) -> None:
    """Doors and drawers with handles."""
    base: Rgb = tuple(float(c) for c in swatch.paint.reshape(-1, 3).mean(axis=0))  # type: ignore[assignment]
    columns = max(1, round(swatch.width / swatch.px_per_m / 0.6))
    swatch.rect(0, 0, 1, 0.05, scaled(base, 1.18))
    for i in range(columns):
        x0, x1 = i / columns + 0.02 / columns, (i + 1) / columns - 0.02 / columns
        for y0, y1 in ((0.09, 0.32), (0.36, 0.94)):
            swatch.rect(x0, y0, x1, y1, scaled(base, 0.74))
            swatch.rect(x0 + 0.02 / columns, y0 + 0.02, x1, y1, scaled(base, 0.95))
            middle = (x0 + x1) / 2
            swatch.rect(middle - 0.1 / columns, y0 + 0.07, middle + 0.1 / columns, y0 + 0.095, scaled(base, 0.45))
    swatch.rect(0, 0.95, 1, 1, scaled(base, 0.5))


def books(swatch: Swatch, rng: np.random.Generator) -> None:
    """Shelves of books, or of boxes where the shelf is that wide."""
    base: Rgb = tuple(float(c) for c in swatch.paint.reshape(-1, 3).mean(axis=0))  # type: ignore[assignment]
    swatch.rect(0, 0, 1, 1, scaled(base, 0.38))
    rows = max(2, round(swatch.height / swatch.px_per_m / 0.36))
    spines: tuple[Rgb, ...] = ((120, 56, 46), (60, 76, 92), (152, 128, 88), (70, 88, 66), (176, 164, 140), (84, 54, 70))
    for row in range(rows):
        x = 0.03
        bottom = (row + 1) / rows - 0.02
        while x < 0.95:
            width = (0.03 + 0.035 * rng.random()) * swatch.px_per_m / swatch.width
            if rng.random() > 0.12:
                top = bottom - (0.62 + 0.25 * rng.random()) / rows
                colour = mixed(spines[int(rng.integers(len(spines)))], base, 0.25 * rng.random())
                swatch.rect(x, top, min(0.97, x + width * 0.92), bottom, colour)
            x += width
        swatch.rect(0, bottom, 1, bottom + 0.025, scaled(base, 1.1))
    swatch.rect(0, 0, 0.03, 1, base)
    swatch.rect(0.97, 0, 1, 1, base)


def shelf(swatch: Swatch, rng: np.random.Generator) -> None:
    """Open wall shelves with jars and crockery."""
    for y in (0.42, 0.95):
        swatch.rect(0, y, 1, y + 0.05, (120, 92, 66))
        for i in range(7):
            x = 0.06 + i * 0.13 + 0.02 * rng.random()
            tall = 0.14 + 0.2 * rng.random()
            shade = 120 + 100 * rng.random()
            swatch.rect(x, y - tall, x + 0.075, y, (shade, shade * 0.94, shade * 0.84))


def oven(swatch: Swatch, rng: np.random.Generator) -> None:
    """A stove's front beside a drawer."""
    drawers(swatch, rng)
    swatch.rect(0.06, 0.12, 0.5, 0.9, (206, 206, 204))
    swatch.rect(0.1, 0.34, 0.46, 0.8, (36, 38, 42))
    for i in range(4):
        swatch.rect(0.11 + i * 0.09, 0.18, 0.145 + i * 0.09, 0.24, (60, 60, 64))


def gate(swatch: Swatch, rng: np.random.Generator) -> None:
    """A sliding gate of steel slats."""
    for i in range(24):
        swatch.rect(0, i / 24, 1, (i + 0.86) / 24, (126 + 10 * (i % 2), 132 + 10 * (i % 2), 136 + 10 * (i % 2)))
        swatch.rect(0, (i + 0.86) / 24, 1, (i + 1) / 24, (76, 80, 84))
    swatch.rect(0.495, 0, 0.505, 1, (50, 52, 56))


def clock(swatch: Swatch, rng: np.random.Generator) -> None:
    """A row of lit digits."""
    swatch.rect(0, 0, 1, 1, (20, 20, 22))
    for i in range(6):
        x = 0.08 + i * 0.14 + 0.02 * (i // 2)
        swatch.rect(x, 0.22, x + 0.09, 0.78, (60, 12, 8), glow=(226, 84, 56))
        swatch.rect(x + 0.028, 0.32, x + 0.062, 0.46, (20, 20, 22))
        swatch.rect(x + 0.028, 0.56, x + 0.062, 0.68, (20, 20, 22))


PAINTERS: dict[str, Painter] = {
    "door": door,
    "picture": picture,
    "board": board,
    "screen": screen,
    "panel": panel,
    "console": console,
    "drawers": drawers,
    "books": books,
    "shelf": shelf,
    "oven": oven,
    "gate": gate,
    "clock": clock,
}
"""Painters of fixtures and fronts by kind; windows take the sky as well."""
