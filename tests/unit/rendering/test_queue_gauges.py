"""What operators are told of the queue, and of leases that were taken over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from continuity.documents.port import Ref
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from continuity.telemetry.names import JOB_STATE, QUEUE_AGE, QUEUE_DEPTH
from continuity.telemetry.providers import install
from services.rendering.adapters import telemetry
from services.rendering.adapters.stored_jobs import JOBS, StoredJobs
from services.rendering.adapters.telemetry import QueueGauges
from services.rendering.domain.job import READY, RENDERING, REQUESTED, SUCCEEDED, WAITING, Job
from services.rendering.entrypoints.mapping import CODEC
from tests.unit.rendering.builders import PROJECT, job_in
from tests.unit.rendering.fakes import SetClock


class NoRelay:
    owner = "nobody"

    def nudge(self, ref: Ref) -> None:
        """Publish nothing."""


@pytest_asyncio.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[Aggregates[Job]]:
    store = await SqliteDocuments(tmp_path / "documents.sqlite3", [JOBS]).open()
    relay: Any = NoRelay()
    yield Aggregates(Job, JOBS, store, CODEC, relay)
    await store.close()


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    install(None, MeterProvider([reader], shutdown_on_exit=False))
    yield reader
    install(None, None)


def told(reader: InMemoryMetricReader, metric: Any) -> dict[object, float]:
    data = reader.get_metrics_data()
    every = [each for r in data.resource_metrics for s in r.scope_metrics for each in s.metrics] if data else []
    points = [point for each in every if each.name == metric.name for point in each.data.data_points]
    return {dict(point.attributes).get(JOB_STATE): point.value for point in points}


async def add(jobs: Aggregates[Job], *states: str) -> None:
    for number, state in enumerate(states):
        job = replace(job_in(state), id=f"{state}-{number}")
        job = replace(job, ready_time=104.0 + number) if state == READY else job
        await StoredJobs(jobs).add_each(PROJECT, [Change(job)])


async def test_how_many_jobs_are_unfinished_and_how_long_the_first_in_line_has_been_ready(
    jobs: Aggregates[Job], reader: InMemoryMetricReader
) -> None:
    clock = SetClock(1_000.0)
    gauges = QueueGauges(jobs, clock)
    await gauges()
    assert told(reader, QUEUE_AGE) == {None: 0}
    await add(jobs, READY, READY, RENDERING, REQUESTED, SUCCEEDED)
    await gauges()
    assert told(reader, QUEUE_DEPTH) == {READY: 2, RENDERING: 1, REQUESTED: 1, WAITING: 0}
    assert told(reader, QUEUE_AGE) == {None: 896.0}
    clock.seconds = 50.0
    await gauges()
    assert told(reader, QUEUE_AGE) == {None: 0}, "a clock that jumps back makes no job younger than it can be"


async def test_jobs_are_counted_up_to_a_bound(
    jobs: Aggregates[Job], reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "DEPTH_LIMIT", 2)
    await add(jobs, READY, READY, READY)
    await QueueGauges(jobs, SetClock())()
    assert told(reader, QUEUE_DEPTH)[READY] == 2


async def test_the_store_is_not_asked_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody: Any = None
    await QueueGauges(nobody, SetClock()).run()
