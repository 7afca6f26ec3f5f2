"""What operators are told of rendering."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from continuity.telemetry.names import ATTEMPT, ERROR_TYPE, JOB_ID, OUTCOME, RENDER_RETRIES, RENDERS
from continuity.telemetry.propagation import current_traceparent
from continuity.telemetry.providers import install
from services.rendering.adapters.telemetry import TelemetryObserver
from services.rendering.domain.errors import RendererDown
from services.rendering.domain.job import RENDERING
from services.rendering.handlers.stores import OwnedJob
from tests.unit.rendering.builders import PROJECT, job_in

ACCEPTED_IN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OWNED = OwnedJob(PROJECT, job_in(RENDERING), ACCEPTED_IN)


class Told:
    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.metrics = InMemoryMetricReader()

    def outcomes(self, metric: str = RENDERS.name) -> list[object]:
        data = self.metrics.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        found = [each for scope in scopes for each in scope.metrics if each.name == metric]
        return [dict(point.attributes or {}).get(OUTCOME) for each in found for point in each.data.data_points]


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(told.spans))
    install(tracers, MeterProvider([told.metrics], shutdown_on_exit=False))
    yield told
    install(None, None)


def test_an_attempt_is_a_span_of_the_trace_that_the_job_was_accepted_in(told: Told) -> None:
    observer = TelemetryObserver()
    with observer.continuing(OWNED.traceparent), observer.attempt(OWNED, "previz 1.2"):
        assert (current_traceparent() or "").startswith(ACCEPTED_IN[:36])
    (span,) = told.spans.get_finished_spans()
    assert span.attributes is not None
    assert (span.attributes[JOB_ID], span.attributes[ATTEMPT]) == (OWNED.job.id, 1)
    assert told.outcomes() == ["succeeded"]


def test_an_attempt_that_fails_is_told_by_its_reason(told: Told) -> None:
    with pytest.raises(RendererDown), TelemetryObserver().attempt(OWNED, "previz 1.2"):
        raise RendererDown(cause="somebody pulled the plug")
    (span,) = told.spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes[ERROR_TYPE] == "RENDERER_DOWN"
    assert "plug" not in span.to_json()
    assert told.outcomes() == ["RENDERER_DOWN"]


def test_an_attempt_that_is_cancelled_was_stopped(told: Told) -> None:
    with pytest.raises(asyncio.CancelledError), TelemetryObserver().attempt(OWNED, "previz 1.2"):
        raise asyncio.CancelledError
    assert told.outcomes() == ["stopped"]


def test_an_attempt_that_is_not_the_first_is_a_retry(told: Told) -> None:
    with TelemetryObserver().attempt(OWNED, "previz 1.2"):
        pass
    assert told.outcomes(RENDER_RETRIES.name) == []
    with TelemetryObserver().attempt(replace(OWNED, job=replace(OWNED.job, attempts=1)), "previz 1.2"):
        pass
    assert len(told.outcomes(RENDER_RETRIES.name)) == 1


def test_the_tasks_of_a_job_are_part_of_its_trace() -> None:
    async def traced() -> str | None:
        with TelemetryObserver().continuing(ACCEPTED_IN):
            task = asyncio.create_task(asyncio.sleep(0, current_traceparent()))
        assert current_traceparent() is None
        return await task

    assert asyncio.run(traced()) == ACCEPTED_IN
