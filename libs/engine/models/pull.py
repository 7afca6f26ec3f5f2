"""A published model into the catalogue: fetched, compared with the hub's hashes, then listed, all or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from engine.models.catalogue import About, Catalogue
from engine.models.entry import Entry, file_sha256
from engine.models.installation import enter
from engine.models.published import Published, Source, published
from engine.models.transfer import PullFailed, Told, alone

if TYPE_CHECKING:
    from engine.models.hub import Hub, RemoteFile

__all__ = ["Told", "pull"]

_TOLD_BYTES = 32 * 2**20
_TAKEN = (".safetensors", ".json", ".txt")
_GB = 1e9


@dataclass(frozen=True)
class _Wanted:
    source: Source
    file: RemoteFile
    name: str


def pull(folder: Path, name: str, hub: Hub, told: Callable[[Told], None]) -> list[Entry]:
    """Install a published model and what it needs; what is installed already stays as it is.

    Raises ``Refused`` for an unknown name, ``PullFailed`` with what to do; what arrived by then is taken up again.
    """
    model = published(name)
    installed = {each.name for each in Catalogue(folder).entries()}
    return [
        _installed(folder, each, published(each), hub, told) for each in (*model.needs, name) if each not in installed
    ]


def _installed(folder: Path, name: str, model: Published, hub: Hub, told: Callable[[Told], None]) -> Entry:
    if (folder / name).exists():
        raise PullFailed(name, f"something that is no whole model lies in {folder / name}; remove it first")
    arriving = folder / f".{name}.pulling"
    wanted = [each for source in model.sources for each in _wanted(hub, source)]
    with alone(arriving, name):
        _require_room(folder, arriving, name, wanted)
        _arrive_all(hub, wanted, arriving, name, told)
        origin = " ".join(f"{source.repository}@{source.revision}" for source in model.sources)
        hashes = {each.name: file_sha256(arriving / each.name) for each in wanted}
        about = About(model.kind, model.architecture, model.licence, model.commercial, origin, hashes)
        return enter(arriving, folder / name, about)


def _arrive_all(hub: Hub, wanted: list[_Wanted], folder: Path, name: str, told: Callable[[Told], None]) -> None:
    total, before = sum(each.file.size_bytes for each in wanted), 0
    for each in wanted:
        _arrive(hub, each, folder / each.name, _teller(Told(name, each.name, before, total), told))
        before += each.file.size_bytes
        told(Told(name, each.name, before, total))


def _wanted(hub: Hub, source: Source) -> list[_Wanted]:
    files = hub.files(source.repository, source.revision)
    found: dict[str, RemoteFile] = {}
    for pattern in source.patterns:
        matching = {each.path: each for each in files if fnmatchcase(each.path, pattern)}
        if not matching:
            raise PullFailed(source.repository, f"it holds no {pattern} at revision {source.revision}")
        found |= matching
    return [
        _Wanted(source, file, source.into + path.removeprefix(source.strip))
        for path, file in found.items()
        if path.endswith(_TAKEN)
    ]


def _require_room(folder: Path, arriving: Path, name: str, wanted: list[_Wanted]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    here = sum(path.stat().st_size for path in arriving.rglob("*") if path.is_file())
    missing, free = sum(each.file.size_bytes for each in wanted) - here, shutil.disk_usage(folder).free
    if missing > free:
        raise PullFailed(
            name, f"{missing / _GB:.1f} GB are to come and {folder} has {free / _GB:.1f} GB free; make room"
        )


def _arrive(hub: Hub, wanted: _Wanted, target: Path, told: Callable[[int], None]) -> None:
    """Have a file whole under its name; a part of it has another one, and what is wrong is not kept."""
    source, file, part = wanted.source, wanted.file, target.with_name(target.name + ".part")
    if not file.is_whole(target):
        hub.fetch(source.repository, source.revision, file, part, told)
        if not file.is_whole(part):
            part.unlink()
            raise PullFailed(
                source.repository, f"{file.path} has arrived with another hash than the hub states; pull again"
            )
        part.replace(target)


def _teller(start: Told, told: Callable[[Told], None]) -> Callable[[int], None]:
    """Return what hears of every piece and tells of every 32 MB."""
    last = -_TOLD_BYTES

    def tell(done: int) -> None:
        nonlocal last
        if done - last >= _TOLD_BYTES:
            last = done
            told(Told(start.name, start.file, start.done_bytes + done, start.total_bytes))

    return tell
