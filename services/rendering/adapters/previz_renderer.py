"""The previz renderer: Triton's model ``previz``, which needs no weights."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continuity.api.characters.v1.character_pb2 import Character
from continuity.api.locations.v1.location_pb2 import Location
from continuity.inference.client import TritonClient
from continuity.inference.errors import RendererUnavailable
from continuity.inference.tensors import Tensors
from continuity.objects.port import ObjectStore
from continuity.wire.conversion import opened, word
from services.rendering.adapters.previz_tensors import PREVIZ
from services.rendering.domain.errors import PictureMissing, RendererDown
from services.rendering.domain.job import Job
from services.rendering.domain.shot import Shot
from services.rendering.handlers.ports import Picture, RenderTask, Step

TIMEOUT_S = 60.0
"""The longest that this model takes, by far; only this finds an interpreter that hangs."""
UNKNOWN_HEIGHT_M = 1.7
LEAST_HEIGHT_M, MOST_HEIGHT_M = 0.5, 3.0
"""What the model draws; a character may be smaller or taller."""
NEUTRAL_STUDIO: dict[str, Any] = {"type": "interior", "name": "studio", "kind": "studio", "description": ""}
_DEFAULTS = {
    "camera_angle": "eye-level",
    "composition": "rule-of-thirds",
    "lighting": "natural",
    "mood": "neutral",
    "style": "cinematic",
}


@dataclass(frozen=True)
class Frame:
    """A frame, RGB uint8 (height, width, 3), and a mask, uint8 (figures, height, width), for each of its figures."""

    pixels: NDArray[np.uint8]
    masks: NDArray[np.uint8]


class PrevizRenderer:
    """The ``Renderer`` port. ``version`` is the composer's: another version may draw another picture."""

    def __init__(self, triton: TritonClient, objects: ObjectStore, version: str) -> None:
        self.name = f"previz {version.removeprefix('previz-')}"
        self._triton = triton
        self._objects = objects

    async def check(self) -> None:
        """Raise ``RendererDown`` unless Triton has the model ready."""
        if not await self._triton.ready(PREVIZ.name):
            raise RendererDown(cause="Triton is not ready")

    async def render(self, task: RenderTask) -> AsyncIterator[Step | Picture]:
        """Yield steps and, last, the picture. Closing the iterator cancels the request."""
        picture: Picture | None = None
        figures = await self.figures(task.job)
        async with aclosing(self._responses(task, figures, masks=False)) as responses:
            async for response in responses:
                if "image" in response:
                    picture = Picture(response["image"])
                else:
                    yield Step(int(response["step"][0]), int(response["steps"][0]), bytes(response["preview"][0]))
        # Only now: who has the picture closes this iterator, and to cancel a request that answers may crash Triton.
        if picture is not None:
            yield picture

    async def frame(self, task: RenderTask, figures: list[bytes]) -> Frame:
        """Draw the frame with the masks of its figures. Raises ``ContinuityError``."""
        frame: Frame | None = None
        async with aclosing(self._responses(task, figures, masks=True)) as responses:
            async for response in responses:
                if "image" in response:
                    frame = Frame(response["image"], response["masks"])
        if frame is None:
            raise PictureMissing(renderer=self.name)
        return frame

    async def figures(self, job: Job) -> list[bytes]:
        """Return the cut-outs of a job's characters as PNG, empty where there is none."""
        return [await self._figure(opened(content, Character)) for content in job.characters]

    async def _responses(self, task: RenderTask, figures: list[bytes], *, masks: bool) -> AsyncGenerator[Tensors, None]:
        inputs = await self._inputs(task.job, figures, masks)
        timeout_s = min(TIMEOUT_S, task.timeout_s)
        stream = self._triton.stream(
            PREVIZ, inputs, request_id=task.job.id, timeout_s=timeout_s, priority=task.job.priority
        )
        try:
            async with aclosing(stream) as responses:
                async for response in responses:
                    yield response
        except RendererUnavailable as error:
            raise RendererDown(cause=error.detail) from error

    async def _inputs(self, job: Job, figures: list[bytes], masks: bool) -> dict[str, Any]:
        characters = [opened(content, Character) for content in job.characters]
        location = opened(job.location, Location) if job.location else None
        spec = frame_spec(job, characters, location) | ({"masks": True} if masks else {})
        inputs = {"spec": _bytes([json.dumps(spec, ensure_ascii=False).encode()])}
        if figures:
            inputs["mattes"] = _bytes(figures)
        if location is not None and location.HasField("picture"):
            inputs["plate"] = _bytes([await self._objects.get(location.picture.key)])
        return inputs

    async def _figure(self, character: Character) -> bytes:
        return await self._objects.get(character.figure.key) if character.HasField("figure") else b""


def frame_spec(job: Job, characters: list[Character], location: Location | None) -> dict[str, Any]:
    """Return the frame as ``previz.spec.FrameSpec`` reads it, in the vocabulary's own spelling.

    The location says what the shot leaves open.
    """
    shot = job.shot
    own = job.prompt.words if job.prompt else {}
    # The same from shot to shot, so that nobody crosses the line between two people.
    order = {one.id: index for index, one in enumerate(sorted(characters, key=lambda one: one.name.casefold()))}
    return {
        "width_px": job.width_px,
        "height_px": job.height_px,
        "shot_type": shot.shot_type,
        **{field: own.get(field) or getattr(shot, field) or default for field, default in _DEFAULTS.items()},
        "time_of_day": shot.time_of_day or _location_word(location, "time_of_day") or "noon",
        "weather": shot.weather or _location_word(location, "weather") or "clear",
        "location": _location(location),
        "figures": [_figure(character, order[character.id], shot) for character in characters],
        "seed": job.prompt.seed if job.prompt else 0,
        "description": shot.description,
    }


def _location(location: Location | None) -> dict[str, Any]:
    if location is None:
        return NEUTRAL_STUDIO
    return {
        "type": _location_word(location, "type"),
        "name": location.name,
        "kind": location.description,
        "description": "",
    }


def _location_word(location: Location | None, field: str) -> str:
    if location is None:
        return ""
    enum = Location.DESCRIPTOR.fields_by_name[field].enum_type
    return word(enum, getattr(location, field)) if enum is not None else ""


def _figure(character: Character, screen_order: int, shot: Shot) -> dict[str, Any]:
    seen = character.analysis.observations
    figure: dict[str, Any] = {
        "name": character.name,
        "facing": max(-1.0, min(1.0, seen.facing)),
        "palette": [swatch.hex for swatch in seen.clothing if swatch.hex][:6],
        "action": shot.action,
        "screen_order": screen_order,
        "height_m": min(max(character.height_m or UNKNOWN_HEIGHT_M, LEAST_HEIGHT_M), MOST_HEIGHT_M),
    }
    if seen.HasField("face_box"):
        box = seen.face_box
        figure["face_box"] = [box.x, box.y, box.width, box.height]
    figure |= {name: trait.hex for name, trait in (("hair", seen.hair), ("skin", seen.skin)) if trait.hex}
    return figure


def _bytes(values: list[bytes]) -> Any:
    return np.array(values, dtype=np.object_)
