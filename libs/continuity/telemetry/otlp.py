"""The SDK of OpenTelemetry with its OTLP exporters over gRPC; 0.15 s to import, so only who exports does.

The exporters read what ``OTEL_EXPORTER_OTLP_…`` says of headers, certificates, time-outs and compression; the SDK reads
``OTEL_TRACES_SAMPLER`` (by default every trace whose parent was not left out) and ``OTEL_RESOURCE_ATTRIBUTES``.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

MAX_QUEUED_SPANS = 16_384
"""Beyond it the oldest are dropped: some seconds of a busy service while the collector is away."""


@dataclass(frozen=True)
class Pipelines:
    """What spans and metrics go through."""

    tracers: TracerProvider
    meters: MeterProvider

    def shut_down(self) -> None:
        """Send what waits and stop; that takes as long as the collector lets it."""
        self.tracers.shutdown()
        self.meters.shutdown()


def open_pipelines(service: str, endpoint: str, version: str) -> Pipelines:
    """Return pipelines to a collector at ``endpoint``: ``http://host:port``, or ``https://`` with TLS."""
    resource = Resource.create(
        {
            "service.namespace": "continuity",
            "service.name": service,
            "service.version": version,
            "service.instance.id": str(uuid.uuid4()),
        }
    )
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint))
    meters = MeterProvider([reader], resource, shutdown_on_exit=False)
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False, meter_provider=meters)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), max_queue_size=MAX_QUEUED_SPANS))
    return Pipelines(tracers, meters)
