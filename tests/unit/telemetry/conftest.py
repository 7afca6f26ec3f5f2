"""Telemetry that is kept in this process for the test to look at."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from continuity.telemetry.names import Metric
from continuity.telemetry.providers import install


@dataclass(frozen=True)
class Kept:
    """What was sent so far."""

    spans: InMemorySpanExporter
    metrics: InMemoryMetricReader
    tracers: TracerProvider
    meters: MeterProvider

    @property
    def finished(self) -> list[ReadableSpan]:
        return list(self.spans.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        (found,) = [each for each in self.finished if each.name == name]
        return found

    def points(self, metric: Metric) -> list[tuple[dict[str, object], float]]:
        """The attributes of each series of a metric with its value, or its count where it is a histogram."""
        data = self.metrics.get_metrics_data()
        every = [] if data is None else [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
        return [
            (dict(point.attributes), getattr(point, "count", None) or point.value)
            for each in every
            if each.name == metric.name
            for point in each.data.data_points
        ]


@pytest.fixture
def kept() -> Iterator[Kept]:
    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([metrics], shutdown_on_exit=False)
    install(tracers, meters)
    yield Kept(spans, metrics, tracers, meters)
    install(None, None)
