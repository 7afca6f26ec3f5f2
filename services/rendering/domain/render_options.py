"""What the diffusion engine is asked for; what is absent is as the service's settings have it."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import Any

ABSENT = (None, "", ())
_CARRIED = re.compile(
    r"(?<=[^\s_-])[\s_-]+(karras|normal|exponential|beta|((sgm|ddim)[\s_-]+)?uniform|trailing|simple|k)\s*$",
    re.IGNORECASE,
)
"""The schedule at the end of a sampler's name: "DPM++ 2M Karras"."""


@dataclass(frozen=True)
class LoraUse:
    """A LoRA by its name. ``scale`` -4 to 4."""

    name: str
    scale: float = 1.0


@dataclass(frozen=True)
class HiresFix:
    """A second pass over the enlarged picture: ``scale`` 1 to 4 of each side, ``strength`` 0 to 1.

    ``steps`` None takes as many as the first pass.
    """

    scale: float = 1.5
    strength: float = 0.4
    steps: int | None = None


@dataclass(frozen=True)
class SourceImage:
    """An uploaded picture to begin with, and the mask of what is drawn anew, empty for all of it.

    ``strength`` 0 to 1: 1 forgets the picture.
    """

    image_sha256: str
    mask_sha256: str = ""
    strength: float = 0.6


@dataclass(frozen=True)
class RenderOptions:
    """Everything may be absent: None, empty text, no LoRAs. ``images`` are takes of one shot, with seeds in a row.

    ``prompt`` and ``negative`` are in AUTOMATIC1111's grammar and follow what the prompt service has built.
    """

    checkpoint: str = ""
    steps: int | None = None
    guidance: float | None = None
    rescale: float | None = None
    sampler: str = ""
    schedule: str = ""
    clip_skip: int | None = None
    loras: tuple[LoraUse, ...] = ()
    hires: HiresFix | None = None
    refiner: str = ""
    images: int | None = None
    layout_strength: float | None = None
    layout_guide: str = ""
    identity_strength: float | None = None
    source: SourceImage | None = None
    prompt: str = ""
    negative: str = ""

    def gives(self, name: str) -> bool:
        """Whether a field is not absent."""
        return getattr(self, name) not in ABSENT

    def without(self, path: str) -> RenderOptions:
        """Return the options as if nobody had said what stands at a path such as ``steps`` or ``loras[1].name``.

        Of what has a default (``hires.scale``) that alone is forgotten. A path to no option changes nothing.
        """
        name, *within = re.split(r"[.\[]", path)
        if name not in NOTHING_ASKED.__dataclass_fields__:
            return self
        held, absent = getattr(self, name), getattr(NOTHING_ASKED, name)
        lesser = _usual(held, within[0]) if within and is_dataclass(held) else held
        return replace(self, **{name: absent if lesser == held else lesser})


NOTHING_ASKED = RenderOptions()


def _usual(held: Any, name: str) -> Any:
    """Return a part of the options with the default of a field, where it has one."""
    default = type(held).__dataclass_fields__[name].default
    return held if default is MISSING else replace(held, **{name: default})


def without_schedule(sampler: str) -> str:
    """Return a sampler's name as it is, but for a schedule that it carries."""
    return _CARRIED.sub("", sampler)


def merged(film: RenderOptions | None, shot: RenderOptions | None) -> RenderOptions | None:
    """Return the film's options with what the shot gives in their place, field by field.

    A schedule that a sampler's name carries is the schedule of whoever named the sampler.
    """
    if film is None or shot is None:
        return shot or film
    film = _with_room(film, shot)
    return replace(film, **{each.name: getattr(shot, each.name) for each in fields(shot) if shot.gives(each.name)})


def _with_room(film: RenderOptions, shot: RenderOptions) -> RenderOptions:
    """Return the film's options without a schedule in whose place the shot says another."""
    if shot.schedule:
        return replace(film, sampler=without_schedule(film.sampler))
    carries = without_schedule(shot.sampler) != shot.sampler
    return replace(film, schedule="") if carries else film
