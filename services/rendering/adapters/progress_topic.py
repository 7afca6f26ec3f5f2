"""Progress: told in this process at once, and on its topic, without an outbox and read in no group, to all others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from continuity.api.events.v1.render_events_pb2 import RenderProgressed as ProgressMessage
from continuity.documents.port import OutgoingEvent
from continuity.kernel.errors import ContinuityError, Invalid
from continuity.kernel.ids import new_id
from continuity.messaging.bus import EventBus
from continuity.messaging.codec import EventCodec, decode
from continuity.messaging.record import Record
from continuity.messaging.topics import Topic
from continuity.wire.conversion import from_message
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import Job
from services.rendering.handlers.ports import Word

_log = logging.getLogger(__name__)

GATHER_S, LONGEST_GATHER_S = 0.005, 0.25
"""How long words gather after some were sent, for each of them and at most: many are worth fewer records."""
FEED_LIMIT = 4_000
WHOLE_LIMIT = 200
"""From here on a feed keeps states without their jobs: a reader who is slow is not to cost their memory."""
SEND_LIMIT = 1_000
"""Jobs of which there is a word to send; those of more are dropped, the documents tell the rest."""


class TopicFeed:
    """What is told of some jobs; the oldest is dropped when the reader is slow."""

    def __init__(self, close: Callable[[TopicFeed], None]) -> None:
        self._words: asyncio.Queue[Word] = asyncio.Queue(FEED_LIMIT)
        self._close = close

    async def next(self, timeout_s: float) -> Word | None:
        """Return the next word, or None when none comes within the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                return await self._words.get()
        return None

    def waiting(self) -> list[Word]:
        """Return the words that wait already."""
        return [self._words.get_nowait() for _ in range(self._words.qsize())]

    def close(self) -> None:
        """Stop listening."""
        self._close(self)

    def put(self, word: Word) -> None:
        """Take a word."""
        if self._words.full():
            self._words.get_nowait()
        if isinstance(word, Job) and self._words.qsize() >= WHOLE_LIMIT:
            word = RenderProgressed(word.id, word.state)
        self._words.put_nowait(word)


class ProgressTopic:
    """The ``Progress`` port. ``on_word`` is told everything too, on every replica.

    While words are being sent, and shortly after, the next ones gather, and of each job only the last is kept.
    """

    def __init__(
        self, bus: EventBus, topic: Topic, codec: EventCodec, on_word: Callable[[RenderProgressed], None]
    ) -> None:
        self._bus = bus
        self._codec = codec
        self._on_word = on_word
        self._feeds: defaultdict[tuple[str, str], set[TopicFeed]] = defaultdict(set)
        self._unsent: dict[tuple[str, str], RenderProgressed] = {}
        self._sending: asyncio.Task[None] | None = None
        self._origin = new_id()
        self._own = ("ce_origin", self._origin.encode())
        bus.listen(topic.name, self._hear)

    async def tell(self, project: str, word: Word) -> None:
        """Send once, beside whatever goes on; never raises for a broker that is away."""
        progress = RenderProgressed(word.id, word.state) if isinstance(word, Job) else word
        self._pass_on(project, progress, word)
        key = (project, progress.job_id)
        if key not in self._unsent and len(self._unsent) >= SEND_LIMIT:
            return
        self._unsent[key] = progress
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

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

    async def _send(self) -> None:
        while self._unsent:
            words, self._unsent = self._unsent, {}
            try:
                await self._bus.post([self._encoded(project, word) for (project, _), word in words.items()])
            except ContinuityError as error:
                _log.debug("progress of %d jobs was not sent: %s", len(words), error)
            await asyncio.sleep(min(LONGEST_GATHER_S, len(words) * GATHER_S))

    def _encoded(self, project: str, word: RenderProgressed) -> OutgoingEvent:
        (event,) = self._codec.encode(project, [word])
        return replace(event, headers={**event.headers, "origin": self._origin})

    async def _hear(self, records: Sequence[Record]) -> None:
        for record in records:
            if self._own in record.headers:
                continue
            try:
                event = record.event()
                word = from_message(decode(event, ProgressMessage), RenderProgressed)
            except Invalid:
                continue
            self._pass_on(event.project, word, word)

    def _pass_on(self, project: str, progress: RenderProgressed, word: Word) -> None:
        self._on_word(progress)
        for feed in self._feeds.get((project, progress.job_id), ()):
            feed.put(word)
