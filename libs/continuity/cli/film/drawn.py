"""What a keyframe was drawn with, as its own file tells."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from PIL import Image

from continuity.api.rendering.v1.job_pb2 import Job
from continuity.client import CallFailed, ContinuityClient
from continuity.client.errors import KeyframeDamaged

TEXT = "continuity"
"""The PNG's text chunk that is a keyframe's manifest, before its pixels."""
_OF_ENGINE = (
    "steps",
    "sampler",
    "schedule",
    "guidance",
    "rescale",
    "clip_skip",
    "loras",
    "hires",
    "refiner",
    "layout",
    "references",
)


def drawn(file: Path | IO[bytes]) -> dict[str, Any] | None:
    """Return what the keyframe in a file was drawn with; None where the file does not tell.

    What a diffusion engine was asked for stands under that engine's names; of ``source`` there are the hashes.
    """
    try:
        with Image.open(file) as picture:
            told = json.loads(picture.info[TEXT])
    except (OSError, KeyError, ValueError, TypeError):
        return None
    return _drawn(told) if isinstance(told, dict) else None


async def drawn_with(client: ContinuityClient, job: Job) -> dict[str, Any] | None:
    """Return what the keyframe of a job was drawn with; None where there is none to be had, or it does not tell."""
    if not job.HasField("keyframe"):
        return None
    with suppress(CallFailed, KeyframeDamaged):
        return drawn(io.BytesIO(await client.shots.download(job)))
    return None


def described(told: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what ``drawn`` has returned in words of a few lines; of previz its name says it all."""
    if not told or "steps" not in told:
        return {}
    layout, source, checkpoint = told["layout"] or {}, told["source"] or {}, told["checkpoint"] or {}
    return {
        "prompt drawn": told["prompt"],
        "negative drawn": told["negative_prompt"],
        "drawn": f"{told['steps']} steps, {told['sampler']} {told['schedule']}, guidance {told['guidance']}, "
        f"{told['width_px']}x{told['height_px']} px",
        "checkpoint": " ".join(filter(None, (checkpoint.get("name"), checkpoint.get("sha256")))),
        "loras": ", ".join(f"{each['name']} {each['scale']:g}" for each in told["loras"] or ()),
        "layout": f"{layout['kind']} {layout['scale']:g}" if layout else "",
        "source": f"{source['image_sha256']}, strength {source['strength']:g}" if source else "",
        "mask": source.get("mask_sha256") or "",
    }


def _drawn(told: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: told.get(name) for name in ("renderer", "prompt", "negative_prompt", "seed", "width_px", "height_px")}
    engine = told.get("engine") or {}
    return own | _by_engine(engine, engine["request"]) if "request" in engine else own


def _by_engine(engine: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the engine's request; its prompt is longer by the words that were asked for beside it."""
    return {
        "prompt": request.get("prompt"),
        "negative_prompt": request.get("negative"),
        "checkpoint": engine.get("weights", {}).get("checkpoint"),
        **{name: request.get(name) for name in _OF_ENGINE},
        "source": _source(engine.get("pictures", {}), request) if request.get("has_image") else None,
    }


def _source(pictures: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    hashes = {f"{name}_sha256": pictures.get(name) for name in ("image", "mask")}
    return hashes | {"strength": request.get("strength")}
