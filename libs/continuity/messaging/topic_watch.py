"""Topics that somebody deletes under way: noticed, named and made again.

Kafka's clients only ask for such a topic again and again, and what is sent to it looks as if the broker were away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from continuity.kernel.errors import ContinuityError
from continuity.messaging.backoff import Backoff
from continuity.messaging.connection import BrokerUnavailable
from continuity.messaging.publishing import TopicMissing

_log = logging.getLogger(__name__)

LOOK_S = 2.0
FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 10.0


class TopicWatch:
    """Watches the topics that one service uses.

    ``names`` returns all topics of the broker and raises ``BrokerUnavailable``; ``make`` makes those of the service
    that are missing.
    """

    def __init__(
        self, service: str, names: Callable[[], Awaitable[Iterable[str]]], make: Callable[[], Awaitable[None]]
    ) -> None:
        self._service = service
        self._names = names
        self._make = make
        self._used: set[str] = set()
        self._missing: frozenset[str] = frozenset()

    def use(self, topics: Iterable[str]) -> None:
        """Watch these from now on."""
        self._used.update(topics)

    def require(self, topics: Iterable[str]) -> None:
        """Raise ``TopicMissing`` when one of the topics was missing at the last look."""
        if self._missing:
            for topic in topics:
                if topic in self._missing:
                    raise TopicMissing(topic=topic)

    def require_all(self) -> None:
        """Raise ``TopicMissing`` when any of the topics in use was missing at the last look."""
        self.require(sorted(self._missing))

    async def look(self) -> None:
        """See which topics there are. Raises ``BrokerUnavailable``."""
        missing = self._used - set(await self._names())
        for topic in sorted(missing - self._missing):
            _log.warning("%s: %s", self._service, TopicMissing(topic=topic))
        for topic in sorted(self._missing - missing):
            _log.warning("%s: topic %s is there again", self._service, topic)
        self._missing = frozenset(missing)

    async def run(self) -> None:
        """Look again and again, and make what is missing."""
        backoff = Backoff(FIRST_PAUSE_S, MAX_PAUSE_S)
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if await self._mended():
                    backoff.reset()
                    continue
            except BrokerUnavailable:
                continue
            except ContinuityError as error:
                _log.warning("%s: %s", self._service, error)
            except Exception:
                _log.exception("%s could not look after its topics", self._service)
            await backoff.pause()

    async def _mended(self) -> bool:
        """Make what was missing twice; tell whether there is no more to do.

        Twice, because consumers must have noticed: who has not would go on at its old place in the new topic.
        """
        before = self._missing
        await self.look()
        if before & self._missing:
            await self._make()
            await self.look()
            return not before & self._missing
        return True
