"""Photographs of every kind that the tests of the intake need, made on the spot."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageFilter


def picture(width: int = 120, height: int = 90, mode: str = "RGB") -> Image.Image:
    """A smooth picture that has a red left half, a blue right half and a bright top."""
    array = np.zeros((height, width, 3), np.uint8)
    array[:, : width // 2] = (200, 30, 30)
    array[:, width // 2 :] = (30, 30, 200)
    array[: height // 3] += 50
    return Image.fromarray(array).filter(ImageFilter.GaussianBlur(1)).convert(mode)


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_png_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    """Put a chunk behind the header of ``png``."""
    return png[:33] + png_chunk(name, body) + png[33:]


def png_bomb(side_px: int = 15_000) -> bytes:
    """A small file that unfolds into ``side_px``² RGB pixels, all black; ``side_px`` is a multiple of 100."""
    strip = bytes(100 * (1 + side_px * 3))
    squeeze, strips = zlib.compressobj(9, wbits=-zlib.MAX_WBITS), side_px // 100
    once = squeeze.compress(strip) + squeeze.flush(zlib.Z_FULL_FLUSH)  # as good the second time: it refers to nothing
    adler32 = len(strip) * strips % 65_521 << 16 | 1  # RFC 1950, of zeros alone
    pixels = b"\x78\xda" + once * strips + squeeze.flush() + struct.pack(">I", adler32)
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff_exif(entries: list[tuple[int, int, int, int]]) -> bytes:
    """EXIF data with the given (tag, type, count, value) entries, little-endian."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)


def _icc(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile (ICC.1:2001-04) with the given tags and a description."""
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78), **tags}
    start, table, body = 132 + 12 * len(tags), b"", b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    head = struct.pack(
        ">I4sI4s4s4s12s4s", start + len(body), bytes(4), 0x02400000, b"prtr", space, connection, b"", b"acsp"
    )
    white = struct.pack(">28x3i", *(round(value * 65536) for value in (0.9642, 1.0, 0.8249)))
    return (head + white).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def icc_with_red_and_blue_exchanged() -> bytes:
    """An RGB profile whose red is what sRGB calls blue, and the other way about."""
    colours = {b"bXYZ": (0.4360, 0.2225, 0.0139), b"gXYZ": (0.3851, 0.7169, 0.0971), b"rXYZ": (0.1431, 0.0606, 0.7139)}
    tags = {
        name: b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in xyz))
        for name, xyz in colours.items()
    }
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256))
    return _icc(b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def icc_of_inks_that_are_all_grey() -> bytes:
    """A CMYK profile of which only the black ink shows."""
    identity = struct.pack(">9i", *(65536 * (place % 4 == 0) for place in range(9)))
    ramp = bytes(range(256))
    nodes = b"".join(bytes([0 if black else 255, 128, 128]) for _ in range(8) for black in (0, 1))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + nodes + ramp * 3
    return _icc(b"CMYK", b"Lab ", {b"A2B0": table})
