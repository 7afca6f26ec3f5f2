"""Room in main memory for what is read ahead."""

from __future__ import annotations

from collections import deque
from threading import Condition

__all__ = ["Room"]


class Room:
    """``limit_bytes`` of chunks; a larger one finds room when there is no other. Any thread may call."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._changed = Condition()
        self._held: deque[int] = deque()
        self._is_closed = False

    def enter(self, size_bytes: int) -> bool:
        """Wait for room for a chunk and take it; false once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._has_room(size_bytes))
            self._held.append(size_bytes)
            return not self._is_closed

    def leave(self) -> None:
        """Give back the room of the oldest chunk."""
        with self._changed:
            self._held.popleft()
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _has_room(self, size_bytes: int) -> bool:
        return not self._held or sum(self._held) + size_bytes <= self._limit_bytes
