"""Faces by Haar cascades (Viola & Jones 2001): two frontal cascades must agree, or one of them and an eye be sure.

A single cascade sees faces in plain backgrounds; two that were trained apart seldom err at the same place.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from portrait.pictures import Bytes, checked, settle_opencv

_SEARCH_PX = 512
_MOST_ENLARGED = 4.0
_LEAST_PX = 30
_FRONTAL = ("haarcascade_frontalface_default.xml", "haarcascade_frontalface_alt2.xml")
_EYES = "haarcascade_eye_tree_eyeglasses.xml"
_PROFILE = "haarcascade_profileface.xml"
_SAME_FACE_OVERLAP = 0.35
_LONE_NEIGHBOURS, _EYELESS_NEIGHBOURS = 12, 18
_PROFILE_NEIGHBOURS = 8
_CERTAIN_NEIGHBOURS = 24
_PROFILE_FACING = 0.9


@dataclass(frozen=True)
class Face:
    """A face in pixels of the picture; `facing` is -1 (to picture left) to 1 (right), None where no eye tells."""

    x: float
    y: float
    width: float
    height: float
    confidence: float
    facing: float | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box, x then y, in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def chin(self) -> float:
        """Lower edge of the box in pixels."""
        return self.y + self.height

    def scaled(self, factor: float) -> Face:
        """The same face in a picture that is `factor` times as large."""
        x, y, width, height = (side * factor for side in (self.x, self.y, self.width, self.height))
        return Face(x, y, width, height, self.confidence, self.facing)


@dataclass(frozen=True)
class _Sighting:
    box: tuple[int, int, int, int]
    neighbours: int
    cascade: int


def find_faces(rgb: Bytes) -> tuple[Face, ...]:
    """Every face in an upright RGB uint8 picture, largest first; () where none is sure enough."""
    settle_opencv()
    picture = checked(rgb)
    small, scale = _search_size(picture)
    grey = np.asarray(cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)), np.uint8)
    found = _frontal(grey) or _profiles(grey, small)
    return tuple(sorted((face.scaled(1 / scale) for face in found), key=lambda face: -face.width * face.height))


def _search_size(rgb: Bytes) -> tuple[Bytes, float]:
    """The picture at the area of `_SEARCH_PX` squared and its scale: faces are sought from a share of that on."""
    height, width = rgb.shape[:2]
    scale = min(_MOST_ENLARGED, _SEARCH_PX / float(np.sqrt(height * width)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=way), np.uint8), scale


def _detect(grey: Bytes, name: str, least_px: int, neighbours: int = 3) -> list[tuple[tuple[int, int, int, int], int]]:
    """Boxes and how many raw detections each stands for. A classifier of its own: they keep state between calls."""
    classifier = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))
    boxes, counts = classifier.detectMultiScale2(grey, 1.1, neighbours, minSize=(least_px, least_px))
    found = [
        ((int(x), int(y), int(w), int(h)), int(count))
        for (x, y, w, h), count in zip(boxes, np.ravel(counts), strict=True)
    ]
    return sorted(found, key=lambda sighting: (-sighting[1], sighting[0]))


def _frontal(grey: Bytes) -> list[Face]:
    sightings = [
        _Sighting(box, count, number)
        for number, name in enumerate(_FRONTAL)
        for box, count in _detect(grey, name, _LEAST_PX)
    ]
    faces = [_judged(grey, group) for group in _grouped(sightings)]
    return [face for face in faces if face is not None]


def _grouped(sightings: list[_Sighting]) -> list[list[_Sighting]]:
    """Sightings of the same place together, strongest first."""
    groups: list[list[_Sighting]] = []
    for sighting in sorted(sightings, key=lambda one: (-one.neighbours, one.box)):
        home = next((group for group in groups if _overlap(group[0].box, sighting.box) > _SAME_FACE_OVERLAP), None)
        if home is None:
            groups.append([sighting])
        else:
            home.append(sighting)
    return [group for group in groups if not any(_inside(group[0].box, other[0].box) for other in groups)]


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    """Intersection over union."""
    shared = _shared(one, other)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def _shared(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> int:
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)


def _inside(small: tuple[int, int, int, int], large: tuple[int, int, int, int]) -> bool:
    """Whether more than half of `small` lies in a larger box: a mouth or a badge that looks like a face."""
    area = small[2] * small[3]
    return area < large[2] * large[3] and _shared(small, large) > area / 2


def _judged(grey: Bytes, group: list[_Sighting]) -> Face | None:
    agreed = len({sighting.cascade for sighting in group}) > 1
    strength = sum(sighting.neighbours for sighting in group)
    x, y, width, height = (float(side) for side in np.mean([sighting.box for sighting in group], axis=0))
    eyes = _eyes(grey, (x, y, width, height))
    if not (eyes and (agreed or strength >= _LONE_NEIGHBOURS)) and not (agreed and strength >= _EYELESS_NEIGHBOURS):
        return None
    confidence = min(1.0, 0.35 + 0.15 * agreed + 0.1 * min(2, len(eyes)) + 0.3 * min(1, strength / _CERTAIN_NEIGHBOURS))
    return Face(x, y, width, height, round(confidence, 3), _facing(eyes, x, width))


def _eyes(grey: Bytes, box: tuple[float, float, float, float]) -> list[float]:
    """Middles (x, px) of the eyes in the upper part of a face box, at most one on each side."""
    x, y, width, height = (round(side) for side in box)
    upper = np.ascontiguousarray(grey[max(0, y) : y + round(0.65 * height), max(0, x) : x + width])
    scale = max(1.0, 96 / max(1, width))
    upper = np.asarray(cv2.resize(upper, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), np.uint8)
    middles = [
        max(0, x) + (ex + ew / 2) / scale for (ex, _, ew, _), _ in _detect(upper, _EYES, max(12, upper.shape[1] // 7))
    ]
    left = [middle for middle in middles if middle < x + width / 2]
    right = [middle for middle in middles if middle >= x + width / 2]
    return left[:1] + right[:1]


def _facing(eyes: list[float], x: float, width: float) -> float | None:
    """How far the middle of both eyes is off the middle of the face, a quarter of its width being a half turn."""
    if len(eyes) != 2:
        return None
    offset = (sum(eyes) / 2 - (x + width / 2)) / width
    return round(float(np.clip(offset / 0.25, -1, 1)), 3)


def _profiles(grey: Bytes, rgb: Bytes) -> list[Face]:
    """Faces from the side. The cascade knows those that look to the left; the others are found in the mirror."""
    faces: list[Face] = []
    for mirrored in (False, True):
        view = np.ascontiguousarray(grey[:, ::-1]) if mirrored else grey
        for (x, y, width, height), count in _detect(view, _PROFILE, _LEAST_PX, _PROFILE_NEIGHBOURS):
            left = grey.shape[1] - x - width if mirrored else x
            taken = any(_shared((left, y, width, height), _whole(face)) for face in faces)
            if not taken and _skin_like(rgb[y : y + height, left : left + width]):
                facing = _PROFILE_FACING if mirrored else -_PROFILE_FACING
                faces.append(Face(left, y, width, height, round(min(0.6, 0.25 + count / 60), 3), facing))
    return faces


def _whole(face: Face) -> tuple[int, int, int, int]:
    return round(face.x), round(face.y), round(face.width), round(face.height)


def _skin_like(rgb: Bytes) -> bool:
    """Whether the middle of a box has the chroma of skin (Chai & Ngan 1999), which is much the same for all tones."""
    height, width = rgb.shape[:2]
    middle = np.ascontiguousarray(rgb[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4])
    chroma = cv2.cvtColor(middle, cv2.COLOR_RGB2YCrCb)[..., 1:]
    return bool(np.mean(np.all((chroma >= (133, 77)) & (chroma <= (173, 127)), axis=-1)) > 0.5)
