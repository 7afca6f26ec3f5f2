"""Ids: random for what a caller makes, derived for what follows from something else."""

from __future__ import annotations

import os
import uuid

_DRAWN_AT_ONCE = 256
_spare: list[bytes] = []
"""Random bytes for the next ids: asking the kernel for each gives other threads the interpreter in between."""
os.register_at_fork(after_in_child=_spare.clear)

_NAMESPACE = uuid.UUID("6f1f7a3e-5c39-5d0e-9d5e-1a7d9c1b2f40")


def new_id() -> str:
    """Return a random id (UUID version 4, 36 characters)."""
    return str(uuid.UUID(bytes=_random_bytes(), version=4))


def derived_id(*parts: object) -> str:
    """Return the id that always follows from ``parts`` (UUID version 5), so that making a thing twice makes it once."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(map(str, parts))))


def _random_bytes() -> bytes:
    try:
        return _spare.pop()
    except IndexError:
        drawn = os.urandom(16 * _DRAWN_AT_ONCE)
        first, *rest = (drawn[start : start + 16] for start in range(0, len(drawn), 16))
        _spare.extend(rest)
        return first
