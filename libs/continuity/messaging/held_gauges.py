"""What operators are told of a service's held events; the store is not asked unless somebody listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from continuity.kernel.clock import Clock
from continuity.kernel.errors import ContinuityError
from continuity.messaging.held_events import HeldEvents
from continuity.messaging.observed import tell_held
from continuity.telemetry.providers import measuring

_log = logging.getLogger(__name__)

INTERVAL_S = 10.0


class HeldGauges:
    """How many events wait in a service, by the topic that they came from, and how long the oldest has waited."""

    def __init__(self, held: HeldEvents, topics: Iterable[str], clock: Clock) -> None:
        self._held = held
        self._topics = tuple(topics)
        self._clock = clock

    async def run(self) -> None:
        """Look every ten seconds until cancelled; return where nothing is measured."""
        while measuring():
            try:
                await self()
            except ContinuityError:
                pass  # the store is away; whoever needs it says so
            except Exception:
                _log.exception("the held events of %s could not be counted", self._held.service)
            await asyncio.sleep(INTERVAL_S)

    async def __call__(self) -> None:
        """Look once."""
        for topic in self._topics:
            count, oldest = await self._held.waiting(topic)
            age_s = 0.0 if oldest is None else max(0.0, self._clock.now() - oldest)
            tell_held(self._held.service, topic, count, age_s)
