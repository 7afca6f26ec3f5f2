"""From news to a listener's calls: previews become JPEGs, pictures get their manifest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import EngineError, Stopped
from engine.loop.deaths import Deaths
from engine.loop.entry import Entry
from engine.loop.mailbox import Ended, News
from engine.offload import Offload, WorkerDied
from engine.offload.jobs import manifest_json, preview_jpeg
from engine.work import Picture, Progress

__all__ = ["Describe", "Teller"]

_LOGGER = logging.getLogger(__name__)
Describe = Callable[[Any, Mapping[str, Any], Picture], bytes]
"""Returns a picture's manifest, from its request and the facts; pickled, and run in a worker."""


class Teller:
    """``lost`` is told of an entry whose news could not be told, ``ended`` of one whose end was.

    A request is stopped when a worker died over its manifest, for it may be chance; the second time that is its error.
    """

    def __init__(
        self,
        offload: Offload,
        facts: Mapping[str, Any],
        lost: Callable[[Entry, Exception], None],
        ended: Callable[[Entry], None],
        describe: Describe = manifest_json,
    ) -> None:
        self._offload = offload
        self._facts = facts
        self._lost = lost
        self._ended = ended
        self._describe = describe
        self._deaths = Deaths()

    def tell(self, entry: Entry, news: News) -> None:
        """Tell ``news`` to the entry's listener; nothing is raised."""
        try:
            self._tell(entry, news)
        except WorkerDied as error:
            self._lost(entry, error if self._deaths.again(entry.id) else Stopped())
        except Exception as error:
            if not isinstance(error, EngineError):
                _LOGGER.warning("%s could not be told: %s: %s", entry.id, type(error).__name__, error)
            self._lost(entry, error)
        finally:
            if isinstance(news, Ended):
                self._ended(entry)

    def _tell(self, entry: Entry, news: News) -> None:
        match news:
            case Progress():
                entry.listener.progress(news.step, news.steps, self._preview(news))
            case Picture():
                facts = {**self._facts, "pictures": entry.prepared.sha256}
                manifest = self._offload.run(self._describe, entry.prepared.request, facts, news)
                entry.listener.picture(news, manifest)
            case Ended(error=None):
                entry.listener.finished()
            case Ended(error=Exception() as error):
                entry.listener.failed(error)

    def _preview(self, news: Progress) -> bytes:
        """Return the JPEG; a preview that fails is none, and harms nobody."""
        if news.latent_rgb is None:
            return b""
        try:
            return self._offload.run(preview_jpeg, news.latent_rgb)
        except EngineError:
            return b""
