"""Which trace the running code belongs to, and how it travels: W3C ``traceparent`` and nothing else.

No baggage and no vendor's state: what travels with a trace is ids. Source: W3C Trace Context, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACEPARENT = "traceparent"
_W3C = TraceContextTextMapPropagator()


def current_traceparent() -> str | None:
    """Return the traceparent of the running code; None outside of a trace."""
    return traceparent_of(trace.get_current_span())


def current_trace_id() -> str | None:
    """Return the trace that the running code belongs to, 32 hexadecimal digits; None outside of one."""
    found = trace.get_current_span().get_span_context()
    return format_trace_id(found.trace_id) if found.is_valid else None


def traceparent_of(span: Span) -> str | None:
    """Return what names a span to others; None for one that is part of no trace."""
    found = span.get_span_context()
    return _written(found) if found.is_valid else None


def context_of(traceparent: str | None) -> Context | None:
    """Return the context that a traceparent names; None, which means the current one, where it names none."""
    return _W3C.extract({TRACEPARENT: traceparent}, context=Context()) if traceparent else None


def outgoing(home: str | None) -> str | None:
    """Return the traceparent for what an aggregate sends whose own trace is ``home``.

    The running code may belong to another trace: a character that becomes ready moves the jobs that wait for it. Then
    the aggregate's trace goes on where it began.
    """
    current = current_traceparent()
    return current if current and (not home or _trace(home) == _trace(current)) else home


@contextmanager
def continuing(traceparent: str | None) -> Iterator[None]:
    """Make what is done inside part of a trace, without a span of its own; None changes nothing."""
    found = context_of(traceparent)
    if found is None:
        yield
        return
    token = context.attach(found)
    try:
        yield
    finally:
        context.detach(token)


def _written(span: SpanContext) -> str:
    return f"00-{format_trace_id(span.trace_id)}-{format_span_id(span.span_id)}-{span.trace_flags:02x}"


def _trace(traceparent: str) -> str:
    return traceparent[3:35]
