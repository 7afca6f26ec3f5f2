"""Pure Python that takes long, in short slices: networks are put together by hundreds of modules."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Semaphore, local
from typing import Any, Generic, TypeVar

from torch.nn.modules.module import register_module_module_registration_hook

from engine.threads import begin

__all__ = ["SLICE_S", "Slices", "pause"]

T = TypeVar("T")
SLICE_S = 0.01
_OWN = local()


class _LetGo(BaseException):
    """Ends a function that nobody waits for any more."""


class Slices(Generic[T]):
    """A function that runs only while ``advance`` waits for it, about ``slice_s`` at a time.

    Beside a computation of the device's thread a thread of pure Python takes the interpreter from it hundreds of times
    a step; this one never runs beside it. It has a thread of its own because a constructor cannot be left and entered
    again otherwise; it may be left wherever a module gets a part, and where ``pause`` is called.
    """

    def __init__(self, function: Callable[[], T], slice_s: float = SLICE_S) -> None:
        self.outcome: Future[T] = Future()
        self._function, self._slice_s = function, slice_s
        self._until_s = 0.0
        self._go, self._back = Semaphore(0), Semaphore(0)
        self._is_let_go = False
        self._has_begun = self._has_ended = False

    def advance(self) -> bool:
        """Let it go on for a slice; tell whether it has ended, one way or the other."""
        if not self.outcome.done():
            self._until_s = time.perf_counter() + self._slice_s
            self._resume()
        return self.outcome.done()

    def close(self) -> None:
        """End it where it stands."""
        self._is_let_go = True
        if self._has_begun and not self.outcome.done():
            self._resume()

    def _resume(self) -> None:
        if not self._has_begun:
            begin(self._run)
            self._has_begun = True
        self._go.release()
        self._back.acquire()
        if self._has_ended and not self.outcome.done():
            self.outcome.set_exception(MemoryError("its thread could not tell what it failed of"))

    def _run(self) -> None:
        self._go.acquire()
        try:
            _OWN.slices = self
            self.outcome.set_result(self._function())
        except BaseException as error:
            self.outcome.set_exception(error)
        finally:
            self._has_ended = True
            self._back.release()

    def _pause(self) -> None:
        if time.perf_counter() >= self._until_s:
            self._back.release()
            self._go.acquire()
        if self._is_let_go:
            raise _LetGo


def pause() -> None:
    """Leave off here if the slice is over; nothing happens outside of ``Slices``."""
    slices: Slices[Any] | None = getattr(_OWN, "slices", None)
    if slices is not None:
        slices._pause()


def _registered(_module: Any, _name: str, _part: Any) -> None:
    pause()


# Once for all: torch is in the midst of its hooks where a function stands still, and none may come or go then.
register_module_module_registration_hook(_registered)
