"""Keyframes as PNG files that carry their prompt and settings.

``parameters`` is the text that A1111 and its readers know; ``continuity`` is our own manifest, as JSON. Both hold only
what determines the picture, so that the same picture is the same file. Chunk layout: PNG specification, third edition,
sections 5.3 (chunks) and 11.3.3.4 (iTXt).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

COMPRESSION_LEVEL = 1
_SIGNATURE_AND_HEADER = 8 + 25
"""Bytes of the signature and the IHDR chunk; text goes right behind them."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAME = 12
"""Bytes of a chunk besides its body: length, kind and check sum."""
_PLAIN = b"\0\0\0\0\0"
"""Between keyword and text: not compressed, no language, no translated keyword."""


def encode_keyframe(pixels: NDArray[np.uint8], texts: dict[str, str]) -> bytes:
    """Return RGB ``pixels``, uint8 (height, width, 3), as a PNG with one iTXt chunk for each text."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION_LEVEL])
    if not done:
        raise ValueError("OpenCV could not encode the picture")
    png = encoded.tobytes()
    chunks = b"".join(_international_text(keyword, text) for keyword, text in texts.items())
    return png[:_SIGNATURE_AND_HEADER] + chunks + png[_SIGNATURE_AND_HEADER:]


def decode_keyframe(png: bytes) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """Return the pixels (RGB, uint8, shape (height, width, 3)) and the texts of what ``encode_keyframe`` returned.

    Raises ``ValueError`` for what is none.
    """
    texts = dict(_international_texts(png))
    bgr = None
    with suppress(cv2.error):  # a header that claims more than OpenCV takes
        bgr = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError("it has no pixels that can be decoded")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False), texts


def manifest_text(settings: dict[str, Any]) -> str:
    """Return the settings as our manifest."""
    return json.dumps(settings, sort_keys=True, ensure_ascii=False)


def _international_text(keyword: str, text: str) -> bytes:
    body = keyword.encode("latin-1") + _PLAIN + text.encode()
    return struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))


def _international_texts(png: bytes) -> Iterator[tuple[str, str]]:
    """Yield keyword and text of the chunks that ``_international_text`` makes, up to the pixels."""
    if not png.startswith(_SIGNATURE):
        raise ValueError("it is no PNG")
    place = len(_SIGNATURE)
    while place + _FRAME <= len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        body = png[place + 8 : place + 8 + length]
        if kind == b"IDAT":
            return
        if kind == b"iTXt":
            keyword, _, rest = body.partition(_PLAIN)
            yield keyword.decode("latin-1"), rest.decode()
        place += _FRAME + length
