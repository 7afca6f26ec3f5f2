"""What the code that runs now answers to: the event being handled, if one is.

It is ambient, as a trace is, because it must reach every write and every outgoing event below a handler.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from continuity.messaging.envelope import Event

_current: ContextVar[Event | None] = ContextVar("continuity_cause", default=None)


def current_cause() -> Event | None:
    """Return the event that is being handled, or None outside of a consumer."""
    return _current.get()


@contextmanager
def caused_by(event: Event) -> Iterator[None]:
    """Make ``event`` the cause of everything done inside."""
    token = _current.set(event)
    try:
        yield
    finally:
        _current.reset(token)
