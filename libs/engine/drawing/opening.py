"""A request's claim on its checkpoints, from its place in the line until it has been drawn with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from engine.checkpoint import Checkpoint
from engine.drawing.expert import require_usable
from engine.drawing.script import Drawing, Script, Want
from engine.drawing.studio import Studio
from engine.models.loading import Loading
from engine.request import RenderRequest

__all__ = ["Claim", "Opening", "opened"]


class Claim:
    """All checkpoints of a request, or none of them: nobody holds one while it waits for room for another.

    Making it takes a place in the line. ``names`` are by kind. Raises ``EngineError``, ``OutOfMemory`` where there will
    never be room.
    """

    def __init__(self, studio: Studio, request: RenderRequest) -> None:
        self._studio, self._request = studio, request
        asked = {"checkpoint": request.checkpoint, "refiner": request.refiner}
        self.names = {kind: name for kind, name in asked.items() if name is not None}
        self._place = studio.queue(self.names, request)
        self._found: dict[str, Checkpoint | Loading] = {}
        self._held = ExitStack()

    def has_room(self) -> bool:
        """Whether there is room for all of them, or they are held already."""
        return self._place.has_room()

    def of(self, kind: str) -> Checkpoint | Loading:
        """Return one of them or its loading; from now on all stay until ``close``. Raises ``EngineError``."""
        if not self._found:
            with ExitStack() as held:
                found = {each: self._opened(held, each) for each in self.names}
                self._found, self._held = found, held.pop_all()
            self._place.leave()
        return self._found[kind]

    def close(self) -> None:
        """Give it up: all may leave the memory, and what nobody else waits for is not read any further."""
        self._place.leave()
        self._found = {}
        self._held.close()

    def _opened(self, held: ExitStack, kind: str) -> Checkpoint | Loading:
        found = self._studio.open(self.names[kind], kind, self._request)
        held.callback(self._studio.shut, self.names[kind])
        return found


class Opening:
    """See ``Wait``: over when its request has room, then when the next piece of what is loaded is there.

    Who want the same checkpoint share its loading.
    """

    def __init__(self, studio: Studio, claim: Claim, kind: str) -> None:
        self.model = claim.names[kind]
        self._studio, self._claim, self._kind = studio, claim, kind
        self._found: Checkpoint | Loading | None = None

    @property
    def moved_s(self) -> float:
        """See ``Wait``: those who hold the room get on, or are ended themselves."""
        return self._found.moved_s if isinstance(self._found, Loading) else time.monotonic()

    def done(self) -> bool:
        """See ``Wait``."""
        if self._found is None:
            return self._claim.has_room()
        return not isinstance(self._found, Loading) or self._found.done()

    def add_done_callback(self, call: Callable[[Any], object]) -> None:
        """See ``Wait``. Room is made by the device's thread, which looks around after whatever it does."""
        if isinstance(self._found, Loading):
            self._found.add_done_callback(call)

    def advance(self) -> Checkpoint | None:
        """Get it or take a short step towards it; return it when it is there. Raises ``EngineError``."""
        if self._found is None:
            self._found = self._claim.of(self._kind)
        checkpoint = self._studio.models.advance(self._found) if isinstance(self._found, Loading) else self._found
        return None if checkpoint is None else require_usable(checkpoint)


def opened(work: Drawing, studio: Studio, claim: Claim, kind: str) -> Script[Checkpoint]:
    """Return the checkpoint or the refiner of a request's claim."""
    opening = Opening(studio, claim, kind)
    while (checkpoint := (yield Want("load", 0, opening.advance, waits=opening))) is None:
        work.units += 1
    return checkpoint
