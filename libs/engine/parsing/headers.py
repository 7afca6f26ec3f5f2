"""What a picture's header says, read before a decoder is let near it."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from engine.errors import Refused

__all__ = ["FORMATS", "Header", "header"]

FORMATS = "a PNG, JPEG or WebP picture"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_MAX_PARTS = 20_000
_MAX_SCANS = 100
_ANIMATED = 0x02
_JPEG_BARE = (0x01, 0xD8)
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")


class Header(NamedTuple):
    """``body`` is the file without what no decoder needs to see."""

    width_px: int
    height_px: int
    format: str
    body: bytes


def header(name: str, encoded: bytes) -> Header:
    """Read size and format. Raises ``Refused`` for other formats, animations, and files that end before the picture."""
    try:
        if encoded.startswith(_PNG):
            return _png(name, encoded)
        if encoded.startswith(b"\xff\xd8\xff"):
            return _jpeg(name, encoded)
        if encoded.startswith(b"RIFF") and encoded[8:12] == b"WEBP":
            return _webp(name, encoded)
    except (struct.error, IndexError):
        raise _damaged(name, "a file that ends in its header") from None
    raise Refused(name, encoded[:12], FORMATS)


def _damaged(name: str, found: str) -> Refused:
    return Refused(name, found, f"must be whole: {FORMATS}")


def _png(name: str, encoded: bytes) -> Header:
    """Keep the first picture's chunks: texts that unfold into gigabytes and an animation's frames stay outside."""
    width, height = struct.unpack(">II", encoded[16:24])
    kept = [_PNG]
    for number, (kind, chunk) in enumerate(_png_chunks(name, encoded)):
        if number >= _MAX_PARTS:
            raise _damaged(name, f"a PNG of more than {_MAX_PARTS} chunks")
        if (kind == b"IHDR") != (number == 0):
            raise _damaged(name, "a PNG whose header is not its first chunk")
        if kind in _PNG_KEPT:
            kept.append(chunk)
    return Header(width, height, "PNG", b"".join(kept))


def _png_chunks(name: str, encoded: bytes) -> Iterator[tuple[bytes, bytes]]:
    start, kind = len(_PNG), b""
    while kind != b"IEND":
        (length,) = struct.unpack(">I", encoded[start : start + 4])
        kind, chunk = encoded[start + 4 : start + 8], encoded[start : start + 12 + length]
        if len(chunk) < 12 + length:
            raise _damaged(name, "a PNG that ends before its end chunk")
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise _damaged(name, f"a PNG with a wrong check sum at byte {start}")
        yield kind, chunk
        start += 12 + length


def _jpeg(name: str, encoded: bytes) -> Header:
    """Find the frame's size and the end of the picture; scans are counted, for each goes over all pixels."""
    size, scans = None, 0
    for marker, start, body in _jpeg_markers(name, encoded):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = size or struct.unpack(">HH", body[1:5])
        scans += marker == 0xDA
        if scans > _MAX_SCANS:
            raise _damaged(name, f"a JPEG of more than {_MAX_SCANS} scans")
        if marker == 0xD9 and size and scans:
            return Header(size[1], size[0], "JPEG", encoded[: start + 2])
    raise _damaged(name, "a JPEG that ends before its end marker")


def _jpeg_markers(name: str, encoded: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (marker, where it starts, its segment's content) in order; coded data between them are passed over.

    What a decoder could take for another frame than we do is refused: marks without a segment, impossible lengths.
    """
    found = _JPEG_MARKER.search(encoded, 2)
    while found:
        marker, start, body_at = found[1][0], found.end() - 2, found.end()
        if marker == 0xD9:
            yield marker, start, b""
            return
        length = int.from_bytes(encoded[body_at : body_at + 2], "big")
        if marker in _JPEG_BARE or length < 2:
            raise _damaged(name, f"a JPEG with a misplaced mark at byte {start}")
        yield marker, start, encoded[body_at + 2 : body_at + length]
        found = _JPEG_MARKER.search(encoded, body_at + length)


def _webp(name: str, encoded: bytes) -> Header:
    """Read any of the three kinds: lossy, lossless, extended (RFC 9649, sections 2.5 to 2.7, and 3.4)."""
    (size,) = struct.unpack("<I", encoded[4:8])
    if len(encoded) < 8 + size:
        raise _damaged(name, "a WebP that is cut off")
    width, height = _webp_size(name, encoded)
    return Header(width, height, "WebP", encoded[: 8 + size])


def _webp_size(name: str, encoded: bytes) -> tuple[int, int]:
    kind = encoded[12:16]
    if kind == b"VP8X":
        if encoded[20] & _ANIMATED:
            raise Refused(name, "an animated WebP", "a picture that does not move")
        return 1 + int.from_bytes(encoded[24:27], "little"), 1 + int.from_bytes(encoded[27:30], "little")
    if kind == b"VP8L":
        (packed,) = struct.unpack("<I", encoded[21:25])
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", encoded[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise _damaged(name, f"a WebP that begins with {kind!r}")
