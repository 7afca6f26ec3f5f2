"""What a request's steps are conditioned on: its words, its people, its layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from engine.drawing.costs import step_bytes
from engine.drawing.expert import Expert
from engine.drawing.fit import fitted
from engine.drawing.scene import Scene
from engine.drawing.script import Script, Want
from engine.drawing.studio import Studio
from engine.embeddings import embeddings_of
from engine.models.entry import sha256_of
from engine.text import encode

if TYPE_CHECKING:
    from engine.preparation import Prepared

__all__ = ["conditioned", "conditions"]


def conditions(prepared: Prepared) -> int:
    """Return how many units ``conditioned`` has."""
    request = prepared.request
    return 1 + (request.refiner is not None) + bool(request.references) + prepared.shape.control


def conditioned(scene: Scene, prepared: Prepared, studio: Studio) -> Script[None]:
    """Encode whatever there is. Raises ``Refused`` and ``ModelUnusable``."""
    request, checkpoint = scene.request, scene.checkpoint
    for expert in scene.experts:
        act = partial(_words, scene, expert, prepared, studio)
        weights = expert.checkpoint, expert.loras
        kind = "words", expert.checkpoint.sha256, prepared.shape
        yield Want("encode", step_bytes(prepared.shape, checkpoint), act, weights=weights, kind=kind)
    if request.references:
        wanted = studio.identities.wanted_bytes(checkpoint, request, _names_of(prepared))
        adapters = [each.adapter for each in request.references]
        yield _either(wanted, partial(_people, scene, prepared, studio), studio, adapters)
    if prepared.shape.control and request.layout is not None:
        wanted = studio.controls.wanted_bytes(checkpoint, request)
        yield _either(wanted, partial(_layout, scene, prepared, studio), studio, [request.layout.kind])


def _either(wanted_bytes: int, act: Callable[[], None], studio: Studio, models: Sequence[str]) -> Want:
    """Return a unit of loading where models have to be read, else one of encoding."""
    if not wanted_bytes:
        return Want("encode", 0, act)
    return Want("load", wanted_bytes, act, waits=studio.verifying(models))


def _words(scene: Scene, expert: Expert, prepared: Prepared, studio: Studio) -> None:
    studio.use(expert.checkpoint, expert.loras)
    words = [name for name, _ in prepared.tokens.triggers]
    rows = embeddings_of(words, expert.checkpoint, studio.catalogue, scene.request)
    guided, skipped = prepared.shape.guided, scene.request.clip_skip
    expert.text = encode(expert.checkpoint, prepared.tokens, skipped, rows, guided=guided)
    scene.adapters |= {name: sha256_of(studio.catalogue.entry(name).files) for name in words}


def _people(scene: Scene, prepared: Prepared, studio: Studio) -> None:
    """Their masks are fitted as the frame is."""
    size = prepared.shape.width_px, prepared.shape.height_px
    masks = [fitted(each, *size) for each in prepared.reference_masks]
    shown, names = prepared.references, _names_of(prepared)
    scene.base.identity = studio.identities.of(scene.checkpoint, scene.request, shown, masks, names)
    scene.adapters |= {} if scene.base.identity is None else scene.base.identity.sha256


def _names_of(prepared: Prepared) -> list[str]:
    """SHA-256 of each reference picture, as it came."""
    names = [prepared.sha256.get(f"references[{i}]", "") for i in range(len(prepared.references))]
    return names if all(names) else []


def _layout(scene: Scene, prepared: Prepared, studio: Studio) -> None:
    size = prepared.shape.width_px, prepared.shape.height_px
    picture = None if prepared.layout is None else fitted(prepared.layout, *size)
    guide = scene.base.guide = studio.controls.of(scene.checkpoint, scene.request, picture)
    if guide is not None and scene.request.layout is not None:
        scene.adapters[scene.request.layout.kind] = guide.sha256
