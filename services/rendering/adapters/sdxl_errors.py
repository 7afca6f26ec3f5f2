"""What the diffusion engine answers instead of a picture: a code word in brackets, then the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from continuity.inference.errors import RenderRefused
from continuity.kernel.errors import ContinuityError, Full, Invalid, WrongState
from services.rendering.adapters.sdxl_fields import renamed
from services.rendering.domain.errors import RenderCrashed, RendererDown
from services.rendering.domain.job import Job
from services.rendering.domain.render_options import NOTHING_ASKED

_CODED = re.compile(r"\[(\w+)\]\s*(.*)", re.DOTALL)


@dataclass(eq=False)
class EngineRefused(Invalid):
    """The engine will never draw what is asked for."""

    template = "the engine refused the request: {detail}"
    detail: str


@dataclass(eq=False)
class ModelUnusable(WrongState):
    """A model is absent, broken, of another architecture or not licensed for this."""

    template = "{detail}"
    detail: str


@dataclass(eq=False)
class EngineFull(Full):
    """The engine has as many requests waiting as it takes."""

    template = "{detail}"
    detail: str


@dataclass(eq=False)
class OutOfMemory(ContinuityError):
    """The device has not the memory; each attempt counts, for it may never have."""

    template = "{detail}; a smaller size or fewer references want less"
    retryable = True
    detail: str


@dataclass(eq=False)
class EngineFault(ContinuityError):
    """The engine broke over this request and lives on."""

    template = "the engine broke over it: {detail}"
    retryable = True
    detail: str


@dataclass(eq=False)
class NoPicture(ContinuityError):
    """What was computed is NaN or black; once more may help."""

    template = "{detail}"
    retryable = True
    detail: str


class NoPictureAgain(NoPicture):
    """It was no picture at an earlier attempt either, or another one failed before."""

    retryable = False


_ERRORS: dict[str, Callable[[str], ContinuityError]] = {
    "model": ModelUnusable,
    "full": EngineFull,
    "memory": OutOfMemory,
    "crashed": RenderCrashed,
}


def told(error: RenderRefused, job: Job) -> ContinuityError:
    """Return what the engine's answer to a job means."""
    coded = _CODED.match(error.detail)
    if coded is None:
        return error
    word, detail = coded.groups()
    if word == "cancelled":  # nobody here did that: the engine stops
        return RendererDown(cause="the engine stopped")
    if word == "picture":
        return NoPictureAgain(detail) if job.attempts else NoPicture(detail)
    if word == "refused":
        return EngineRefused(renamed(detail, job.shot.options or NOTHING_ASKED))
    return _ERRORS.get(word, EngineFault)(detail)
