"""From what a client sends to what the device thread begins with. Runs in a worker process and wants no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from engine.drawing.passes import passes
from engine.errors import Refused
from engine.parsing import parse
from engine.parsing.inputs import Inputs, RawRequest, read_inputs
from engine.request import RenderRequest
from engine.shapes import ShapeClass, bucket
from engine.text import TokenisedPrompt, tokenise
from engine.text.sources import CheckpointFacts, facts_of

__all__ = ["Preparation", "Prepared", "RawRequest"]

REFERENCE_SLOTS = 4
_REFINABLE = "sdxl"
_TOKENIZERS_HELD = 16


@dataclass(eq=False, kw_only=True)
class Prepared(Inputs):
    """A request that is sound as far as can be told without its models, beside its pictures (see ``Inputs``)."""

    request: RenderRequest
    tokens: TokenisedPrompt
    shape: ShapeClass


class Preparation:
    """Parses, decodes and tokenises; tokenizers are loaded once.

    ``models`` is the catalogue's folder, or whatever says the facts of a checkpoint by its name and a prompt's words.
    """

    def __init__(self, models: Path | Callable[[str, str], CheckpointFacts]) -> None:
        self._facts = partial(facts_of, models) if isinstance(models, Path) else models

    def __call__(self, raw: RawRequest) -> Prepared:
        """Prepare a request. Raises ``EngineError``: ``Refused`` names the field or the picture."""
        request, inputs = read_inputs(parse(raw.spec), raw)
        facts = self._facts(request.checkpoint, f"{request.prompt} {request.negative}")
        tokenizers = [_tokenizer(folder, facts.tokenizers_sha256) for folder in facts.tokenizer_folders]
        negative = request.negative if is_guided(request) else ""
        tokens = tokenise(request.prompt, negative, tokenizers, facts.triggers)
        shape = shape_class(request, facts, tokens.chunks)
        _require_refinable(request, facts)
        passes(request, shape)  # refuses here what would be refused on the device
        return Prepared(**vars(inputs), request=request, tokens=tokens, shape=shape)


def _require_refinable(request: RenderRequest, facts: CheckpointFacts) -> None:
    """Latents of another kind would be noise to a refiner."""
    if request.refiner is not None and facts.architecture != _REFINABLE:
        limit = f"a refiner goes on with SDXL's latents; {request.checkpoint} is {facts.architecture}"
        raise Refused("refiner", request.refiner, limit)


def is_guided(request: RenderRequest) -> bool:
    """Tell whether a negative prompt pulls at all."""
    return request.guidance > 1


def shape_class(request: RenderRequest, facts: CheckpointFacts, chunks: int) -> ShapeClass:
    """Return what the UNet's shapes follow from: the request and its checkpoint alone."""
    width_px, height_px = bucket(request.width_px, request.height_px, facts.native_px)
    return ShapeClass(
        architecture=facts.architecture,
        width_px=width_px,
        height_px=height_px,
        guided=is_guided(request),
        chunks=chunks,
        reference_slots=REFERENCE_SLOTS if request.references else 0,
        control=request.layout is not None and request.layout.is_network,
        inpaint=request.has_mask,
    )


@lru_cache(maxsize=_TOKENIZERS_HELD)
def _tokenizer(folder: Path, _sha256: str) -> Any:
    """Load a tokenizer; another one under the same name has another hash."""
    from transformers import CLIPTokenizer  # noqa: PLC0415 - a second that only the first request waits for

    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
