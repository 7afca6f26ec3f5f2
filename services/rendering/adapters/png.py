"""Keyframes as PNG files that carry their prompt and settings.

``parameters`` is the text that A1111 and its readers know; ``continuity`` is our own manifest, as JSON. Both hold only
what determines the picture, so that the same picture is the same file. Chunk layout: PNG specification, third edition,
sections 5.3 (chunks) and 11.3.3.4 (iTXt).
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

COMPRESSION_LEVEL = 1
_SIGNATURE_AND_HEADER = 8 + 25
"""Bytes of the signature and the IHDR chunk; text goes right behind them."""


def encode_keyframe(pixels: NDArray[np.uint8], texts: dict[str, str]) -> bytes:
    """Return RGB ``pixels``, uint8 (height, width, 3), as a PNG with one iTXt chunk for each text."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, encoded = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION_LEVEL])
    if not done:
        raise ValueError("OpenCV could not encode the picture")
    png = encoded.tobytes()
    chunks = b"".join(_international_text(keyword, text) for keyword, text in texts.items())
    return png[:_SIGNATURE_AND_HEADER] + chunks + png[_SIGNATURE_AND_HEADER:]


def parameters_text(settings: dict[str, Any]) -> str:
    """Return the settings in A1111's form: prompt, negative prompt, then ``Steps: …, Seed: …`` on one line."""
    named = {
        "Steps": 1,
        "Sampler": "previz",
        "CFG scale": 0,
        "Seed": settings["seed"],
        "Size": f"{settings['width_px']}x{settings['height_px']}",
        "Model": settings["renderer"],
    }
    lines = [settings["prompt"], f"Negative prompt: {settings['negative_prompt']}"]
    return "\n".join([*lines, ", ".join(f"{name}: {value}" for name, value in named.items())])


def manifest_text(settings: dict[str, Any]) -> str:
    """Return the settings as our manifest."""
    return json.dumps(settings, sort_keys=True, ensure_ascii=False)


def _international_text(keyword: str, text: str) -> bytes:
    body = keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode()
    return struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
