"""A collector: a real OTLP/gRPC server that keeps what it is sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from continuity.telemetry.names import JOB_ID, RENDER

SUBMIT = "continuity.api.rendering.v1.RenderService/SubmitShots"
TRITON = "inference.GRPCInferenceService/ModelStreamInfer"


@dataclass
class Collector:
    """What was sent, as it came; ``sent`` holds every request's bytes."""

    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)
    services: dict[bytes, str] = field(default_factory=dict)
    metrics: list[Any] = field(default_factory=list)
    logs: int = 0
    sent: list[bytes] = field(default_factory=list)
    go_on: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    def hang(self) -> None:
        """Answer nothing until ``go_on`` is set."""
        self.go_on.clear()

    def traces(self) -> dict[bytes, list[Span]]:
        found: defaultdict[bytes, list[Span]] = defaultdict(list)
        for span in self.spans:
            found[span.trace_id].append(span)
        return found

    def orphans(self) -> list[Span]:
        """Spans whose parent did not arrive."""
        known = {(span.trace_id, span.span_id) for span in self.spans}
        return [
            span for span in self.spans if span.parent_span_id and (span.trace_id, span.parent_span_id) not in known
        ]


def attributes(of: Any) -> dict[str, Any]:
    """Return the attributes of a span, a resource or a point."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


def roots(spans: list[Span]) -> list[Span]:
    """Return the spans with which the trace begins."""
    return [span for span in spans if not span.parent_span_id]


def rendered(spans: list[Span]) -> dict[str, Span]:
    """Return the last attempt to render of each job, by the job's id."""
    return {attributes(span)[JOB_ID]: span for span in spans if span.name == RENDER.name}


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(self, request: Any, context: Any) -> Any:
        self._collector.go_on.wait(30)
        self._collector.sent.append(request.SerializeToString())
        for resource in request.resource_spans:
            service = attributes(resource.resource)["service.name"]
            for scope in resource.scope_spans:
                self._collector.spans += scope.spans
                self._collector.services |= {span.span_id: service for span in scope.spans}
        return trace_service_pb2.ExportTraceServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(self, request: Any, context: Any) -> Any:
        self._collector.sent.append(request.SerializeToString())
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self._collector.metrics += scope.metrics
        return metrics_service_pb2.ExportMetricsServiceResponse()


class _Logs(logs_service_pb2_grpc.LogsServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(self, request: Any, context: Any) -> Any:
        self._collector.sent.append(request.SerializeToString())
        self._collector.logs += 1
        return logs_service_pb2.ExportLogsServiceResponse()


@contextmanager
def receiving() -> Iterator[Collector]:
    """Run a collector on a free port."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Traces(collector), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_Metrics(collector), server)
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(_Logs(collector), server)
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()
