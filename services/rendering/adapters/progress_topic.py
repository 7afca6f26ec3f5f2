"""Progress on its topic: sent without an outbox, read by every replica in no group."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from faststream.kafka import KafkaMessage

from continuity.api.events.v1.render_events_pb2 import RenderProgressed as ProgressMessage
from continuity.kernel.errors import ContinuityError
from continuity.messaging.bus import EventBus
from continuity.messaging.codec import EventCodec, decode
from continuity.messaging.envelope import EventMalformed, open_envelope
from continuity.messaging.topics import Topic
from continuity.wire.conversion import from_message
from services.rendering.domain.events import RenderProgressed

_log = logging.getLogger(__name__)

FEED_LIMIT = 1_000
SEND_LIMIT = 64
"""Words on their way to the broker; more are dropped, the documents tell the rest."""


class TopicFeed:
    """What is told of some jobs; the oldest is dropped when the reader is slow."""

    def __init__(self, close: Callable[[TopicFeed], None]) -> None:
        self._words: asyncio.Queue[RenderProgressed] = asyncio.Queue(FEED_LIMIT)
        self._close = close

    async def next(self, timeout_s: float) -> RenderProgressed | None:
        """Return the next word, or None when none comes within the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                return await self._words.get()
        return None

    def close(self) -> None:
        """Stop listening."""
        self._close(self)

    def put(self, word: RenderProgressed) -> None:
        """Take a word."""
        if self._words.full():
            self._words.get_nowait()
        self._words.put_nowait(word)


class ProgressTopic:
    """The ``Progress`` port. ``on_word`` is told everything too, on every replica."""

    def __init__(
        self, bus: EventBus, topic: Topic, codec: EventCodec, on_word: Callable[[RenderProgressed], None]
    ) -> None:
        self._bus = bus
        self._codec = codec
        self._on_word = on_word
        self._feeds: defaultdict[tuple[str, str], set[TopicFeed]] = defaultdict(set)
        self._sending: set[asyncio.Task[None]] = set()
        bus.listen(topic.name, self._hear)

    async def tell(self, project: str, progress: RenderProgressed) -> None:
        """Send once, beside whatever goes on; never raises for a broker that is away."""
        if len(self._sending) >= SEND_LIMIT:
            return
        task = asyncio.create_task(self._send(project, progress))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def listen(self, project: str, job_ids: Sequence[str]) -> TopicFeed:
        """Return what is told of these jobs from now on."""
        keys = [(project, job_id) for job_id in job_ids]

        def close(feed: TopicFeed) -> None:
            for key in keys:
                self._feeds[key].discard(feed)
                if not self._feeds[key]:
                    del self._feeds[key]

        feed = TopicFeed(close)
        for key in keys:
            self._feeds[key].add(feed)
        return feed

    async def _send(self, project: str, progress: RenderProgressed) -> None:
        try:
            await self._bus.publish(self._codec.encode(project, [progress]))
        except ContinuityError as error:
            _log.debug("progress of %s was not sent: %s", progress.job_id, error)

    async def _hear(self, record: KafkaMessage) -> None:
        raw: Any = record.raw_message
        try:
            event = open_envelope(raw.headers, raw.value or b"")
            word = from_message(decode(event, ProgressMessage), RenderProgressed)
        except EventMalformed:
            return
        self._on_word(word)
        for feed in tuple(self._feeds.get((event.project, word.job_id), ())):
            feed.put(word)
