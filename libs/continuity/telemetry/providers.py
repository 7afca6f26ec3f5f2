"""Where spans and metrics go in this process: nowhere, unless it was set up or its host program has OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
from opentelemetry.trace import Tracer, TracerProvider

from continuity.telemetry.names import METRICS, Metric

Attributes: TypeAlias = Mapping[str, str | int | float | bool]
Instrument: TypeAlias = Callable[[float, Attributes | None], None]
Reading: TypeAlias = Callable[[], tuple[float, Attributes]]
"""Returns what a count stands at; called by the thread that exports."""

SCOPE = "continuity"


class _Installed:
    """Our own, because OpenTelemetry's ambient providers can be set once a process and never taken back."""

    tracer: Tracer | None = None
    instruments: Mapping[str, Instrument] = {}
    watched: Mapping[str, list[Reading]] = {}
    content: bool = False


_installed = _Installed()


def install(tracers: TracerProvider | None, meters: MeterProvider | None, *, content: bool = False) -> None:
    """Send spans and metrics there from now on; None sends none. ``content`` lets what users wrote out as well."""
    _installed.tracer = tracers.get_tracer(SCOPE) if tracers else None
    meter = meters.get_meter(SCOPE) if meters else None
    _installed.instruments = {each.name: _instrument(meter, each) for each in _measured()} if meter else {}
    _installed.watched = {each.name: _watching(meter, each) for each in _watched()} if meter else {}
    _installed.content = content


def adopt_host_program() -> None:
    """Use the providers of a program that set up OpenTelemetry itself, where nothing is installed."""
    if _installed.tracer is None and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        install(trace.get_tracer_provider(), metrics.get_meter_provider())


def tracer() -> Tracer | None:
    """Return where spans go; None when they are not wanted."""
    return _installed.tracer


def content_wanted() -> bool:
    """Tell whether the operator asked for what users wrote to be sent along."""
    return _installed.content


def measure(metric: Metric, value: float = 1, attributes: Attributes | None = None) -> None:
    """Add to a counter, set a gauge, or record a value of a histogram, in the metric's unit."""
    instrument = _installed.instruments.get(metric.name)
    if instrument is not None:
        instrument(value, attributes)


def watch(metric: Metric, read: Reading) -> None:
    """Let a count be read whenever metrics are sent."""
    if metric.name in _installed.watched:
        _installed.watched[metric.name].append(read)


def measuring() -> bool:
    """Tell whether metrics go anywhere; what costs something to find out need not be found out otherwise."""
    return bool(_installed.instruments)


def _measured() -> list[Metric]:
    return [each for each in METRICS if each.kind != "watched"]


def _watched() -> list[Metric]:
    return [each for each in METRICS if each.kind == "watched"]


def _watching(meter: Meter, metric: Metric) -> list[Reading]:
    readings: list[Reading] = []

    def observe(options: CallbackOptions) -> Iterator[Observation]:
        for value, attributes in [read() for read in readings]:
            yield Observation(value, attributes)

    meter.create_observable_counter(metric.name, [observe], metric.unit, metric.description)
    return readings


def _instrument(meter: Meter, metric: Metric) -> Instrument:
    named = {"name": metric.name, "unit": metric.unit, "description": metric.description}
    if metric.kind == "counter":
        return meter.create_counter(**named).add
    if metric.kind == "gauge":
        return meter.create_gauge(**named).set
    return meter.create_histogram(**named, explicit_bucket_boundaries_advisory=metric.buckets).record
