"""What stands behind an object's bytes in its file: check sum, size and content type as JSON, and how long that is."""

from __future__ import annotations

import json
import struct

from continuity.kernel.values import ObjectRef
from continuity.objects.port import ObjectDamaged

MAX_TRAILER_BYTES = 4096
_LENGTH = struct.Struct(">I")


def trailer(ref: ObjectRef) -> bytes:
    """Return the bytes that follow an object's own."""
    text = json.dumps({"sha256": ref.sha256, "size_bytes": ref.size_bytes, "content_type": ref.content_type}).encode()
    return text + _LENGTH.pack(len(text))


def read_trailer(key: str, tail: bytes, file_bytes: int) -> tuple[ObjectRef, int]:
    """Return what the last bytes of a file say of its object, and how many of them say it."""
    try:
        trailer_bytes = _LENGTH.unpack(tail[-_LENGTH.size :])[0] + _LENGTH.size
        known = json.loads(tail[-trailer_bytes : -_LENGTH.size])
        ref = ObjectRef(key, known["sha256"], known["size_bytes"], known["content_type"])
    except (struct.error, ValueError, KeyError, TypeError):
        raise ObjectDamaged(key=key) from None
    if ref.size_bytes != file_bytes - trailer_bytes:
        raise ObjectDamaged(key=key)
    return ref, trailer_bytes
