"""A file of weights that is read once, from its beginning to its end, and hashed on the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any

from engine.errors import ModelUnusable, Stopped
from engine.models.entry import Entry
from engine.models.stored import LENGTH_BYTES, LONGEST_HEADER, listed
from engine.models.unreadable import unreadable
from engine.models.verification import known_sha256, remember, same, version_of

__all__ = ["Read", "WeightFile"]

Read = Callable[[int, Sequence[memoryview], int], int]
"""As ``os.preadv``: into buffers from a file, at a place in it; returns how many bytes there were."""
_BLOCK_BYTES = 4 << 20
"""Read and hashed at once; each is a call that releases the interpreter."""


class WeightFile:
    """An open safetensors file of a model; ``tensors`` in the order of their bytes.

    What is hashed is what is read, even where another file takes its place meanwhile. One that this process has hashed
    before is not hashed again. ``is_stopped`` is asked before each block. Raises ``ModelUnusable``.
    """

    def __init__(self, entry: Entry, name: str, read: Read, is_stopped: Callable[[], bool]) -> None:
        self.name = name
        self._entry, self._read, self._is_stopped = entry, read, is_stopped
        self._descriptor = self._opened()
        self._version = version_of(os.fstat(self._descriptor))
        self._known = known_sha256(entry.path / name, self._version)
        self._digest = hashlib.sha256()
        self._place = 0
        try:
            self.tensors = listed(entry.name, name, self._header(), self._size)
        except BaseException:
            self.close()
            raise

    def fill(self, view: memoryview, start: int) -> None:
        """Read what begins at ``start``, which lies behind what was read before."""
        self._skip_to(start)
        self._fill(view)

    def verified(self) -> str:
        """Return the SHA-256 of the whole file after comparing it with what the entry states."""
        if self._known is None:
            self._skip_to(self._size)
            self._known = self._digest.hexdigest()
            remember(self._entry.path / self.name, self._version, self._known)
        elif version_of(os.fstat(self._descriptor))[:-1] != self._version[:-1]:  # a new link to it does no harm
            raise ModelUnusable(self._entry.name, f"{self.name} was written to while it was read")
        return same(self._entry, self.name, self._known)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)

    def __enter__(self) -> WeightFile:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def _size(self) -> int:
        return self._version[1]

    def _opened(self) -> int:
        try:
            return os.open(self._entry.path / self.name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable(self._entry.name, self.name, error) from error

    def _read_into(self, view: memoryview) -> int:
        try:
            return self._read(self._descriptor, [view], self._place)
        except OSError as error:
            raise unreadable(self._entry.name, self.name, error) from error

    def _header(self) -> bytes:
        length = int.from_bytes(self._taken(LENGTH_BYTES), "little")
        if length > min(LONGEST_HEADER, self._size):
            raise ModelUnusable(self._entry.name, f"{self.name} is damaged: a header of {length} bytes")
        return bytes(self._taken(length))

    def _taken(self, size: int) -> bytearray:
        data = bytearray(size)
        self._fill(memoryview(data))
        return data

    def _skip_to(self, place: int) -> None:
        """What nobody wants is read for its hash alone."""
        if self._known is None:
            while self._place < place:
                self._taken(min(_BLOCK_BYTES, place - self._place))
        self._place = place

    def _fill(self, view: memoryview) -> None:
        while view:
            if self._is_stopped():
                raise Stopped
            count = self._read_into(view[:_BLOCK_BYTES])
            if not count:
                raise ModelUnusable(self._entry.name, f"{self.name} is damaged: it ends at {self._place} bytes")
            if self._known is None:
                self._digest.update(view[:count])
            view, self._place = view[count:], self._place + count
