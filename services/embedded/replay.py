"""Publish again what the broker forgot when its process ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from continuity.documents.port import OutgoingEvent
from continuity.documents.sqlite import EventLog, SqliteDocuments
from continuity.hosting.hosted import kept_running
from continuity.hosting.platform import Platform
from continuity.messaging.bus import EventBus
from continuity.messaging.connection import BrokerUnavailable

_log = logging.getLogger(__name__)

BATCH = 500
PATIENCE_S = 60.0
LOOK_S = 0.2


async def publish_again(platform: Platform) -> None:
    """Publish what an earlier broker was told and some group had not handled when it went.

    No faster than it is handled: the broker keeps little, and the rest is not lost where it is. What breaks is said and
    begun again, later each time; nothing but a cancel ends it before all is published.
    """
    if isinstance(platform.documents, SqliteDocuments):
        await kept_running("embedded.replay", partial(_publish, platform.documents.event_log, platform))


async def _publish(log: EventLog, platform: Platform) -> None:
    """Publish what is pending now; what is logged from here on, this broker knows."""
    bus = platform.bus("embedded")
    await bus.start()
    try:
        await bus.connected()
        last, seq = await log.newest(), 0
        while pending := [each for each in await log.pending(seq, BATCH) if each.seq <= last]:
            await _publish_batch(bus, [logged.event for logged in pending])
            seq = pending[-1].seq
            await _handled(log, seq)
    finally:
        await bus.stop()


async def _publish_batch(bus: EventBus, events: Sequence[OutgoingEvent]) -> None:
    """Publish events, those of a key in order. Raises ``BrokerUnavailable``; what is refused for itself is told."""
    lanes: defaultdict[tuple[str, str], list[OutgoingEvent]] = defaultdict(list)
    for event in events:
        lanes[event.topic, event.key].append(event)
    for published in await bus.publish_each(list(lanes.values())):
        if isinstance(published.error, BrokerUnavailable):
            raise published.error
        if published.error is not None:
            _log.error("an event of an earlier run is not published again: %s", published.error)


async def _handled(log: EventLog, last: int) -> None:
    """Return when every group has handled what was logged up to ``last``, or takes too long to be waited for."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                waiting = await log.pending(0, 1)
                if not waiting or waiting[0].seq > last:
                    return
                await asyncio.sleep(LOOK_S)
