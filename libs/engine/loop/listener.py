"""Who hears what comes of a request."""

from __future__ import annotations

from typing import Protocol

from engine.work import Picture

__all__ = ["Listener"]


class Listener(Protocol):
    """Called by sender threads, for one request by one at a time, in order.

    Either ``failed`` or ``finished`` comes exactly once, last. What one of them raises cancels the request.
    """

    def progress(self, step: int, steps: int, preview_jpeg: bytes) -> None:
        """A step was taken; the preview may be empty. Not every step is told when telling is slow."""

    def picture(self, picture: Picture, manifest_json: bytes) -> None:
        """A picture is done."""

    def failed(self, error: Exception) -> None:
        """There will be no more, because of ``error``."""

    def finished(self) -> None:
        """There will be no more; all pictures were told."""
