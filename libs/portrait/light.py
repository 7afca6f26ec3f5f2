"""The light in a portrait: where it comes from, how hard, how warm and how bright it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from portrait.pictures import Floats, Mask
from portrait.readings import UNKNOWN, Reading
from portrait.regions import Portrait

_SIDED = 0.05
_HARD_SPREAD = 0.75
_WARM, _COOL = 5.0, -5.0
_DARK, _BRIGHT = 38.0, 68.0


@dataclass(frozen=True)
class Light:
    """Key light's side in the picture, hardness, warmth and brightness."""

    direction: Reading
    hardness: Reading
    warmth: Reading
    brightness: Reading


def light_of(seen: Portrait | None, lab: Floats) -> Light:
    """What the face (direction, hardness) and the whole picture (CIELAB) tell of the light."""
    direction, hardness = (UNKNOWN, UNKNOWN) if seen is None else (_direction(seen), _hardness(seen))
    return Light(direction, hardness, _warmth(lab), _brightness(lab))


def _oval(seen: Portrait) -> Mask:
    return np.asarray(np.hypot(seen.across / 0.4, seen.down / 0.45) < 1, np.bool_)


def _direction(seen: Portrait) -> Reading:
    """The brighter half of the face is on the key light's side."""
    oval = _oval(seen)
    left, right = (seen.lab[..., 0][oval & side] for side in (seen.across < -0.05, seen.across > 0.05))
    if not left.size or not right.size:
        return UNKNOWN
    balance = float((right.mean() - left.mean()) / max(1.0, right.mean() + left.mean()))
    value = "front" if abs(balance) < _SIDED else "right" if balance > 0 else "left"
    return Reading(value, _certainty(abs(abs(balance) - _SIDED) / _SIDED))


def _hardness(seen: Portrait) -> Reading:
    """Hard light leaves deep shade beside bright skin: the spread of lightness over its middle."""
    values = seen.lab[..., 0][_oval(seen)]
    if not values.size:
        return UNKNOWN
    low, middle, high = np.percentile(values, (10, 50, 90))
    spread = float((high - low) / max(1.0, middle))
    return Reading("hard" if spread > _HARD_SPREAD else "soft", _certainty(abs(spread - _HARD_SPREAD) / _HARD_SPREAD))


def _warmth(lab: Floats) -> Reading:
    """The tint of what is nearly white or light grey; a picture without any tells nothing."""
    pale = (lab[..., 0] > 65) & (np.hypot(lab[..., 1], lab[..., 2]) < 20)
    if pale.mean() < 0.01:
        return UNKNOWN
    yellow = float(np.median(lab[..., 2][pale]))
    value = "warm" if yellow > _WARM else "cool" if yellow < _COOL else "neutral"
    return Reading(value, round(min(0.7, 0.3 + 4 * float(pale.mean())), 2))


def _brightness(lab: Floats) -> Reading:
    mean = float(lab[..., 0].mean())
    value = "dark" if mean < _DARK else "bright" if mean > _BRIGHT else "medium"
    return Reading(value, _certainty(min(abs(mean - _DARK), abs(mean - _BRIGHT)) / 15))


def _certainty(margin: float) -> float:
    """0.4 at a limit between two words, 0.9 far from it."""
    return round(0.4 + 0.5 * min(1.0, margin), 2)
