"""Traces and metrics of rendering."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from continuity.documents.port import equal
from continuity.kernel.clock import Clock
from continuity.kernel.errors import ContinuityError
from continuity.messaging.repository import Aggregates
from continuity.telemetry.names import (
    ATTEMPT,
    JOB_ID,
    JOB_STATE,
    MODEL,
    OUTCOME,
    PROJECT,
    QUEUE_AGE,
    QUEUE_DEPTH,
    RENDER,
    RENDER_RETRIES,
    RENDERS,
)
from continuity.telemetry.propagation import continuing
from continuity.telemetry.providers import Attributes, measure, measuring
from continuity.telemetry.tracing import reason_of, span
from services.rendering.adapters.stored_jobs import IN_LINE
from services.rendering.domain.job import UNFINISHED, Job
from services.rendering.handlers.stores import OwnedJob

INTERVAL_S = 10.0
DEPTH_LIMIT = 10_000
"""Counting costs more than knowing that it is too much."""


class TelemetryObserver:
    """The ``Observer`` port."""

    def continuing(self, traceparent: str | None) -> AbstractContextManager[None]:
        """Make what is done inside, and the tasks that it begins, part of a trace."""
        return continuing(traceparent)

    @contextmanager
    def attempt(self, owned: OwnedJob, renderer: str) -> Iterator[None]:
        """Tell of an attempt to render for as long as the block lasts, and by what leaves it how it went."""
        number = owned.job.attempts + owned.job.interruptions + 1
        described: Attributes = {PROJECT: owned.project, JOB_ID: owned.job.id, ATTEMPT: number, MODEL: renderer}
        if number > 1:
            measure(RENDER_RETRIES, 1, {MODEL: renderer})
        outcome, begun = "succeeded", time.perf_counter()
        try:
            with span(RENDER, attributes=described):
                yield
        except asyncio.CancelledError:
            outcome = "stopped"
            raise
        except Exception as error:
            outcome = reason_of(error)
            raise
        finally:
            measure(RENDERS, time.perf_counter() - begun, {MODEL: renderer, OUTCOME: outcome})


class QueueGauges:
    """How long the queue is and how old; what the store is not asked for unless somebody listens."""

    def __init__(self, jobs: Aggregates[Job], clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    async def run(self) -> None:
        """Look every ten seconds until cancelled."""
        while measuring():
            with suppress(ContinuityError):  # the store is away; whoever needs it says so
                await self()
            await asyncio.sleep(INTERVAL_S)

    async def __call__(self) -> None:
        """Look once."""
        for state in UNFINISHED:
            depth = await self._jobs.count([equal("state", state)], project=None, limit=DEPTH_LIMIT)
            measure(QUEUE_DEPTH, depth, {JOB_STATE: state})
        first, _ = await self._jobs.page(IN_LINE, project=None, order=["line_key"], limit=1)
        now = self._clock.now()
        measure(QUEUE_AGE, max(0.0, *(now - stored.aggregate.ready_time for stored in first)) if first else 0.0)
