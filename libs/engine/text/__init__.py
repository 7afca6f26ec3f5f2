"""Prompts: their grammar, their tokens, what the text encoders make of them.

Tokenising wants no torch, so that a worker process is small; encoding is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.text.chunks import Chunk
from engine.text.tokens import Budget, TokenisedPrompt, TokenReport, tokenise

if TYPE_CHECKING:
    from engine.text.encoding import Conditioning, encode

__all__ = ["Budget", "Chunk", "Conditioning", "TokenReport", "TokenisedPrompt", "encode", "tokenise"]


def __getattr__(name: str) -> Any:
    if name not in ("Conditioning", "encode"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from engine.text import encoding  # noqa: PLC0415 - imports torch

    return getattr(encoding, name)
