"""The server's output in a file of bounded size."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

CHUNK_BYTES = 64 * 1024
TAIL_BYTES = 4 * 1024


class BoundedLog:
    """Appends to ``path``; past ``limit_bytes`` the file moves to ``<path>.1`` and a new one begins."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        path.parent.mkdir(parents=True, exist_ok=True)

    async def drain(self, pipe: int) -> None:
        """Write down everything that comes from a pipe until its end; the pipe is closed then, or when cancelled."""
        stream = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(stream)
        with os.fdopen(pipe, "rb", buffering=0) as file:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, file)
            try:
                while chunk := await stream.read(CHUNK_BYTES):
                    with suppress(OSError):  # a full disk must not stall the server behind a full pipe
                        self.write(chunk)
            finally:
                transport.close()

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``."""
        if self._path.exists() and self._path.stat().st_size + len(chunk) > self._limit_bytes:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        with self._path.open("ab") as file:
            file.write(chunk)

    def tail(self) -> str:
        """Return the last few kilobytes."""
        if not self._path.exists():
            return ""
        with self._path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read().decode(errors="replace")
