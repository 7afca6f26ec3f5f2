"""Spans and measures of events on their way: sent from an outbox, handled by a consumer.

Source: OpenTelemetry semantic conventions for messaging and Kafka. An event's traceparent is set when it is written, so
that its sending and every handling of it are siblings in the trace of whatever wrote it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry.trace import INVALID_SPAN, Span

from continuity.documents.port import OutgoingEvent
from continuity.messaging.envelope import Event
from continuity.telemetry import names
from continuity.telemetry.propagation import TRACEPARENT
from continuity.telemetry.providers import measure, tracer, watch
from continuity.telemetry.tracing import begin, fail, reason_of, span


def processing(topic: str, group: str, event: Event) -> AbstractContextManager[Span]:
    """Handle an event as part of the trace that it came from."""
    if tracer() is None:
        return span(names.PROCESS, topic, parent=event.extensions.get(TRACEPARENT))
    return _processing(topic, group, event)


class Sending:
    """An event that is handed to the broker. It is counted; a span it has in a trace only."""

    def __init__(self, event: OutgoingEvent) -> None:
        self._wanted = tracer() is not None
        if not self._wanted:
            return
        self._described = _described(event.topic, "send") | {names.EVENT_TYPE: event.type}
        ids = {names.MESSAGE_ID: event.id, names.PROJECT: event.project}
        parent = event.headers.get(TRACEPARENT)
        self._span = begin(names.SEND, event.topic, self._described | ids, parent=parent) if parent else INVALID_SPAN
        self._written_time = event.time

    def end(self, error: BaseException | None = None) -> None:
        """Tell that the broker has confirmed it, or why not."""
        if not self._wanted:
            return
        if error is not None:
            fail(self._span, reason_of(error))
            self._described[names.ERROR_TYPE] = reason_of(error)
        self._span.end()
        measure(names.SENT, 1, self._described)
        if error is None:
            measure(names.OUTBOX_WAIT, max(0.0, time.time() - self._written_time), self._described)


def watch_outcomes(group: str, outcomes: Counter[str]) -> None:
    """Send what a consumer counts: ``retried``, ``dead`` and ``unknown``."""
    described = {names.MESSAGING_SYSTEM: "kafka", names.GROUP: group}
    watch(names.RETRIES, lambda: (outcomes["retried"], described))
    watch(names.DEAD_LETTERS, lambda: (outcomes["dead"], described))
    watch(names.SKIPPED, lambda: (outcomes["unknown"], described))


def tell_held(group: str, topic: str, count: int, age_s: float) -> None:
    """Tell how many events of a topic wait in a group, and how long the oldest has."""
    described = {names.MESSAGING_SYSTEM: "kafka", names.GROUP: group, names.DESTINATION: topic}
    measure(names.HELD, count, described)
    measure(names.HELD_AGE, age_s, described)


@contextmanager
def _processing(topic: str, group: str, event: Event) -> Iterator[Span]:
    described = _described(topic, "process") | {names.GROUP: group, names.EVENT_TYPE: event.type}
    ids = {names.MESSAGE_ID: event.id, names.PROJECT: event.project}
    begun = time.perf_counter()
    try:
        with span(names.PROCESS, topic, described | ids, parent=event.extensions.get(TRACEPARENT)) as handling:
            yield handling
    except Exception as error:
        described[names.ERROR_TYPE] = reason_of(error)
        raise
    finally:
        measure(names.CONSUMED, 1, described)
        measure(names.PROCESSING, time.perf_counter() - begun, described)


def _described(topic: str, operation: str) -> dict[str, str]:
    return {
        names.MESSAGING_SYSTEM: "kafka",
        names.DESTINATION: topic,
        names.OPERATION_NAME: operation,
        names.OPERATION_TYPE: operation,
    }
