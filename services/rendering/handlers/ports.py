"""What the use cases need besides the stores: renderer, files and progress."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from continuity.kernel.errors import InvalidValue
from continuity.kernel.values import ObjectRef
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import Job
from services.rendering.domain.render_options import RenderOptions
from services.rendering.domain.verification import KeyframeFile


@dataclass(frozen=True)
class RenderTask:
    """What a renderer gets: the frozen job, and the seconds until nobody waits any more, those in line included.

    ``take`` None means every take.
    """

    project: str
    job: Job
    timeout_s: float
    take: int | None = None


@dataclass(frozen=True)
class Step:
    """A step that a renderer took. ``preview`` is a JPEG of at most 320 px width, empty when there is none."""

    step: int
    steps: int
    preview: bytes


@dataclass(frozen=True)
class Picture:
    """A finished picture: RGB, uint8, shape (height, width, 3). ``take`` counts from 0.

    ``manifest`` is a JSON object, of what the renderer alone knows to have determined it; empty where it has none.
    """

    pixels: NDArray[np.uint8]
    manifest: bytes = b""
    take: int = 0


class Renderer(Protocol):
    """Draws keyframes."""

    name: str
    """Name and version; the same name draws the same picture from the same task."""

    def render(self, task: RenderTask) -> AsyncIterator[Step | Picture]:
        """Yield steps and the pictures in the order of their takes; the iterator ends behind the last one.

        Closing it earlier stops the work. Raises ``ContinuityError``.
        """
        ...

    async def check(self) -> None:
        """Raise ``RendererDown`` unless it can draw now."""
        ...


class KeyframeFiles(Protocol):
    """Keyframes and previews as files."""

    async def store(
        self, task: RenderTask, picture: Picture, renderer: str, keyframe: ObjectRef | None = None
    ) -> ObjectRef:
        """Encode a picture with its prompt and settings and store it under the hash of its bytes.

        ``keyframe`` is the first take of the same job: another one is kept for as long as that is.
        """
        ...

    async def encoded(self, task: RenderTask, picture: Picture, renderer: str) -> bytes:
        """Return the file that ``store`` would store."""
        ...

    async def told_by(self, file: bytes) -> KeyframeFile:
        """Return what a keyframe's file tells of itself. Raises ``KeyframeUnreadable``."""
        ...

    async def store_preview(self, project: str, jpeg: bytes) -> ObjectRef:
        """Store a preview under the hash of its bytes."""
        ...

    async def read(self, key: str) -> bytes:
        """Return the bytes under a key. Raises ``ContinuityError``."""
        ...

    def address(self, key: str) -> str:
        """Return where anybody may read the bytes for an hour or longer; empty where nobody can."""
        ...


Word: TypeAlias = Job | RenderProgressed
"""A job as it was written when its state changed, or a step. From other processes no jobs come: they are to be read."""


class Progress(Protocol):
    """Tells everybody who watches. Nothing is lost when it fails: the job is the truth."""

    async def tell(self, project: str, word: Word) -> None:
        """Send once; never raises for a broker that is away. A job is told when its document is durable."""
        ...

    def listen(self, project: str, job_ids: Sequence[str]) -> ProgressFeed:
        """Return what is told of these jobs from now on."""
        ...


class ProgressFeed(Protocol):
    """What is told of some jobs. Bounded: when the reader is slow the oldest is dropped."""

    async def next(self, timeout_s: float) -> Word | None:
        """Return the next word, or None when none comes within the time."""
        ...

    def waiting(self) -> list[Word]:
        """Return the words that wait already."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


@dataclass(frozen=True)
class SourcePicture:
    """An uploaded picture as it is kept: PNG, upright; ``sha256`` is of its bytes."""

    sha256: str
    width_px: int
    height_px: int


class Sources(Protocol):
    """Pictures that shots begin with."""

    async def take(self, project: str, picture: bytes) -> SourcePicture:
        """Store a picture made safe, which goes again unless it is kept. Raises ``Invalid`` errors."""
        ...

    async def keep(self, project: str, sha256: str) -> SourcePicture | None:
        """Keep a picture from now on; None when there is none."""
        ...


class OptionRules(Protocol):
    """What can be told of options without a model."""

    def refusals(self, asked: RenderOptions, width_px: int, height_px: int) -> Iterator[InvalidValue]:
        """Yield what nothing could be drawn with, each naming an option such as ``hires.scale``."""
        ...


class InstalledModels(Protocol):
    """The models that the renderer has, as far as this process sees them."""

    def refusals(self, asked: RenderOptions, *, commercial: bool) -> Iterator[InvalidValue]:
        """Yield each option that names a model which is absent, of another kind, or not licensed for the film."""
        ...
