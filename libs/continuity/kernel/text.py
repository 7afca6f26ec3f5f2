"""Text that has to fit."""

from __future__ import annotations


def cut_to_bytes(text: str, limit_bytes: int) -> str:
    """Return the beginning of a text that takes so many bytes as UTF-8, without half a character at its end.

    What UTF-8 does not have (a lone surrogate) becomes a question mark.
    """
    return text.encode("utf-8", "replace")[:limit_bytes].decode("utf-8", "ignore")
