"""Whether a model's files are those that were installed. Runs in worker processes, too, and wants no torch."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from engine.errors import ModelUnusable
from engine.models.entry import Entry, decides, file_sha256
from engine.models.installation import files_of
from engine.models.unreadable import unreadable

__all__ = ["Version", "known_sha256", "remember", "require_present", "required", "same", "verified", "version_of"]

Version = tuple[int, ...]
"""What is another number once a file was written to, or another stands in its place."""
_VERSIONS_KNOWN = 4096
_KNOWN: OrderedDict[tuple[Path, Version], str] = OrderedDict()
_LOCK = Lock()


def verified(entry: Entry, *parts: str, moved: Callable[[], None] = lambda: None) -> dict[str, str]:
    """Return SHA-256 by file after comparing with what the entry states; without a statement, of all that decide.

    ``parts`` are what names begin with where only some files are to be read. A file is hashed once for each version of
    it; ``moved`` is told of each piece that was. Raises ``ModelUnusable`` for one that is missing, is not the installed
    one, or was put there afterwards.
    """
    return {name: _compared(entry, name, moved) for name in required(entry, *parts)}


def required(entry: Entry, *parts: str) -> list[str]:
    """Return the files that ``verified`` compares, in order. Raises ``ModelUnusable`` for one that was added."""
    present = [path.relative_to(entry.path).as_posix() for path in files_of(entry.path)]
    deciding = [name for name in present if decides(name) and name.startswith(parts or "")]
    names = [name for name in entry.files if name.startswith(parts or "")] if entry.files else deciding
    if added := sorted(set(deciding) - set(names)):
        raise ModelUnusable(entry.name, f"{added[0]} is not among its files: it was put there after the installation")
    return sorted(names)


def require_present(entry: Entry) -> None:
    """Raise ``ModelUnusable`` for a file that is missing or was added."""
    for name in required(entry):
        if not (entry.path / name).is_file():
            raise ModelUnusable(entry.name, f"{name} is missing")


def same(entry: Entry, name: str, sha256: str) -> str:
    """Return the SHA-256 of a file that was read, if it is the installed one's. Raises ``ModelUnusable``."""
    if sha256 != entry.files.get(name, sha256):
        raise ModelUnusable(entry.name, f"{name} is not what was installed: its SHA-256 differs")
    return sha256


def version_of(seen: os.stat_result) -> Version:
    """Return the version of a file that was looked at."""
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def known_sha256(path: Path, version: Version) -> str | None:
    """Return the SHA-256 of a file that this process has hashed before, in this version."""
    with _LOCK:
        return _KNOWN.get((path, version))


def remember(path: Path, version: Version, sha256: str) -> None:
    """Keep what a file's SHA-256 is."""
    with _LOCK:
        _KNOWN[path, version] = sha256
        if len(_KNOWN) > _VERSIONS_KNOWN:
            _KNOWN.popitem(last=False)


def _compared(entry: Entry, name: str, moved: Callable[[], None]) -> str:
    try:
        return same(entry, name, _sha256(entry.path / name, moved))
    except OSError as error:
        raise unreadable(entry.name, name, error) from error


def _sha256(path: Path, moved: Callable[[], None]) -> str:
    version = version_of(path.stat())
    found = known_sha256(path, version)
    if found is None:
        found = file_sha256(path, moved)
        remember(path, version, found)
    return found
