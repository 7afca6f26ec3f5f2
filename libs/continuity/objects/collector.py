"""Removes objects that nobody refers to: what a process left that died between an object and its document."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from continuity.kernel.clock import Clock
from continuity.kernel.errors import ContinuityError
from continuity.objects.port import ListedObject, ObjectStore
from continuity.objects.walk import FolderWalk

_log = logging.getLogger(__name__)

References: TypeAlias = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Returns those of the keys that somebody refers to."""

DEFAULT_GRACE_S = 3600.0
PASSES_A_GRACE = 12
MAX_SEEN = 20_000
MAX_SUSPECTS = 10_000


@dataclass(frozen=True)
class Collected:
    """What one pass did."""

    seen: int
    deleted: int


class Collector:
    """Walks one folder; several collectors may walk the same one.

    An object goes when it is older than ``grace_s``, nobody refers to it, and both were so a round ago already: clocks
    may jump and a writer may be slow, but not for as long as a round takes. A pass looks at no more than ``max_seen``
    objects (rounded up to pages), the next goes on from there.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        referenced: References,
        clock: Clock,
        *,
        grace_s: float = DEFAULT_GRACE_S,
        interval_s: float | None = None,
        max_seen: int = MAX_SEEN,
    ) -> None:
        self._store = store
        self._folder = folder
        self._referenced = referenced
        self._clock = clock
        self._grace_s = grace_s
        self._interval_s = grace_s / PASSES_A_GRACE if interval_s is None else interval_s
        self._max_seen = max_seen
        self._walk = FolderWalk(store, folder)
        self._suspects: dict[str, float] = {}
        self._earlier_suspects: dict[str, float] = {}

    async def run(self) -> None:
        """Collect now and then, without end. A pass that fails is logged; what it missed the next round finds."""
        while True:
            await asyncio.sleep(self._interval_s * random.uniform(0.5, 1.5))
            try:
                collected = await self.collect()
            except ContinuityError as error:
                _log.warning("%s: nothing could be collected: %s", self._folder, error)
                continue
            if collected.deleted:
                _log.info("%s: %d objects collected of %d", self._folder, collected.deleted, collected.seen)

    async def collect(self) -> Collected:
        """Do one pass. Raises what the store and the references raise."""
        seen = deleted = 0
        while seen < self._max_seen:
            page = await self._walk.next_page()
            if not page:
                self._suspects, self._earlier_suspects = {}, self._suspects
                break
            seen += len(page)
            deleted += await self._sift(page)
        return Collected(seen, deleted)

    async def _sift(self, page: Sequence[ListedObject]) -> int:
        now = self._clock.now()
        old = [each for each in page if now - each.modified_time >= self._grace_s]
        needed = await self._referenced([each.key for each in old]) if old else ()
        deleted = 0
        for each in old:
            if each.key in needed:
                continue
            if self._earlier_suspects.get(each.key) == each.modified_time:
                # Whoever refers to it by now has put it again before.
                deleted += await self._store.discard(each)
            elif len(self._suspects) < MAX_SUSPECTS:
                self._suspects[each.key] = each.modified_time
        return deleted


async def nobody_refers(_: Sequence[str]) -> Collection[str]:
    """Refer to nothing: the folder is collected by age alone."""
    return ()
