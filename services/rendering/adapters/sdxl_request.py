"""A job as the diffusion engine's request: JSON of ``engine.request.RenderRequest``, and pictures beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from continuity.inference.tensors import Tensors, bytes_tensor
from services.rendering.adapters.sdxl_options import SdxlOptions
from services.rendering.domain.job import Job
from services.rendering.handlers.ports import RenderTask

MAX_REFERENCES = 4
"""How many the engine takes."""
SEEDS = 2**32
MOST_DEADLINE_S = 7 * 24 * 3600.0
"""The longest that the engine takes; whoever has longer is in no hurry."""
LEAST_DEADLINE_S = 1.0
PNG_LEVEL = 1


@dataclass(frozen=True)
class Guides:
    """What the previz frame tells: itself as PNG, and cut-outs with masks of the people whose faces are seen in it."""

    layout: bytes = b""
    references: tuple[bytes, ...] = ()
    masks: tuple[bytes, ...] = ()


def encode_guides(pixels: NDArray[np.uint8], masks: NDArray[np.uint8], figures: Sequence[bytes]) -> Guides:
    """Return a frame's guides: of those who have a cut-out, the ones who fill most of it, in the frame's order."""
    areas = masks.sum(axis=(1, 2), dtype=np.int64)
    seen = [number for number, figure in enumerate(figures) if figure and areas[number]]
    largest = sorted(sorted(seen, key=lambda number: -areas[number])[:MAX_REFERENCES])
    return Guides(
        layout=_png(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), np.uint8)),
        references=tuple(figures[number] for number in largest),
        masks=tuple(_png(masks[number]) for number in largest),
    )


def tensors(task: RenderTask, options: SdxlOptions, guides: Guides, extra: Mapping[str, str], now: float) -> Tensors:
    """Return the inputs of the model ``sdxl``; ``now`` is of the clock that the job's times are of."""
    with_layout = bool(guides.layout) and options.layout_strength > 0
    with_references = options.adapter is not None and bool(guides.references)
    spec = request_fields(task, options, len(guides.references) if with_references else 0, layout=with_layout)
    spec |= {"deadline_s": _deadline_s(task.job, now), "extra": dict(extra)}
    inputs = {"spec": bytes_tensor(json.dumps(_without_gaps(spec), ensure_ascii=False).encode())}
    if with_layout:
        inputs["layout"] = bytes_tensor(guides.layout)
    if with_references:
        inputs["references"] = bytes_tensor(*guides.references)
        inputs["reference_masks"] = bytes_tensor(*guides.masks)
    return inputs


def request_fields(task: RenderTask, options: SdxlOptions, references: int, *, layout: bool) -> dict[str, Any]:
    """Return the request's fields but for ``deadline_s`` and ``extra``; None for what is left to the engine."""
    job, prompt = task.job, task.job.prompt
    fields: dict[str, Any] = {
        "id": job.id,
        "checkpoint": options.checkpoint,
        "prompt": prompt.text if prompt else "",
        "negative": prompt.negative if prompt else "",
        "project": task.project,
        "priority": job.priority,
        "commercial": options.commercial,
        "seed": (prompt.seed if prompt else 0) % SEEDS,
        "steps": options.steps,
        "guidance": options.guidance,
        "width_px": job.width_px,
        "height_px": job.height_px,
        "sampler": options.sampler,
        "schedule": options.schedule,
        "preview_every": options.preview_every,
    }
    if layout:
        fields["layout"] = {"kind": options.layout_guide, "scale": options.layout_strength}
    if references:
        fields["references"] = [_reference(number, options) for number in range(references)]
    return fields


def _deadline_s(job: Job, now: float) -> float | None:
    """Only a job's own time to live hurries the engine; that an attempt may take so long and no longer does not."""
    if job.expire_time is None or job.finished:
        return None
    return min(max(job.expire_time - now, LEAST_DEADLINE_S), MOST_DEADLINE_S)


def _without_gaps(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _reference(number: int, options: SdxlOptions) -> dict[str, Any]:
    return {"picture": number, "mask": number, "scale": options.identity_strength, "adapter": options.adapter}


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Return grey or BGR pixels as PNG."""
    done, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not done:
        raise ValueError("OpenCV could not encode the picture")
    return bytes(encoded.tobytes())
