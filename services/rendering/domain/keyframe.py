"""The prompt that a renderer is told, and the picture that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from continuity.kernel.values import ObjectRef


@dataclass(frozen=True)
class PromptPart:
    """A piece of the prompt and the field that it came from."""

    source: str
    text: str


@dataclass(frozen=True)
class Prompt:
    """What a renderer is told; weights in A1111 grammar. ``words`` are the vocabulary's own spellings, by field."""

    text: str
    negative: str
    seed: int
    parts: tuple[PromptPart, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StageTimings:
    """Seconds spent in each stage."""

    cast_s: float = 0.0
    prompt_s: float = 0.0
    queue_s: float = 0.0
    render_s: float = 0.0
    store_s: float = 0.0


@dataclass(frozen=True)
class Keyframe:
    """The picture of a shot."""

    object: ObjectRef
    width_px: int
    height_px: int
    seed: int
    renderer: str
    timings: StageTimings
