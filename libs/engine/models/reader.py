"""Reading a model's weights beside the device's thread: bounded, and nobody polls for them.

All that takes long are calls that release the interpreter, so a computation beside it is not held up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import inf

import torch

from engine.errors import EngineError, ModelUnusable, Stopped
from engine.models.entry import Entry
from engine.models.files import Read, WeightFile
from engine.models.readings import MOST_HANGING, READINGS
from engine.models.room import Room
from engine.models.stored import Stored
from engine.models.unreadable import said_of
from engine.models.verification import required, verified

__all__ = ["AHEAD_BYTES", "CHUNK_BYTES", "Chunk", "Reader"]

CHUNK_BYTES = 32 << 20
"""What is read at once. A tensor is never divided; the largest of SDXL's in float32 has eight times as much."""
AHEAD_BYTES = 256 << 20
"""Of chunks that may be in main memory at once; the largest tensor needs no more."""


@dataclass(frozen=True)
class Chunk:
    """Tensors with their bytes: ``data`` uint8, page-locked beside a GPU, from ``start`` of their file on.

    ``following`` is the next one, None after the last: then every file is known to be the installed one.
    """

    start: int
    data: torch.Tensor
    tensors: Sequence[Stored]
    following: Future[Chunk | None] = field(default_factory=Future)


class Reader:
    """Reads the weights in ``files`` (POSIX, relative to the model's folder) in this order, in a thread of its own.

    ``tensors`` are those of each file, ``first`` is the first chunk. Their errors are ``EngineError``. ``sha256`` has
    every file of the model that counts, when the last chunk was read. Raises ``ModelUnusable`` where others hang.
    """

    def __init__(self, entry: Entry, files: Sequence[str], *, is_pinned: bool, read: Read = os.preadv) -> None:
        self._entry, self._files, self._is_pinned, self._read = entry, files, is_pinned, read
        self.tensors: Future[dict[str, list[Stored]]] = Future()
        self.first: Future[Chunk | None] = Future()
        self.sha256: dict[str, str] = {}
        self._next = self.first
        self._room = Room(AHEAD_BYTES)
        self._is_closed = False
        self._moved_s = time.monotonic()
        if not READINGS.start(self._run, lambda: self._moved_s):
            raise ModelUnusable(entry.name, f"{MOST_HANGING} readings hang, and more are not begun: see to the disk")

    def taken(self) -> None:
        """Say that the oldest chunk is not needed any more."""
        self._room.leave()

    def close(self) -> None:
        """Read no further than the present block. Does not wait."""
        self._is_closed = True
        self._room.close()

    def _run(self) -> None:
        try:
            self._read_all()
        except Exception as error:
            (self._next if self.tensors.done() else self.tensors).set_exception(self._told(error))
        else:
            self._next.set_result(None)

    def _told(self, error: Exception) -> EngineError:
        if isinstance(error, EngineError):
            return error
        return ModelUnusable(self._entry.name, f"it cannot be read: {said_of(error, self._entry.path)}")

    def _read_all(self) -> None:
        with ExitStack() as stack:
            files = [stack.enter_context(self._opened(name)) for name in self._files]
            self.tensors.set_result({each.name: each.tensors for each in files})
            for name in required(self._entry):
                if name not in self._files:
                    self.sha256 |= verified(self._entry, name, moved=self._move)
            for file in files:
                self._read_one(file)

    def _opened(self, name: str) -> WeightFile:
        return WeightFile(self._entry, name, self._read, self._is_stopped)

    def _is_stopped(self) -> bool:
        self._move()
        return self._is_closed

    def _move(self) -> None:
        self._moved_s = time.monotonic()

    def _read_one(self, file: WeightFile) -> None:
        for tensors in _grouped(file.tensors):
            start, size = tensors[0].start, tensors[-1].stop - tensors[0].start
            self._enter(size)
            data = torch.empty(size, dtype=torch.uint8, pin_memory=self._is_pinned)
            file.fill(memoryview(data.numpy()), start)
            chunk, pending = Chunk(start, data, tensors), self._next
            self._next = chunk.following
            del data
            pending.set_result(chunk)
            del chunk, pending
        self.sha256[file.name] = file.verified()

    def _enter(self, size_bytes: int) -> None:
        """Wait until what was read before is on the device; that is no fault of the disk."""
        self._moved_s = inf
        if not self._room.enter(size_bytes):
            raise Stopped
        self._move()


def _grouped(tensors: Sequence[Stored]) -> Iterator[list[Stored]]:
    """Yield runs of tensors that lie in a chunk; a larger one is a run by itself."""
    run: list[Stored] = []
    for each in tensors:
        if run and each.stop - run[0].start > CHUNK_BYTES:
            yield run
            run = []
        run.append(each)
    if run:
        yield run
