"""Ids: random for what a caller makes, derived for what follows from something else."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("6f1f7a3e-5c39-5d0e-9d5e-1a7d9c1b2f40")


def new_id() -> str:
    """Return a random id (UUID version 4, 36 characters)."""
    return str(uuid.uuid4())


def derived_id(*parts: object) -> str:
    """Return the id that always follows from ``parts`` (UUID version 5), so that making a thing twice makes it once."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(map(str, parts))))
