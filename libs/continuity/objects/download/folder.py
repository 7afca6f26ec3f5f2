"""Files of a bucket into a folder, all of them or a reason; what has arrived by then is taken up again."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from continuity.kernel.errors import Damaged, Full, Unavailable
from continuity.objects.download.remote import RemoteFile

TOLD_BYTES = 32 * 2**20
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Between attempts that bring nothing."""
_GB = 1e9
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(eq=False)
class NoRoom(Full):
    """The disk has not the room."""

    template = "{folder} has no room: {missing_gb:.1f} GB are to come; what arrived stays, make room and go on"
    folder: Path
    missing_gb: float


@dataclass(eq=False)
class ArrivedDamaged(Damaged):
    """What arrived is not what the bucket says that it holds."""

    template = "{key} has arrived with other bytes than the store states; try again"
    key: str


@dataclass(frozen=True)
class Progress:
    """How far everything has got, and which file it is at."""

    file: str
    done_bytes: int
    total_bytes: int


class Source(Protocol):
    """Where bytes come from; ``Bucket`` is one."""

    def pieces(self, file: RemoteFile, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield pieces with their places. Raises ``Unavailable`` where it breaks off."""
        ...


def download(
    source: Source,
    files: list[RemoteFile],
    folder: Path,
    told: Callable[[Progress], None],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Have these files in the folder, and nothing else. Raises ``NoRoom``, ``ArrivedDamaged``, ``Unavailable``."""
    folder.mkdir(parents=True, exist_ok=True)
    _forget_others(folder, files)
    total, before = sum(each.size_bytes for each in files), 0
    with _disk(folder, lambda: total - _here(folder)):
        for each in files:
            _require_room(folder, total)
            tell = _teller(Progress(each.name, before, total), told)
            _arrive(source, each, folder, tell, pause)
            before += each.size_bytes
            told(Progress(each.name, before, total))


def _arrive(
    source: Source, file: RemoteFile, folder: Path, tell: Callable[[int], None], pause: Callable[[float], None]
) -> None:
    """Have a file whole under its name; a part of it has another one, and what is wrong is not kept."""
    target, part = folder / file.name, folder / file.part_name
    if file.is_whole(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    _fill(source, file, part, tell, pause)
    if not file.is_whole(part):
        part.unlink()
        raise ArrivedDamaged(key=file.key)
    part.replace(target)


def _fill(
    source: Source, file: RemoteFile, part: Path, tell: Callable[[int], None], pause: Callable[[float], None]
) -> None:
    """Read on until the part is as long as the file; attempts that bring nothing are counted."""
    pauses = iter(_PAUSES_S)
    with part.open("ab") as opened:
        while (had := opened.tell()) < file.size_bytes:
            try:
                for place, piece in source.pieces(file, had):
                    if place != opened.tell():  # a server that knows no ranges begins at the beginning
                        opened.truncate(place)
                    opened.write(piece)
                    tell(place + len(piece))
            except Unavailable:
                opened.flush()
                pauses = iter(_PAUSES_S) if opened.tell() > had else pauses
                if (wait_s := next(pauses, None)) is None:
                    raise
                pause(wait_s)


def _forget_others(folder: Path, files: list[RemoteFile]) -> None:
    """Remove what an attempt on something else has left: all that lies here becomes part of the model."""
    names = {name for each in files for name in (each.name, each.part_name)}
    for path in folder.rglob("*"):
        if not path.is_dir() and path.relative_to(folder).as_posix() not in names:
            path.unlink()


def _require_room(folder: Path, total: int) -> None:
    missing = total - _here(folder)
    if missing > shutil.disk_usage(folder).free:
        raise NoRoom(folder=folder, missing_gb=missing / _GB)


def _here(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def _disk(folder: Path, missing: Callable[[], int]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise NoRoom(folder=folder, missing_gb=missing() / _GB) from error


def _teller(start: Progress, told: Callable[[Progress], None]) -> Callable[[int], None]:
    """Return what hears of every piece and tells of every 32 MB."""
    last = -TOLD_BYTES

    def tell(done: int) -> None:
        nonlocal last
        if abs(done - last) >= TOLD_BYTES:
            last = done
            told(Progress(start.file, start.done_bytes + done, start.total_bytes))

    return tell
