"""Encoded pictures in and out: bounded decoding, a cache of decoded mattes, previews."""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict

import cv2
import numpy as np

from previz.drawing.canvas import Pixels, as_pixels
from previz.errors import InvalidPixels

MAX_PIXELS = 40_000_000
MAX_BYTES = 64 * 1024 * 1024
PREVIEW_WIDTH_PX = 320
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"


def decoded(name: str, encoded: bytes, channels: int) -> Pixels:
    """A PNG or JPEG as RGB (3 channels) or RGBA (4; an opaque picture gets a full alpha). Raises ``InvalidPixels``.

    The size is read from the header and refused before anything is decoded.
    """
    if len(encoded) > MAX_BYTES:
        raise InvalidPixels(name, f"a picture of {len(encoded)} bytes", f"at most {MAX_BYTES} bytes")
    width, height = _size(name, encoded)
    if width * height > MAX_PIXELS:
        raise InvalidPixels(name, f"a picture of {width}×{height}", f"at most {MAX_PIXELS} pixels")
    flag = cv2.IMREAD_UNCHANGED if channels == 4 else cv2.IMREAD_COLOR
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), flag)
    if picture is None:
        raise InvalidPixels(name, "a damaged picture", "must be a whole PNG or JPEG")
    if channels == 3:
        return as_pixels(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    if picture.dtype != np.uint8 or picture.ndim != 3:
        raise InvalidPixels(name, f"a {picture.dtype} picture of {picture.ndim} axes", "8-bit RGB or RGBA")
    code = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGBA
    return as_pixels(cv2.cvtColor(picture, code))


def _size(name: str, encoded: bytes) -> tuple[int, int]:
    """Width and height from the header of a PNG or JPEG."""
    if encoded.startswith(_PNG) and len(encoded) >= 24:
        width, height = struct.unpack(">II", encoded[16:24])
        return int(width), int(height)
    if encoded.startswith(_JPEG):
        at = 2
        while at + 9 <= len(encoded) and encoded[at] == 0xFF:
            marker, length = encoded[at + 1], int.from_bytes(encoded[at + 2 : at + 4], "big")
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                height, width = struct.unpack(">HH", encoded[at + 5 : at + 9])
                return int(width), int(height)
            at += 2 + length
    raise InvalidPixels(name, "something else", "must be a PNG or JPEG")


def preview(picture: Pixels) -> bytes:
    """A small JPEG of an RGB picture."""
    height, width = picture.shape[:2]
    small_width = min(PREVIEW_WIDTH_PX, width)
    small = cv2.resize(picture, (small_width, max(1, height * small_width // width)), interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return encoded.tobytes()


class MatteCache:
    """Decoded mattes by the SHA-256 of their file; the least recently used go when ``max_bytes`` is passed."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._mattes: OrderedDict[bytes, Pixels] = OrderedDict()

    def matte(self, name: str, encoded: bytes) -> Pixels | None:
        """The matte as RGBA; ``None`` for an empty file, which means a figure without a photograph."""
        if not encoded:
            return None
        digest = hashlib.sha256(encoded).digest()
        if digest in self._mattes:
            self._mattes.move_to_end(digest)
            return self._mattes[digest]
        pixels = decoded(name, encoded, 4)
        self._mattes[digest] = pixels
        self._held_bytes += pixels.nbytes
        while self._held_bytes > self._max_bytes and len(self._mattes) > 1:
            _, oldest = self._mattes.popitem(last=False)
            self._held_bytes -= oldest.nbytes
        return pixels
