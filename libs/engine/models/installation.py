"""A folder of files becomes a model of the catalogue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.models.catalogue import ABOUT, About, write_about
from engine.models.entry import Entry, file_sha256

__all__ = ["enter", "files_of"]


def enter(fresh: Path, folder: Path, about: About) -> Entry:
    """Give a folder its ``model.json``, with the hashes of all its files if there are none, then its place."""
    hashed = about.files or {path.relative_to(fresh).as_posix(): file_sha256(path) for path in files_of(fresh)}
    write_about(fresh, replace(about, files=hashed))
    fresh.rename(folder)
    return Entry(folder.name, about.kind, about.architecture, about.licence, about.commercial, folder, hashed)


def files_of(folder: Path) -> list[Path]:
    """Return the files of a model, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ABOUT)
