"""A checkpoint's tokenizers, read when they are asked for: worker processes have their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from transformers import CLIPTokenizer

from engine.errors import ModelUnusable
from engine.models.entry import Entry
from engine.models.unreadable import said_of

__all__ = ["Tokenizers"]

_FOLDERS = ("tokenizer", "tokenizer_2")


class Tokenizers(Sequence[Any]):
    """Transformers' ``CLIPTokenizer``s in the order of the text encoders. Raises ``ModelUnusable`` at the first use."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def __len__(self) -> int:
        return sum((self._entry.path / name).is_dir() for name in _FOLDERS)

    def __getitem__(self, at: Any) -> Any:
        return self._all[at]

    @cached_property
    def _all(self) -> tuple[Any, ...]:
        return tuple(self._read(name) for name in _FOLDERS if (self._entry.path / name).is_dir())

    def _read(self, name: str) -> Any:
        folder = self._entry.path / name
        try:
            return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelUnusable(self._entry.name, f"{name} cannot be read: {said_of(error, folder)}") from error
