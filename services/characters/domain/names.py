"""Names are unique within a project, whatever their case and spacing."""

from __future__ import annotations

import unicodedata

from continuity.kernel.errors import InvalidValue


def clean_name(name: str) -> str:
    """Return the name with single spaces. Raises ``InvalidValue`` for nothing visible or control characters."""
    cleaned = " ".join(unicodedata.normalize("NFC", name).split())
    if not cleaned or any(unicodedata.category(character) == "Cc" for character in cleaned):
        raise InvalidValue(field="name", value=name, limit="visible characters on one line")
    return cleaned


def name_key(name: str) -> str:
    """Return what two equal names have in common."""
    return unicodedata.normalize("NFKC", clean_name(name)).casefold()
