"""The few things that are read from TIFF structures, which are also what EXIF is made of."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_SIZE_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_ORIENTATION = 274
_SHORT, _LONG = 3, 4


@dataclass(frozen=True)
class Entry:
    """One entry of a TIFF directory; ``raw`` is its twelve bytes in the file's byte order."""

    tag: int
    kind: int
    count: int
    raw: bytes

    @property
    def size_bytes(self) -> int:
        """How much its values take."""
        return _SIZE_OF_TYPE.get(self.kind, 1) * self.count

    def number(self, byte_order: str) -> int | None:
        """Return its value if it is a single SHORT or LONG."""
        if self.count != 1 or self.kind not in (_SHORT, _LONG):
            return None
        value: int = struct.unpack_from(byte_order + ("H" if self.kind == _SHORT else "I"), self.raw, 8)[0]
        return value


@dataclass(frozen=True)
class Directory:
    """The first directory of a TIFF structure; ``next_offset`` is 0 when it is the only one."""

    byte_order: str
    entries: tuple[Entry, ...]
    next_offset: int

    def number(self, tag: int, default: int) -> int | None:
        """Return the value of ``tag``, ``default`` where it is absent, None where it is no single SHORT or LONG."""
        return next((entry.number(self.byte_order) for entry in self.entries if entry.tag == tag), default)

    @property
    def orientation(self) -> int:
        """How the picture must be turned, 1–8 (TIFF 6.0, tag 274); 1 where it says nothing sensible."""
        value = self.number(_ORIENTATION, 1)
        return value if value is not None and 1 <= value <= 8 else 1


def first_directory(data: bytes) -> Directory:
    """Read the first directory of a TIFF structure, following none of its pointers; raises ``struct.error``."""
    byte_order = "<" if data[:2] == b"II" else ">"
    offset = struct.unpack_from(byte_order + "I", data, 4)[0]
    count = struct.unpack_from(byte_order + "H", data, offset)[0]
    next_offset = struct.unpack_from(byte_order + "I", data, offset + 2 + 12 * count)[0]
    starts = range(offset + 2, offset + 2 + 12 * count, 12)
    entries = tuple(_entry(data[start : start + 12], byte_order) for start in starts)
    return Directory(byte_order, entries, next_offset)


def _entry(raw: bytes, byte_order: str) -> Entry:
    tag, kind, count = struct.unpack_from(byte_order + "HHI", raw)
    return Entry(tag, kind, count, raw)


def orientation(exif: bytes) -> int:
    """Return the orientation, 1–8, that EXIF data ask for; 1 for data that cannot be read."""
    tiff = exif.removeprefix(b"Exif\0\0")
    if tiff[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    try:
        return first_directory(tiff).orientation
    except struct.error:
        return 1
