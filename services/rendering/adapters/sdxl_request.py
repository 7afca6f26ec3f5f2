"""A job as the diffusion engine's request: JSON of ``engine.request.RenderRequest``, and pictures beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
MOST_DEADLINE_S = 7 * 24 * 3600.0
"""The longest that the engine takes; whoever has longer is in no hurry."""
LEAST_DEADLINE_S = 1.0
PNG_LEVEL = 1


@dataclass(frozen=True)
class Guides:
    """Pictures that go along with a request: the previz frame, and cut-outs of the people whose faces are seen in it.

    ``masks`` are those people's, ``mask`` is that of the ``image`` to begin with.
    """

    layout: bytes = b""
    references: tuple[bytes, ...] = ()
    masks: tuple[bytes, ...] = ()
    image: bytes = b""
    mask: bytes = b""


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
    spec = request_fields(task, options, guides)
    spec |= {"deadline_s": _deadline_s(task.job, now), "extra": dict(extra)}
    inputs = {"spec": bytes_tensor(json.dumps(_without_gaps(spec), ensure_ascii=False).encode())}
    single = {"layout": guides.layout, "image": guides.image, "mask": guides.mask}
    inputs |= {name: bytes_tensor(picture) for name, picture in single.items() if picture}
    if guides.references:
        inputs["references"] = bytes_tensor(*guides.references)
        inputs["reference_masks"] = bytes_tensor(*guides.masks)
    return inputs


def request_fields(task: RenderTask, options: SdxlOptions, guides: Guides) -> dict[str, Any]:
    """Return the request's fields but for ``deadline_s`` and ``extra``; None for what is left to the engine."""
    job, prompt = task.job, task.job.prompt
    fields: dict[str, Any] = {
        "id": job.id,
        "prompt": _followed(prompt.text if prompt else "", options.asked.prompt),
        "negative": _followed(prompt.negative if prompt else "", options.asked.negative),
        "project": task.project,
        "priority": job.priority,
        "commercial": options.commercial or job.commercial,
        "seed": job.seed_of(task.take or 0),
        "width_px": job.width_px,
        "height_px": job.height_px,
        "preview_every": options.preview_every,
        **drawn_fields(options, options.asked.images if task.take is None else None),
    }
    if guides.references:
        fields["references"] = [reference_field(number, options) for number in range(len(guides.references))]
    return fields


def drawn_fields(options: SdxlOptions, images: int | None) -> dict[str, Any]:
    """Return the fields that options alone decide; None for what is left to the engine."""
    asked = options.asked
    fields: dict[str, Any] = {
        "checkpoint": options.checkpoint,
        "steps": options.steps,
        "guidance": options.guidance,
        "sampler": options.sampler,
        "schedule": options.schedule,
        "rescale": asked.rescale,
        "clip_skip": asked.clip_skip,
        "loras": [asdict(each) for each in asked.loras] or None,
        "hires": asdict(asked.hires) if asked.hires else None,
        "refiner": asked.refiner or None,
        "images": images,
    }
    if options.layout_strength:
        fields["layout"] = {"kind": options.layout_guide, "scale": options.layout_strength}
    if asked.source:
        fields["strength"] = asked.source.strength
    return fields


def reference_field(number: int, options: SdxlOptions) -> dict[str, Any]:
    """Return the field of one person, whose picture and mask have a number."""
    return {"picture": number, "mask": number, "scale": options.identity_strength, "adapter": options.adapter}


def _followed(built: str, asked: str) -> str:
    """Return what the prompt service has built and, behind it, what the shot asks for as it is written."""
    return ", ".join(filter(None, (built, asked)))


def _deadline_s(job: Job, now: float) -> float | None:
    """Only a job's own time to live hurries the engine; that an attempt may take so long and no longer does not."""
    if job.expire_time is None or job.finished:
        return None
    return min(max(job.expire_time - now, LEAST_DEADLINE_S), MOST_DEADLINE_S)


def _without_gaps(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Return grey or BGR pixels as PNG."""
    done, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not done:
        raise ValueError("OpenCV could not encode the picture")
    return bytes(encoded.tobytes())
