"""Objects on a pipe: a pickle and, beside it, the bytes of its arrays, which are never copied into it.

Standard library only: workers start with this.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, Protocol

__all__ = ["Sink", "Source", "receive", "send"]

_COUNT = struct.Struct(">I")
_SIZE = struct.Struct(">Q")


class Sink(Protocol):
    """What can be written to."""

    def write(self, data: Any, /) -> object:
        """Write all of a buffer."""
        ...

    def flush(self) -> None:
        """Hold nothing back."""
        ...


class Source(Protocol):
    """What can be read from."""

    def readinto(self, view: Any, /) -> int | None:
        """Fill a buffer from its beginning as far as may be; 0 at the end."""
        ...


def send(pipe: Sink, value: Any) -> None:
    """Write ``value``: the number of parts, the size of each, the parts; the first is the pickle."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    parts = [memoryview(head), *(buffer.raw() for buffer in buffers)]
    sizes = b"".join(_SIZE.pack(part.nbytes) for part in parts)
    pipe.write(_COUNT.pack(len(parts)) + sizes)
    for part in parts:
        pipe.write(part)
    pipe.flush()


def receive(pipe: Source) -> Any:
    """Read one value; arrays in it own writable memory. Raises ``EOFError`` when the pipe ended, at whatever byte."""
    count = _COUNT.unpack(_exactly(pipe, _COUNT.size))[0]
    sizes = _exactly(pipe, _SIZE.size * count)
    head, *buffers = [_exactly(pipe, size) for (size,) in _SIZE.iter_unpack(sizes)]
    return pickle.loads(head, buffers=buffers)  # noqa: S301 - from our own process


def _exactly(pipe: Source, size: int) -> bytearray:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        if not (read := pipe.readinto(rest)):
            raise EOFError
        rest = rest[read:]
    return data
