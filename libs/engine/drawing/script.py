"""A request as a row of units: a generator that stops before each of them and is resumed to do it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from typing import Any, NamedTuple, TypeVar

from engine.checkpoint import Checkpoint
from engine.drawing.evaluation import Row
from engine.request import LoraUse, RenderRequest
from engine.work import Finished, Phase, Picture, Progress, Unit, Wait

__all__ = ["Drawing", "Script", "Tell", "Want"]

T = TypeVar("T")
Told = Progress | Picture | Finished


class Want(NamedTuple):
    """The unit that a script stands before. A step's ``row`` is evaluated for it and what it got is sent to it.

    Of all other units ``act`` is done, and what it returns is sent. Who does it may do it again after it failed for
    want of memory, so it leaves nothing half done. ``weights`` is the mixture that has to be live for it, and ``waits``
    is what has to be over. ``kind`` is as in ``Unit``.
    """

    phase: Phase
    wanted_bytes: int
    act: Callable[[], Any] = lambda: None
    group: Hashable | None = None
    row: Row | None = None
    weights: tuple[Checkpoint, tuple[LoraUse, ...]] | None = None
    waits: Wait | None = None
    kind: Hashable | None = None


Script = Generator[Want, Any, T]
Tell = Callable[[Told], None]


class Drawing:
    """The work of one request. All of it happens on the device thread."""

    def __init__(
        self, request: RenderRequest, memory_bytes: int, units: int, script: Callable[[Drawing], Script[None]]
    ):
        self.id = request.id
        self.memory_bytes = memory_bytes
        self.request = request
        self.units = units
        """How many units there are in all, as far as is known."""
        self.is_preceded = False
        """Whether another unit was put before the present one."""
        self._put_off: Want | None = None
        self._done = 0
        self._told: list[Told] = []
        self._script = script(self)
        self.want = next(self._script)

    @property
    def next(self) -> Unit:
        """See ``Work``."""
        remaining = max(1, self.units - self._done)
        return Unit(self.want.phase, self.want.group, remaining, self.want.waits, self.want.kind)

    def tell(self, told: Told) -> None:
        """Report something with the present unit."""
        self._told.append(told)

    def precede(self, want: Want) -> None:
        """Put a unit before the one that the script stands before."""
        self._put_off, self.want = self.want, want
        self.is_preceded = True

    def advance(self, given: Any = None) -> list[Told]:
        """Go on with what the present unit gave; return what it brought about."""
        if self._put_off is not None:
            self.want, self._put_off = self._put_off, None
            return []
        self._done += 1
        self.is_preceded = False
        try:
            self.want = self._script.send(given)
        except StopIteration:
            self.tell(Finished())
        told, self._told = self._told, []
        return told

    def close(self) -> None:
        """See ``Work``."""
        self._script.close()
        self.want, self._put_off = Want(self.want.phase, 0), None
