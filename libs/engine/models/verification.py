"""Whether a model's files are those that were installed. Runs in worker processes, too, and wants no torch."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from engine.errors import ModelUnusable
from engine.models.entry import Entry, decides, file_sha256
from engine.models.installation import files_of

__all__ = ["verified"]

_VERSIONS_KNOWN = 4096


def verified(entry: Entry, *parts: str) -> dict[str, str]:
    """Return SHA-256 by file after comparing with what the entry states; without a statement, of all that decide.

    ``parts`` are what names begin with where only some files are to be read. A file is hashed once for each version of
    it. Raises ``ModelUnusable`` for one that is missing, is not the installed one, or was put there afterwards.
    """
    present = [path.relative_to(entry.path).as_posix() for path in files_of(entry.path)]
    deciding = [name for name in present if decides(name) and name.startswith(parts or "")]
    names = [name for name in entry.files if name.startswith(parts or "")] if entry.files else deciding
    if added := sorted(set(deciding) - set(names)):
        raise ModelUnusable(entry.name, f"{added[0]} is not among its files: it was put there after the installation")
    return {name: _compared(entry, name) for name in sorted(names)}


def _compared(entry: Entry, name: str) -> str:
    path = entry.path / name
    if not path.is_file():
        raise ModelUnusable(entry.name, f"{name} is missing")
    try:
        seen = path.stat()
        found = _sha256(path, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    except OSError as error:
        raise ModelUnusable(entry.name, f"{name} cannot be read: {error}") from error
    if found != entry.files.get(name, found):
        raise ModelUnusable(entry.name, f"{name} is not what was installed: its SHA-256 differs")
    return found


@lru_cache(maxsize=_VERSIONS_KNOWN)
def _sha256(path: Path, *_version: int) -> str:
    return file_sha256(path)
