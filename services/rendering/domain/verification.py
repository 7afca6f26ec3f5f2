"""Whether a keyframe, drawn anew from what is frozen in its job, is the same file; if not, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.rendering.domain.job import Job

SAME = "same"
DIFFERENT = "different"
CANNOT = "cannot"

OUTCOMES = ("engine.pixels_sha256",)
"""What a manifest says of the picture itself; it follows from everything else."""
MAX_DIFFERENCES = 50
MAX_VALUE = 100


@dataclass(frozen=True)
class KeyframeFile:
    """The hash of a file, that of its pixels (RGB, row by row), and the manifest of what determined them."""

    sha256: str
    pixels_sha256: str
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class Verification:
    """``verdict`` is SAME, DIFFERENT (though every input is the same) or CANNOT: the inputs are not to be had.

    The hashes are those of the files, empty where there is none. ``differences`` name what differs.
    """

    job_id: str
    verdict: str
    differences: tuple[str, ...] = ()
    stored_sha256: str = ""
    drawn_sha256: str = ""
    same_pixels: bool = False


def compared(job: Job, stored: KeyframeFile, drawn: KeyframeFile) -> Verification:
    """Return the verdict on two files, of which either tells what determined it."""
    same_pixels = stored.pixels_sha256 == drawn.pixels_sha256
    if stored.sha256 == drawn.sha256:
        return Verification(job.id, SAME, (), stored.sha256, drawn.sha256, same_pixels)
    inputs = tuple(differences(stored.manifest, drawn.manifest))[:MAX_DIFFERENCES]
    told = inputs or (_outcome(stored, drawn),)
    return Verification(
        job.id, CANNOT if inputs else DIFFERENT, told, stored.sha256, drawn.sha256, same_pixels=same_pixels
    )


def compared_to_lost(job: Job, lost: str, drawn: KeyframeFile) -> Verification:
    """Return the verdict where the stored file cannot be read; ``lost`` says why."""
    rendered_sha256 = job.keyframe.object.sha256 if job.keyframe else ""
    if drawn.sha256 == rendered_sha256:
        anew = "drawn anew it is the file that was rendered at first"
    else:
        anew = f"drawn anew it is another file than was rendered at first: {rendered_sha256} -> {drawn.sha256}"
    return Verification(job.id, DIFFERENT, (f"stored file: {lost}", anew), "", drawn.sha256)


def cannot(job: Job, *why: str) -> Verification:
    """Return that the keyframe cannot be drawn anew."""
    stored_sha256 = job.keyframe.object.sha256 if job.keyframe else ""
    return Verification(job.id, CANNOT, why, stored_sha256)


def another_renderer(job: Job, renderer: str) -> str:
    """Return how the renderer differs from the one that drew the keyframe, where it is of another kind.

    Another version or other settings are no reason not to draw: the manifests name more of them than a name can.
    """
    drew = job.keyframe.renderer if job.keyframe else ""
    return "" if drew.split(" ")[0] == renderer.split(" ", maxsplit=1)[0] else f"renderer: {drew} -> {renderer}"


def whose(key: str, manifest: Mapping[str, Any]) -> str:
    """Return whose picture an object is, by the manifest of a keyframe that shows it; empty where that is not told."""
    for character in manifest.get("characters") or ():
        if (sha256 := character.get("figure_sha256")) and sha256 in key:
            return f"the figure of {character.get('name')!r}"
    location = manifest.get("location") or {}
    if (sha256 := location.get("picture_sha256")) and sha256 in key:
        return f"the picture of {location.get('name')!r}"
    return ""


def differences(stored: Any, drawn: Any, name: str = "") -> Iterator[str]:
    """Yield ``field: stored -> drawn`` for all that two manifests do not agree on, in the order of the fields."""
    if isinstance(stored, Mapping) and isinstance(drawn, Mapping):
        for field in sorted(stored.keys() | drawn.keys()):
            yield from differences(stored.get(field), drawn.get(field), f"{name}.{field}".lstrip("."))
    elif isinstance(stored, list) and isinstance(drawn, list) and len(stored) == len(drawn):
        for index, (one, other) in enumerate(zip(stored, drawn, strict=True)):
            yield from differences(one, other, f"{name}[{index}]")
    elif stored != drawn and name not in OUTCOMES:
        yield f"{name}: {_shortened(stored)} -> {_shortened(drawn)}"


def _outcome(stored: KeyframeFile, drawn: KeyframeFile) -> str:
    if stored.pixels_sha256 == drawn.pixels_sha256:
        return "file: the pixels are the same, their encoding is not"
    return f"pixels: {stored.pixels_sha256} -> {drawn.pixels_sha256}"


def _shortened(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
