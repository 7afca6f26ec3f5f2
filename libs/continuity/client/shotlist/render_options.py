"""What a shot list asks of the diffusion engine, as values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

Fields = dict[str, Any]


@dataclass(frozen=True)
class Lora:
    """A LoRA and how much of it, -4 to 4."""

    name: str
    scale: float = 1.0


@dataclass(frozen=True)
class Hires:
    """A second pass: sides ``scale`` times as long, ``strength`` of it drawn anew."""

    scale: float | None = None
    strength: float | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Layout:
    """How the previz frame guides; ``guide`` is img2img or a ControlNet."""

    guide: str = ""
    strength: float | None = None


@dataclass(frozen=True)
class Source:
    """The picture to begin with; where ``mask`` is bright it is drawn anew."""

    image: Path
    mask: Path | None = None
    strength: float | None = None


@dataclass(frozen=True)
class RenderOptions:
    """None or empty: nobody said. ``prompt`` and ``negative`` are in AUTOMATIC1111's grammar."""

    checkpoint: str = ""
    steps: int | None = None
    guidance: float | None = None
    rescale: float | None = None
    sampler: str = ""
    schedule: str = ""
    clip_skip: int | None = None
    loras: tuple[Lora, ...] = ()
    hires: Hires | None = None
    refiner: str = ""
    images: int | None = None
    layout: Layout | None = None
    identity_strength: float | None = None
    source: Source | None = None
    prompt: str = ""
    negative: str = ""


def render_options(fields: Fields, folder: Path) -> RenderOptions:
    """Return the options of fields that fit the schema; paths are relative to ``folder``."""
    made: Fields = {name: int(value) for name, value in fields.items() if name in {"steps", "clip_skip", "images"}}
    if "loras" in fields:
        made["loras"] = _loras(fields["loras"])
    if "hires" in fields:
        made["hires"] = Hires(**_whole_steps(fields["hires"]))
    if "layout" in fields:
        made["layout"] = Layout(**fields["layout"])
    if "source" in fields:
        made["source"] = _source(fields["source"], folder)
    return RenderOptions(**(fields | made))


def _loras(given: list[Fields] | Fields) -> tuple[Lora, ...]:
    if isinstance(given, dict):
        return tuple(Lora(name, float(scale)) for name, scale in given.items())
    return tuple(Lora(each["name"], float(each.get("scale", 1.0))) for each in given)


def _whole_steps(fields: Fields) -> Fields:
    return fields | {"steps": int(fields["steps"])} if "steps" in fields else fields


def _source(fields: Fields, folder: Path) -> Source:
    mask = folder / fields["mask"] if "mask" in fields else None
    return Source(folder / fields["image"], mask, fields.get("strength"))
