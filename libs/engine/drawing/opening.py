"""A request's claim on a checkpoint, from the first look at the catalogue until it has been drawn with."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

from engine.checkpoint import Checkpoint
from engine.drawing.expert import require_usable
from engine.drawing.script import Drawing, Script, Want
from engine.drawing.studio import Studio
from engine.models.loading import Loading
from engine.request import RenderRequest

__all__ = ["Opening", "opened"]


class Opening:
    """See ``Wait``: over when the next piece of what is loaded is there. Who want the same checkpoint share it."""

    def __init__(self, studio: Studio, name: str, kind: str, request: RenderRequest) -> None:
        self._studio, self._name, self._kind, self._request = studio, name, kind, request
        self._found: Checkpoint | Loading | None = None
        self._since_s = time.monotonic()

    @property
    def model(self) -> str:
        """See ``Wait``."""
        return self._name

    @property
    def moved_s(self) -> float:
        """See ``Wait``."""
        return self._found.moved_s if isinstance(self._found, Loading) else self._since_s

    def done(self) -> bool:
        """See ``Wait``."""
        return not isinstance(self._found, Loading) or self._found.done()

    def add_done_callback(self, call: Callable[[Any], object]) -> None:
        """See ``Wait``."""
        if isinstance(self._found, Loading):
            self._found.add_done_callback(call)

    def advance(self) -> Checkpoint | None:
        """Get it or take a short step towards it; return it when it is there. Raises ``EngineError``."""
        if self._found is None:
            self._found = self._studio.open(self._name, self._kind, self._request)
        checkpoint = self._studio.models.advance(self._found) if isinstance(self._found, Loading) else self._found
        return None if checkpoint is None else require_usable(checkpoint)

    def close(self) -> None:
        """Give it up: it may leave the memory, and what nobody else waits for is not read any further."""
        if self._found is not None:
            self._found = None
            self._studio.shut(self._name)


def opened(work: Drawing, studio: Studio, stack: ExitStack, name: str, kind: str) -> Script[Checkpoint]:
    """Return a checkpoint or refiner, which stays in memory until the stack is closed."""
    opening = stack.enter_context(closing(Opening(studio, name, kind, work.request)))
    while (checkpoint := (yield Want("load", 0, opening.advance, waits=opening))) is None:
        work.units += 1
    return checkpoint
