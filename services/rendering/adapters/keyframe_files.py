"""Keyframes and previews in the object store, encoded in the CPU pool."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from continuity.api.characters.v1.character_pb2 import Character
from continuity.api.locations.v1.location_pb2 import Location
from continuity.compute.pool import CpuPool
from continuity.kernel.values import ObjectRef
from continuity.objects.collector import References
from continuity.objects.port import ObjectStore, put_content, sha256_of
from continuity.wire.conversion import opened
from services.rendering.adapters.parameters import parameters_text
from services.rendering.adapters.png import decode_keyframe, encode_keyframe, manifest_text
from services.rendering.domain.errors import KeyframeUnreadable
from services.rendering.domain.verification import KeyframeFile
from services.rendering.handlers.ports import Picture, RenderTask

KEYFRAMES, PREVIEWS = "keyframes", "previews"
"""Folders of a project in the object store."""
ADDRESS_S = 3600
_UNTOLD = ("character_ids", "location_id", "options")
"""Ids, and what the engine's own manifest tells where it draws."""


class StoredKeyframeFiles:
    """The ``KeyframeFiles`` port."""

    def __init__(self, objects: ObjectStore, pool: CpuPool) -> None:
        self._objects = objects
        self._pool = pool

    async def store(
        self, task: RenderTask, picture: Picture, renderer: str, keyframe: ObjectRef | None = None
    ) -> ObjectRef:
        """Encode a picture with its prompt and settings and store it under the hash of its bytes.

        ``keyframe`` is the first take of the same job: another one is kept for as long as that is.
        """
        png = await self.encoded(task, picture, renderer)
        suffix = f".{keyframe.sha256}.png" if keyframe else ".png"
        return await put_content(self._objects, task.project, KEYFRAMES, png, content_type="image/png", suffix=suffix)

    async def encoded(self, task: RenderTask, picture: Picture, renderer: str) -> bytes:
        """Return the file that ``store`` would store."""
        return await self._pool.run(_encode, picture.pixels, settings_of(task, picture, renderer))

    async def told_by(self, file: bytes) -> KeyframeFile:
        """Return what a keyframe's file tells of itself. Raises ``KeyframeUnreadable``."""
        return await self._pool.run(_told_by, file)

    async def store_preview(self, project: str, jpeg: bytes) -> ObjectRef:
        """Store a preview under the hash of its bytes."""
        return await put_content(self._objects, project, PREVIEWS, jpeg, content_type="image/jpeg", suffix=".jpg")

    async def read(self, key: str) -> bytes:
        """Return the bytes under a key. Raises ``ContinuityError``."""
        return await self._objects.get(key)

    def address(self, key: str) -> str:
        """Return where anybody may read the bytes for an hour or longer; empty where nobody can."""
        return self._objects.address(key, ADDRESS_S) or ""


class TakeReferences:
    """Objects that jobs refer to, by those that are their keyframes: another take has the keyframe's hash in its name.

    ``keyframes`` returns those of some keys that jobs hold.
    """

    def __init__(self, keyframes: References) -> None:
        self._keyframes = keyframes

    async def __call__(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys that a job refers to."""
        keyframe = {key: _keyframe_of(key) for key in keys}
        held = await self._keyframes(sorted(set(keyframe.values())))
        return {key for key in keys if keyframe[key] in held}


def _keyframe_of(key: str) -> str:
    """Return the key of the first take beside which an object was stored: its own where it is that."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/{'.'.join(name.split('.')[-2:])}"


def settings_of(task: RenderTask, picture: Picture, renderer: str) -> dict[str, Any]:
    """Return what determines the picture: no ids, no times, so that the same picture is the same file anywhere."""
    job = task.job
    height_px, width_px = picture.pixels.shape[:2]
    prompt = job.prompt
    return {
        "renderer": renderer,
        "prompt": prompt.text if prompt else "",
        "negative_prompt": prompt.negative if prompt else "",
        "seed": job.seed_of(picture.take),
        "width_px": width_px,
        "height_px": height_px,
        "shot": {name: value for name, value in asdict(job.shot).items() if name not in _UNTOLD},
        "characters": [_character(opened(content, Character)) for content in job.characters],
        "location": _location(opened(job.location, Location)) if job.location else None,
    } | ({"engine": json.loads(picture.manifest)} if picture.manifest else {})


def _character(character: Character) -> dict[str, str]:
    return {"name": character.name, "figure_sha256": character.figure.sha256}


def _location(location: Location) -> dict[str, str]:
    return {
        "name": location.name,
        "description": location.description,
        "picture_sha256": location.picture.sha256,
    }


def _encode(pixels: NDArray[np.uint8], settings: dict[str, Any]) -> bytes:
    texts = {"parameters": parameters_text(settings), "continuity": manifest_text(settings)}
    return encode_keyframe(pixels, texts)


def _told_by(file: bytes) -> KeyframeFile:
    try:
        pixels, texts = decode_keyframe(file)
        manifest = json.loads(texts["continuity"])
    except (ValueError, KeyError) as error:
        raise KeyframeUnreadable(cause=str(error)) from None
    if not isinstance(manifest, dict):
        raise KeyframeUnreadable(cause="its manifest is no object")
    return KeyframeFile(sha256_of(file), sha256_of(pixels.tobytes()), manifest)
