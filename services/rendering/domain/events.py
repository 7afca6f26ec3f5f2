"""What has happened to jobs."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.values import Failure, ObjectRef
from services.rendering.domain.keyframe import Keyframe, Prompt
from services.rendering.domain.shot import Shot


@dataclass(frozen=True)
class RenderRequested:
    """A shot with everything that it depends on, frozen. ``characters`` and ``location`` are messages passed on."""

    job_id: str
    film: str
    shot: Shot
    characters: tuple[str, ...]
    location: str | None
    film_seed: int
    expire_time: float | None = None


@dataclass(frozen=True)
class KeyframeRendered:
    """A shot has its pictures; ``takes`` are all of them, and the first is ``keyframe``."""

    job_id: str
    film: str
    shot: Shot
    keyframe: Keyframe
    prompt: Prompt
    takes: tuple[Keyframe, ...] = ()


@dataclass(frozen=True)
class KeyframeFailed:
    """A shot gets no picture."""

    job_id: str
    film: str
    shot: Shot
    failure: Failure


@dataclass(frozen=True)
class KeyframeCancelled:
    """Nobody wants the picture any more."""

    job_id: str
    film: str
    shot: Shot


@dataclass(frozen=True)
class RenderProgressed:
    """A step was taken, or the state changed. Sent once; the job is the truth."""

    job_id: str
    state: str
    step: int = 0
    steps: int = 0
    preview: ObjectRef | None = None
