"""What a frame shall show: frozen values, read from JSON with errors that name field, value and limit."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from previz import vocabulary
from previz.errors import InvalidField

MIN_SIDE_PX, MAX_SIDE_PX, SIDE_STEP_PX = 128, 4096, 2
MAX_FIGURES = 8
MIN_HEIGHT_M, MAX_HEIGHT_M = 0.5, 3.0
MAX_TEXT = 4000
MAX_JSON_BYTES = 65_536
_HEX = re.compile(r"#[0-9a-fA-F]{6}")

Colour = tuple[int, int, int]
"""Red, green, blue, each 0..255."""


@dataclass(frozen=True)
class LocationSpec:
    """A place. Its set is derived from these words alone, so every shot of the place shows the same set."""

    type: str = "interior"
    name: str = ""
    kind: str = ""
    description: str = ""


@dataclass(frozen=True)
class FaceBox:
    """A face in a matte, as fractions 0..1 of the matte's width and height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class FigureSpec:
    """One person of the shot; the first of a frame's figures is the one that the shot is about.

    ``facing`` is where the photograph's face turns: -1 screen left, 0 to the camera, 1 screen right.
    ``screen_order`` sorts the figures from left to right; keep it equal over a scene and nobody crosses the line.
    ``height_m`` is how tall the person is, 0.5 to 3.
    """

    name: str = ""
    face_box: FaceBox | None = None
    facing: float = 0.0
    palette: tuple[Colour, ...] = ()
    hair: Colour = (62, 48, 40)
    skin: Colour = (205, 160, 130)
    action: str = ""
    screen_order: int | None = None
    height_m: float = 1.70


@dataclass(frozen=True)
class FrameSpec:
    """A whole frame. Words are those of ``previz.vocabulary``; unknown style, mood and lighting words are neutral.

    ``masks`` asks for the figures' masks besides and changes nothing in the frame.
    """

    width_px: int = 1024
    height_px: int = 576
    shot_type: str = "medium"
    camera_angle: str = "eye-level"
    composition: str = "rule-of-thirds"
    lighting: str = "natural"
    mood: str = "neutral"
    style: str = "cinematic"
    time_of_day: str = "afternoon"
    weather: str = "clear"
    location: LocationSpec = LocationSpec()
    figures: tuple[FigureSpec, ...] = ()
    seed: int = 0
    description: str = ""
    masks: bool = False

    @classmethod
    def from_json(cls, text: bytes) -> FrameSpec:
        """Read a specification; absent fields take the defaults above. Raises ``InvalidField``."""
        fields = _Fields(_object_of(text), "")
        fields.refuse_unknown(cls.__dataclass_fields__)
        return cls(
            width_px=fields.whole("width_px", cls.width_px, MIN_SIDE_PX, MAX_SIDE_PX, SIDE_STEP_PX),
            height_px=fields.whole("height_px", cls.height_px, MIN_SIDE_PX, MAX_SIDE_PX, SIDE_STEP_PX),
            shot_type=fields.word("shot_type", cls.shot_type, vocabulary.SHOT_TYPES),
            camera_angle=fields.word("camera_angle", cls.camera_angle, vocabulary.CAMERA_ANGLES),
            composition=fields.word("composition", cls.composition, vocabulary.COMPOSITIONS),
            lighting=fields.text("lighting", cls.lighting),
            mood=fields.text("mood", cls.mood),
            style=fields.text("style", cls.style),
            time_of_day=fields.word("time_of_day", cls.time_of_day, vocabulary.TIMES_OF_DAY),
            weather=fields.word("weather", cls.weather, vocabulary.WEATHERS),
            location=_location(fields.child("location")),
            figures=tuple(_figure(figure) for figure in fields.children("figures", MAX_FIGURES)),
            seed=fields.whole("seed", 0, 0, 2**63 - 1),
            description=fields.text("description", ""),
            masks=fields.flag("masks"),
        )


def _object_of(text: bytes) -> dict[str, Any]:
    if len(text) > MAX_JSON_BYTES:
        raise InvalidField("spec", f"{len(text)} bytes", f"at most {MAX_JSON_BYTES} bytes")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidField("spec", text[:40], f"must be JSON ({error})") from error
    if not isinstance(value, dict):
        raise InvalidField("spec", value, "must be a JSON object")
    return value


