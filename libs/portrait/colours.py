"""Colours by name: nearest word in CIELAB, and the few colours that a region is made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from portrait import vocabulary
from portrait.pictures import Bytes, Floats, Mask, lab

_LIGHTNESS_WEIGHT = 0.7
_MOST_SAMPLES = 4000
_ROUNDS = 12
_SAME_COLOUR = 12.0

_Words = tuple[tuple[str, str], ...]
_Labels = NDArray[np.intp]


@dataclass(frozen=True)
class Swatch:
    """A colour with its nearest word, `#rrggbb`, and the share (0..1) of the region that has it."""

    name: str
    hex: str
    share: float


def hex_of(rgb: Bytes) -> str:
    """`#rrggbb` of one RGB uint8 colour (3,)."""
    return "#" + "".join(f"{int(channel):02x}" for channel in rgb)


def clothing_name(rgb: Bytes) -> str:
    """The nearest word for a piece of clothing of this RGB uint8 colour (3,)."""
    return _nearest(rgb, vocabulary.CLOTHING)


def hair_name(rgb: Bytes) -> str:
    """The nearest natural hair colour to an RGB uint8 colour (3,)."""
    return _nearest(rgb, vocabulary.HAIR)


def skin_name(rgb: Bytes) -> str:
    """The tone word of skin by its lightness in the photograph."""
    lightness = float(lab(rgb)[0])
    return next(name for least, name in vocabulary.SKIN_BY_LIGHTNESS if lightness >= least)


def difference(one: Floats, other: Floats) -> Floats:
    """Distance of CIELAB colours (..., 3), lightness counting less because light and shade change it most."""
    return np.asarray(np.linalg.norm((one - other) * (_LIGHTNESS_WEIGHT, 1, 1), axis=-1), np.float32)


def main_colours(pixels: Bytes, most: int = 6) -> tuple[Swatch, ...]:
    """Up to `most` clothing colours of RGB uint8 pixels (n, 3), the largest share first; always the same for the same.

    k-means in CIELAB from farthest-point starts; groups that look alike or have the same name are one colour.
    """
    if len(pixels) == 0:
        return ()
    samples = pixels[:: -(-len(pixels) // _MOST_SAMPLES)]
    groups = _named_groups(samples, _clusters(lab(samples), most))
    swatches = [
        Swatch(name, hex_of(np.median(samples[held], axis=0)), round(float(held.mean()), 3)) for name, held in groups
    ]
    return tuple(sorted(swatches, key=lambda swatch: (-swatch.share, swatch.name)))


def _named_groups(samples: Bytes, labels: _Labels) -> list[tuple[str, Mask]]:
    groups: dict[str, Mask] = {}
    for label in np.unique(labels):
        held = labels == label
        name = clothing_name(np.median(samples[held], axis=0).astype(np.uint8))
        groups[name] = groups.get(name, np.zeros_like(held)) | held
    return list(groups.items())


def _clusters(colours: Floats, most: int) -> _Labels:
    """Label of each CIELAB colour (n, 3) after Lloyd's rounds; near centres are not started twice."""
    centres = np.median(colours, axis=0, keepdims=True)
    while len(centres) < most:
        gaps = _distances(colours, centres).min(axis=1)
        if gaps.max() < _SAME_COLOUR:
            break
        centres = np.vstack([centres, colours[np.argmax(gaps)]])
    for _ in range(_ROUNDS):
        labels = _distances(colours, centres).argmin(axis=1)
        centres = np.array([colours[labels == label].mean(axis=0) for label in np.unique(labels)])
    return np.asarray(_distances(colours, centres).argmin(axis=1))


def _distances(colours: Floats, centres: Floats) -> Floats:
    return difference(colours[:, np.newaxis], centres[np.newaxis])


@lru_cache(maxsize=2)
def _colours_of(words: _Words) -> Floats:
    return lab(np.array([list(bytes.fromhex(value[1:])) for _, value in words], np.uint8))


def _nearest(rgb: Bytes, words: _Words) -> str:
    return words[int(np.argmin(difference(lab(rgb), _colours_of(words))))][0]
