"""What has come of a request and was not yet told: bounded, in order, with one end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from engine.work import Picture, Progress

__all__ = ["Ended", "Mailbox", "News"]

_MOST_PROGRESS = 2


@dataclass(frozen=True)
class Ended:
    """The last of a request's news; ``error`` None says that all its pictures are done."""

    error: Exception | None


News = Progress | Picture | Ended


class Mailbox:
    """Putting never waits. Of progress only the newest is kept, pictures all; an error drops what was not told.

    ``call`` is told when there is something to take; it is not told again until ``done``, so one thread takes at once.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._lock = Lock()
        self._news: deque[News] = deque()
        self._ended: Ended | None = None
        self._is_called = False
        self._is_told = False

    @property
    def is_ended(self) -> bool:
        """Whether the end is decided."""
        return self._ended is not None

    def put(self, news: Progress | Picture) -> None:
        """Add to what is to be told; after the end nothing is added."""
        with self._lock:
            if self._ended:
                return
            if isinstance(news, Progress):
                self._make_way()
            self._news.append(news)
            self._call_once()

    def end(self, error: Exception | None) -> None:
        """Decide the end; the first error stands, also against a good end that was not yet told."""
        with self._lock:
            if self._is_told or (self._ended and (self._ended.error or not error)):
                return
            if error:
                self._news.clear()
            self._ended = Ended(error)
            self._news.append(self._ended)
            self._call_once()

    def take(self) -> News | None:
        """Return what is to be told next; only who was called may."""
        with self._lock:
            news = self._news.popleft() if self._news else None
            self._is_told |= isinstance(news, Ended)
            return news

    def done(self) -> None:
        """Say that what was taken is told."""
        with self._lock:
            self._is_called = False
            if self._news:
                self._call_once()

    def _make_way(self) -> None:
        progress = [news for news in self._news if isinstance(news, Progress)]
        if len(progress) >= _MOST_PROGRESS:
            self._news = deque(news for news in self._news if news is not progress[0])

    def _call_once(self) -> None:
        if not self._is_called:
            self._is_called = True
            self._call()