def _location(fields: _Fields) -> LocationSpec:
    fields.refuse_unknown(LocationSpec.__dataclass_fields__)
    return LocationSpec(
        type=fields.word("type", "interior", vocabulary.LOCATION_TYPES),
        name=fields.text("name", ""),
        kind=fields.text("kind", ""),
        description=fields.text("description", ""),
    )


def _figure(fields: _Fields) -> FigureSpec:
    fields.refuse_unknown(FigureSpec.__dataclass_fields__)
    return FigureSpec(
        name=fields.text("name", ""),
        face_box=fields.box("face_box"),
        facing=fields.number("facing", 0.0, -1.0, 1.0),
        palette=fields.colours("palette"),
        hair=fields.colour("hair", FigureSpec.hair),
        skin=fields.colour("skin", FigureSpec.skin),
        action=fields.text("action", ""),
        screen_order=fields.whole("screen_order", 0, 0, 1000) if fields.given("screen_order") else None,
        height_m=fields.number("height_m", FigureSpec.height_m, MIN_HEIGHT_M, MAX_HEIGHT_M),
    )


class _Fields:
    """A JSON object with typed access; ``path`` prefixes the names in errors."""

    def __init__(self, values: dict[str, Any], path: str) -> None:
        self._values = values
        self._path = path

    def given(self, name: str) -> bool:
        return self._values.get(name) is not None

    def refuse_unknown(self, known: dict[str, Any]) -> None:
        for name in self._values:
            if name not in known:
                raise InvalidField(self._path + name, self._values[name], f"fields are {', '.join(known)}")

    def whole(self, name: str, default: int, low: int, high: int, step: int = 1) -> int:
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high or value % step:
            multiple = f", a multiple of {step}" if step > 1 else ""
            raise InvalidField(self._path + name, value, f"a whole number from {low} to {high}{multiple}")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        return _number(self._values.get(name, default), self._path + name, low, high)

    def text(self, name: str, default: str) -> str:
        value = self._values.get(name, default)
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise InvalidField(self._path + name, value, f"a text of at most {MAX_TEXT} characters")
        return value

    def flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise InvalidField(self._path + name, value, "true or false")
        return value

    def word(self, name: str, default: str, words: Sequence[str]) -> str:
        value = self._values.get(name, default)
        if value not in words:
            raise InvalidField(self._path + name, value, f"one of {', '.join(words)}")
        return str(value)

    def colour(self, name: str, default: Colour) -> Colour:
        return _colour(self._values[name], self._path + name) if self.given(name) else default

    def colours(self, name: str) -> tuple[Colour, ...]:
        return tuple(_colour(value, f"{self._path}{name}[{i}]") for i, value in enumerate(self._list(name, 16)))

    def box(self, name: str) -> FaceBox | None:
        if not self.given(name):
            return None
        values = self._list(name, 4)
        if len(values) != 4:
            raise InvalidField(self._path + name, values, "four fractions: x, y, width, height")
        x, y, width, height = (_number(value, self._path + name, 0.0, 1.0) for value in values)
        if width <= 0 or height <= 0:
            raise InvalidField(self._path + name, values, "a width and height above 0")
        return FaceBox(x, y, width, height)

    def child(self, name: str) -> _Fields:
        return _child(self._values.get(name) or {}, self._path + name)

    def children(self, name: str, most: int) -> list[_Fields]:
        return [_child(value, f"{self._path}{name}[{i}]") for i, value in enumerate(self._list(name, most))]

    def _list(self, name: str, most: int) -> list[Any]:
        value = self._values.get(name) or []
        if not isinstance(value, list) or len(value) > most:
            raise InvalidField(self._path + name, value, f"a list of at most {most}")
        return value


def _child(value: Any, path: str) -> _Fields:
    if not isinstance(value, dict):
        raise InvalidField(path, value, "must be an object")
    return _Fields(value, path + ".")


def _number(value: Any, path: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidField(path, value, f"a number from {low:g} to {high:g}")
    return float(value)


def _colour(value: Any, path: str) -> Colour:
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise InvalidField(path, value, "a colour such as #a1b2c3")
    return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)
