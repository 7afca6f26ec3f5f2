"""The JSON of a request: fields as ``RenderRequest`` has them, each within its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.errors import Refused
from engine.parsing.fields import Fields, object_of
from engine.parsing.tags import MAX_SCALE, untagged
from engine.presets import Preset, preset
from engine.request import HiresFix, LayoutGuide, LoraUse, Reference, RenderRequest
from engine.samplers import chosen

__all__ = ["MAX_REFERENCES", "MAX_SIDE_PX", "parse"]

MAX_BYTES = 256 * 1024
MAX_PROMPT = 20_000
MAX_STEPS = 150
MIN_SIDE_PX, MAX_SIDE_PX, SIDE_STEP_PX = 256, 2048, 8
MAX_HIRES_PX = 4096
MAX_REFERENCES = 4
MAX_LORAS = 8
MAX_DEADLINE_S = 7 * 24 * 3600.0


def parse(spec: bytes) -> RenderRequest:
    """Read a request; absent and null fields take ``RenderRequest``'s defaults. Raises ``Refused``.

    ``id``, ``checkpoint`` and ``prompt`` have to be there. Samplers and schedules get our names; without a schedule it
    is the one that the sampler is usually run with. Where a checkpoint or a LoRA was made for few steps, its preset
    gives the defaults and the limits. ``<lora:name:0.8>`` in the prompt is one of the ``loras``.
    """
    values = object_of(spec, MAX_BYTES)
    request = _request(values)
    fast = preset(request.checkpoint, [lora.name for lora in request.loras])
    if fast is None:
        return request
    request = _request(_completed(values, fast))
    fast.require(request)
    return request


def _completed(values: Mapping[str, Any], fast: Preset) -> dict[str, Any]:
    """Fill in what a preset says of fields that were left out; a sampler that was asked for keeps its own schedule."""
    given = {name: value for name, value in values.items() if value is not None}
    unwanted = {"schedule"} if "sampler" in given else set()
    return {name: value for name, value in fast.defaults.items() if name not in unwanted} | given


def _request(values: Mapping[str, Any]) -> RenderRequest:
    fields = Fields(values, "", RenderRequest.__dataclass_fields__)
    sampler, schedule = _sampler(fields)
    request = replace(_picture(fields, _who(fields)), sampler=sampler, schedule=schedule)
    return _tagged(_guides(fields, request))


def _tagged(request: RenderRequest) -> RenderRequest:
    """Let the LoRAs that the prompt names follow those of the request."""
    prompt, named = untagged(request.prompt, request.negative)
    loras = (*request.loras, *named)
    if len(loras) > MAX_LORAS:
        raise Refused("loras", f"{len(loras)} with those in the prompt", f"at most {MAX_LORAS}")
    return replace(request, prompt=prompt, loras=loras)


def _who(fields: Fields) -> RenderRequest:
    return RenderRequest(
        id=fields.text("id", 200),
        checkpoint=fields.name("checkpoint"),
        prompt=fields.text("prompt", MAX_PROMPT),
        negative=fields.text("negative", MAX_PROMPT, ""),
        project=fields.text("project", 200, ""),
        priority=fields.whole("priority", RenderRequest.priority, 0, 100),
        deadline_s=fields.positive("deadline_s", MAX_DEADLINE_S),
        commercial=fields.flag("commercial"),
        extra=fields.texts("extra", 64, 1000),
    )


def _picture(fields: Fields, request: RenderRequest) -> RenderRequest:
    return replace(
        request,
        seed=fields.whole("seed", 0, 0, 2**32 - 1),
        images=fields.whole("images", 1, 1, 8),
        steps=fields.whole("steps", RenderRequest.steps, 1, MAX_STEPS),
        guidance=fields.number("guidance", RenderRequest.guidance, 0, 30),
        rescale=fields.number("rescale", 0.0, 0, 1),
        width_px=fields.whole("width_px", RenderRequest.width_px, MIN_SIDE_PX, MAX_SIDE_PX, SIDE_STEP_PX),
        height_px=fields.whole("height_px", RenderRequest.height_px, MIN_SIDE_PX, MAX_SIDE_PX, SIDE_STEP_PX),
        clip_skip=fields.whole("clip_skip", 0, 0, 12),
        strength=fields.number("strength", RenderRequest.strength, 0, 1),
        preview_every=fields.whole("preview_every", RenderRequest.preview_every, 0, MAX_STEPS),
        has_image=fields.flag("has_image"),
        has_mask=fields.flag("has_mask"),
    )


def _guides(fields: Fields, request: RenderRequest) -> RenderRequest:
    references = fields.children("references", MAX_REFERENCES, Reference.__dataclass_fields__)
    loras = fields.children("loras", MAX_LORAS, LoraUse.__dataclass_fields__)
    return replace(
        request,
        layout=_layout(fields) if fields.given("layout") else None,
        references=tuple(_reference(each) for each in references),
        loras=tuple(LoraUse(each.name("name"), each.number("scale", 1.0, -MAX_SCALE, MAX_SCALE)) for each in loras),
        hires=_hires(fields, request) if fields.given("hires") else None,
        refiner=fields.name("refiner") if fields.given("refiner") else None,
    )


def _reference(fields: Fields) -> Reference:
    return Reference(
        picture=fields.whole("picture", -1, 0, MAX_REFERENCES - 1),
        scale=fields.number("scale", Reference.scale, 0, 1),
        mask=fields.whole("mask", 0, 0, MAX_REFERENCES - 1) if fields.given("mask") else None,
        adapter=fields.name("adapter", Reference.adapter),
    )


def _layout(fields: Fields) -> LayoutGuide:
    layout = fields.child("layout", LayoutGuide.__dataclass_fields__)
    kind = layout.name("kind")
    return LayoutGuide(kind, layout.number("scale", LayoutGuide.scale, 0, 2 if LayoutGuide(kind).is_network else 1))


def _hires(fields: Fields, request: RenderRequest) -> HiresFix:
    hires = fields.child("hires", HiresFix.__dataclass_fields__)
    scale = hires.number("scale", HiresFix.scale, 1, 4)
    if scale * max(request.width_px, request.height_px) > MAX_HIRES_PX:
        limit = f"at most {MAX_HIRES_PX / max(request.width_px, request.height_px):g} at this size ({MAX_HIRES_PX} px)"
        raise Refused("hires.scale", scale, limit)
    steps = hires.whole("steps", 1, 1, MAX_STEPS) if hires.given("steps") else None
    return HiresFix(scale, hires.number("strength", HiresFix.strength, 0, 1), steps)


def _sampler(fields: Fields) -> tuple[str, str]:
    sampler = fields.text("sampler", 100, RenderRequest.sampler)
    return chosen(sampler, fields.text("schedule", 100) if fields.given("schedule") else None)
