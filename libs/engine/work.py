"""What the loop knows of a request on the device: a row of units, and what each of them brings about.

The loop decides whose unit runs next and never looks inside; whoever draws knows nothing of other requests.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Executor", "Finished", "Outcome", "Phase", "Picture", "Progress", "Unit", "Wait", "Work"]

Phase = Literal["load", "compile", "encode", "step", "decode"]


class Wait(Protocol):
    """What happens before a unit can run: files are read beside the device's thread, or others end their units.

    What only the device's thread brings about calls nobody: it asks again after whatever it does.
    """

    @property
    def model(self) -> str:
        """The model that is being read now."""
        ...

    @property
    def moved_s(self) -> float:
        """When it last got on, by ``time.monotonic``."""
        ...

    def done(self) -> bool:
        """Whether the unit can run."""
        ...

    def add_done_callback(self, call: Callable[[Any], object]) -> None:
        """Have ``call`` called, by any thread, when it can; at once where it can now."""
        ...


@dataclass(frozen=True)
class Unit:
    """The next thing that a request wants done on the device. Units of equal ``group`` may run as one batch.

    ``group`` None always runs alone. ``remaining`` counts this one and what follows. ``waits`` is what has to be over
    before it can run; until then others run. Units of equal ``kind`` (or group, where that is None) take about equally
    long; of one with neither nothing is known.
    """

    phase: Phase
    group: Hashable | None
    remaining: int
    waits: Wait | None = None
    kind: Hashable | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it can run now."""
        return self.waits is None or self.waits.done()


@dataclass(frozen=True)
class Progress:
    """A step that was taken: ``step`` of ``steps`` over all images.

    ``latent_rgb`` is a cheap preview: uint8, RGB, shape (height / 8, width / 8, 3); None where none is due.
    """

    step: int
    steps: int
    latent_rgb: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Picture:
    """A picture that is done: RGB, uint8, shape (height_px, width_px, 3), in the size that was asked for.

    ``facts`` is what the manifest says of how it was drawn; its values go into JSON.
    """

    index: int
    seed: int
    pixels: NDArray[np.uint8]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """Nothing is left to do."""


Outcome = Sequence["Progress | Picture | Finished"] | Exception
"""What a unit has brought about for one request, in order; an exception ends that request and no other."""


class Work(Protocol):
    """One request on the device. Only the device thread touches it."""

    id: str
    memory_bytes: int
    """The most that it takes of the device's memory beside the weights."""

    @property
    def next(self) -> Unit:
        """The unit to be run next. Not asked for after ``Finished`` or an exception."""
        ...

    def close(self) -> None:
        """Give back what it holds, in whatever state it is."""
        ...


class Executor(Protocol):
    """Runs units on one device. All of it is called by one thread."""

    def slots(self, group: Hashable) -> int:
        """Return how many requests share one batch of this group; the batch has this size however many there are."""
        ...

    def run(self, works: Sequence[Work]) -> list[Outcome]:
        """Take the next unit of each, all of one group (or one work alone); return one outcome each, in order.

        Raises only what concerns the whole device, such as a sticky CUDA error; then the process is to end.
        """
        ...
