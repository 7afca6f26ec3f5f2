"""What operators are told of the work, while it is done."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from services.rendering.handlers.stores import OwnedJob


class Observer(Protocol):
    """Never waits and never raises."""

    def continuing(self, traceparent: str | None) -> AbstractContextManager[None]:
        """Make what is done inside, and the tasks that it begins, part of the trace that something was accepted in."""
        ...

    def attempt(self, owned: OwnedJob, renderer: str) -> AbstractContextManager[object]:
        """Tell of an attempt to render for as long as the block lasts, and by what leaves it how it went."""
        ...


class Unobserved:
    """Where nobody is told."""

    def continuing(self, traceparent: str | None) -> AbstractContextManager[None]:
        """Do what is inside."""
        return nullcontext()

    def attempt(self, owned: OwnedJob, renderer: str) -> AbstractContextManager[object]:
        """Do what is inside."""
        return nullcontext()


UNOBSERVED = Unobserved()
