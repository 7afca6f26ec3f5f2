"""Picture files cut down to what the decoder needs: pixels, palette and colour profile.

What else a file may carry (EXIF with its place and time, XMP, texts, thumbnails, further pictures, film after the last
byte) is where the surprises are: a kilobyte of text that unfolds into a gigabyte, a directory whose entries all point
to the same megabytes. The decoder never sees it; only the orientation is read, here.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from continuity.security.exif import first_directory, orientation
from continuity.security.image_errors import AnimatedPhoto, DamagedPhoto, TruncatedPhoto

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"IDAT", b"IEND"})
_JPEG_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_JPEG_KEPT_APPLICATION = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
_JPEG_MAX_SCANS = 100  # each of them goes over all pixels again; encoders make a dozen
_MAX_PARTS = 20_000
_EXIF = b"Exif\0\0"
# Size, layout, compression, palette, tiles, strips, alpha, JPEG tables, YCbCr and colour profile (TIFF 6.0).
_TIFF_PIXELS = (*range(256, 260), 262, 266, 273, *range(277, 280), 284, 317, *range(322, 326))
_TIFF_COLOURS = (320, 338, 339, 347, *range(529, 533), 34675)
_TIFF_KEPT = frozenset(_TIFF_PIXELS + _TIFF_COLOURS)
_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT, _TIFF_MAX_TILE_PX = 322, 323, 1 << 22
_Name = TypeVar("_Name", int, bytes)


@dataclass(frozen=True)
class Stripped:
    """A file without what the decoder must not see, and the ``orientation`` (1–8) that it asked for."""

    data: bytes
    orientation: int = 1
    notes: tuple[str, ...] = ()


def strip_jpeg(data: bytes) -> Stripped:
    """Keep the first picture of a JPEG (of an MPO: the photograph itself) and its colour profile."""
    kept, turn, scans = [data[:2]], 1, 0
    notes: tuple[str, ...] = ()
    for marker, segment in _bounded(_jpeg_segments(data)):
        scans += marker == 0xDA
        if scans > _JPEG_MAX_SCANS:
            raise DamagedPhoto(value=f"more than {_JPEG_MAX_SCANS} scans", limit="a JPEG with fewer")
        if marker == 0xE1 and segment.startswith(_EXIF, 4):
            turn = orientation(segment[4:])
        if marker == 0xE2 and segment.startswith(b"MPF\0", 4):
            notes = ("took the first picture of several",)
        if _jpeg_keeps(marker, segment):
            kept.append(segment)
    return Stripped(b"".join(kept), turn, notes)


def _jpeg_keeps(marker: int, segment: bytes) -> bool:
    is_application, is_comment = 0xE0 <= marker <= 0xEF, marker == 0xFE
    if is_application:
        return segment.startswith(_JPEG_KEPT_APPLICATION.get(marker, b"none"), 4)
    return not is_comment


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, segment) up to and with the end of the first picture; a scan comes with its coded data."""
    found = _JPEG_NEXT_MARKER.search(data, 2)
    while found:
        start, marker = found.end() - 2, data[found.end() - 1]
        if marker == 0xD9:
            yield marker, data[start : start + 2]
            return
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        found = _JPEG_NEXT_MARKER.search(data, end)
        if found and marker == 0xDA:
            end = found.start()
        yield marker, data[start:end]
    raise TruncatedPhoto(value=f"the JPEG has no end within {len(data)} bytes", limit="its end-of-image marker")


def _bounded(parts: Iterator[tuple[_Name, bytes]]) -> Iterator[tuple[_Name, bytes]]:
    """Yield ``parts`` as long as there are no more than any camera or editor writes."""
    for number, part in enumerate(parts):
        if number >= _MAX_PARTS:
            raise DamagedPhoto(value=f"more than {_MAX_PARTS} segments", limit="a file with fewer")
        yield part


def strip_png(data: bytes) -> Stripped:
    """Keep the picture of a PNG, its palette and its colour profile; refuse APNG and broken check sums."""
    kept, turn = [_PNG_SIGNATURE], 1
    for name, chunk in _bounded(_png_chunks(data)):
        if name == b"acTL" and int.from_bytes(chunk[8:12]) > 1:
            raise AnimatedPhoto(value=int.from_bytes(chunk[8:12]), limit=1)
        if name == b"eXIf":
            turn = orientation(chunk[8:-4])
        if name in _PNG_KEPT:
            kept.append(chunk)
    return Stripped(b"".join(kept), turn)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, whole chunk) up to and with IEND."""
    start, name = len(_PNG_SIGNATURE), b""
    while name != b"IEND":
        end = start + 12 + int.from_bytes(data[start : start + 4])
        chunk, name = data[start:end], data[start + 4 : start + 8]
        if end > len(data):
            raise TruncatedPhoto(value=f"the PNG has no end within {len(data)} bytes", limit="its IEND chunk")
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            raise DamagedPhoto(value=f"wrong check sum at byte {start}", limit="whole")
        yield name, chunk
        start = end


def strip_tiff(data: bytes) -> Stripped:
    """Point a TIFF to a new directory at its end that holds the entries of the first picture and no others."""
    try:
        directory = first_directory(data)
    except struct.error:
        raise TruncatedPhoto(value="its TIFF directory lies beyond its end", limit="its directory") from None
    entries = [entry for entry in directory.entries if entry.tag in _TIFF_KEPT]
    if sum(entry.size_bytes for entry in entries) > len(data):
        raise DamagedPhoto(value="its TIFF entries are larger than the file", limit="consistent")
    tile_px = (directory.number(_TIFF_TILE_WIDTH, 1) or 0) * (directory.number(_TIFF_TILE_HEIGHT, 1) or 0)
    if not 0 < tile_px <= _TIFF_MAX_TILE_PX:  # the decoder takes memory for a whole tile, however small the picture
        raise DamagedPhoto(value=f"it has tiles of {tile_px} pixels", limit=f"tiles of at most {_TIFF_MAX_TILE_PX}")
    data += b"\0" * (len(data) % 2)
    order = directory.byte_order
    fresh = struct.pack(order + "H", len(entries)) + b"".join(entry.raw for entry in entries) + bytes(4)
    stripped = data[:4] + struct.pack(order + "I", len(data)) + data[8:] + fresh
    notes = ("took the first page of several",) if directory.next_offset else ()
    return Stripped(stripped, directory.orientation, notes)
