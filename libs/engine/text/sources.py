"""What preparing a prompt wants to know of a checkpoint, read from the catalogue's files without loading it."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import ModelUnusable
from engine.models.absent import of_another_kind
from engine.models.catalogue import Catalogue
from engine.models.entry import Entry, sha256_of
from engine.models.verification import verified

__all__ = ["CheckpointFacts", "facts_of"]

LATENT_PX = 8
"""Pixels that one latent stands for, on either side."""
_SETTINGS = "unet/config.json"
_MAX_HEADER_BYTES = 1 << 20


@dataclass(frozen=True)
class CheckpointFacts:
    """``native_px`` is the side of the square that it was trained on; ``triggers`` are rows by a trigger word.

    ``tokenizers_sha256`` is over the tokenizers' files.
    """

    architecture: str
    native_px: int
    tokenizer_folders: tuple[Path, ...]
    triggers: Mapping[str, int] = field(default_factory=dict)
    tokenizers_sha256: str = ""


def facts_of(models: Path, name: str, words: str = "") -> CheckpointFacts:
    """Look a checkpoint up, and the textual inversions for it whose names occur in ``words``.

    Raises ``Refused`` for what is not there or no checkpoint, ``ModelUnusable`` for what is incomplete or is not what
    was installed.
    """
    catalogue = Catalogue(models)
    entry = catalogue.entry(name, "checkpoint")
    if entry.kind != "checkpoint":
        raise of_another_kind(entry, "checkpoint", catalogue.entries())
    folders = tuple(catalogue.tokenizer_folders(name))
    if not folders:
        raise ModelUnusable(name, "it has no tokenizer")
    triggers = {each.name: _rows(each) for each in _embeddings(catalogue, entry, words.casefold())}
    vocabularies = verified(entry, *(f"{folder.name}/" for folder in folders))
    return CheckpointFacts(entry.architecture, _native_px(entry), folders, triggers, sha256_of(vocabularies))


def _embeddings(catalogue: Catalogue, checkpoint: Entry, words: str) -> list[Entry]:
    known = catalogue.entries("embedding")
    return [each for each in known if each.architecture == checkpoint.architecture and each.name.casefold() in words]


def _native_px(entry: Entry) -> int:
    verified(entry, _SETTINGS)
    try:
        settings = json.loads((entry.path / _SETTINGS).read_text(encoding="utf-8"))
        return LATENT_PX * int(settings["sample_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnusable(entry.name, f"{_SETTINGS} does not tell its native size: {error!r}") from error


def _rows(embedding: Entry) -> int:
    """Return how many rows a textual inversion has, from the header of its safetensors file."""
    verified(embedding)
    try:
        file = sorted(embedding.path.glob("*.safetensors"))[0]
        shapes = [tensor["shape"] for name, tensor in _header(file).items() if name != "__metadata__"]
        (rows,) = {int(shape[0]) if len(shape) == 2 else 1 for shape in shapes}
    except (OSError, ValueError, IndexError, KeyError, TypeError, struct.error) as error:
        raise ModelUnusable(embedding.name, f"its file does not tell how many rows it has: {error!r}") from error
    return rows


def _header(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        (size,) = struct.unpack("<Q", opened.read(8))
        if size > _MAX_HEADER_BYTES:
            raise ValueError(f"a header of {size} bytes")
        header: dict[str, Any] = json.loads(opened.read(size))
    return header
