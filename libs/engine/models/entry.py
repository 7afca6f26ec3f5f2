"""What the catalogue knows of one model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

__all__ = ["Entry", "decides", "file_sha256", "sha256_of"]

_CHUNK_BYTES = 1 << 20
_DECIDING = (".safetensors", ".json", ".txt")
_FOR_PEOPLE = ("readme", "license", "licence", "notice")


@dataclass(frozen=True)
class Entry:
    """A model: ``path`` is the folder that ``files`` (SHA-256 by relative path, POSIX) lie in.

    ``kind`` is one of ``catalogue.KINDS``, ``architecture`` one of ``sdxl``, ``sdxl-refiner``, ``sd2``, and
    ``clip`` for an image encoder. Without ``files`` nothing is checked against them.
    """

    name: str
    kind: str
    architecture: str
    licence: str
    commercial: bool
    path: Path
    files: Mapping[str, str] = field(default_factory=dict)

    def within(self, folder: str) -> Entry:
        """Return what lies in one of its folders as a model of its own."""
        files = {name: digest for name, digest in self.files.items() if name.startswith(f"{folder}/")}
        own = {name.removeprefix(f"{folder}/"): digest for name, digest in files.items()}
        return replace(self, name=f"{self.name}/{folder}", path=self.path / folder, files=own)


def sha256_of(files: Mapping[str, str]) -> str:
    """Return one SHA-256 over the files that decide and their own hashes, whatever the order they stand in."""
    deciding = sorted((name, digest) for name, digest in files.items() if decides(name))
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in deciding).encode()).hexdigest()


def decides(name: str) -> bool:
    """Tell whether a file may change what is drawn: weights, configurations, vocabularies."""
    last = name.rpartition("/")[2].lower()
    return last.endswith(_DECIDING) and not last.startswith(_FOR_PEOPLE)


def file_sha256(path: Path, moved: Callable[[], None] = lambda: None) -> str:
    """Return the SHA-256 of a file, read in pieces; ``moved`` is told of each."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            digest.update(piece)
            moved()
    return digest.hexdigest()
