"""Spans and durations of gRPC calls, and their traceparent on the way in and out.

Source: OpenTelemetry semantic conventions for RPC and gRPC. A server's span has failed only where the server has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message
from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode

from continuity.telemetry import names
from continuity.telemetry.propagation import TRACEPARENT, current_traceparent, traceparent_of
from continuity.telemetry.providers import Attributes, adopt_host_program, measure, tracer
from continuity.telemetry.tracing import begin, current, note_content, span

Details: TypeAlias = grpc.aio.ClientCallDetails
Metadata: TypeAlias = tuple[tuple[str, str], ...]
Continuation: TypeAlias = Callable[[Details, Any], Awaitable[Any]]

_OURS = "/continuity.api."
_OK = grpc.StatusCode.OK.name
_CANCELLED = grpc.StatusCode.CANCELLED.name
_SERVER_FAULTS = frozenset(("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))


def served(method: str, request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> AbstractContextManager[Span]:
    """Run a call that comes in as part of its caller's trace. ``method`` is ``package.Service/Method``."""
    parent = _incoming(context.invocation_metadata() or ())
    return span(names.SERVE, parent=parent) if tracer() is None else _served(method, request, context, parent)


def note_reason(reason: str) -> None:
    """Tell in the running call's span why it was refused."""
    trace.get_current_span().set_attribute(names.REASON, reason)


def client_interceptors() -> Sequence[grpc.aio.ClientInterceptor]:
    """Return what makes the calls of a channel part of traces; nothing where there are none, now and later."""
    adopt_host_program()
    return () if tracer() is None else (_UnaryCalls(), _StreamingCalls())


@contextmanager
def _served(
    method: str, request: Message, context: grpc.aio.ServicerContext[Any, Any], parent: str | None
) -> Iterator[Span]:
    call = _Call(names.SERVE, method, {}, parent)
    note_content(call.span, request)
    status = _CANCELLED
    with current(call.span):
        try:
            yield call.span
            status = _OK
        except Exception:
            status = _status(context)
            raise
        finally:
            call.judge(status, failed=status in _SERVER_FAULTS)
            measure(names.SERVER_CALLS, call.seconds, call.described)


class OutgoingCall:
    """A call to another server that is under way, as a span and a duration."""

    def __init__(self, method: str, attributes: Attributes | None = None) -> None:
        self._call = _Call(names.CALL, method, attributes or {}, None)
        traceparent = traceparent_of(self._call.span) or current_traceparent()
        self.metadata = ((TRACEPARENT, traceparent),) if traceparent else ()

    def end(self, status: str, reason: str = "") -> None:
        """Tell how it went: the name of the gRPC status, and the reason where the failure was in the answer."""
        self._call.judge(status, failed=status != _OK or bool(reason))
        if reason:
            self._call.span.set_attribute(names.REASON, reason)
        self._call.span.end()
        measure(names.CLIENT_CALLS, self._call.seconds, self._call.described)

    async def end_with(self, call: Any) -> None:
        """Wait for the end of a grpc.aio call and tell how it went."""
        status = _CANCELLED
        try:
            status = (await call.code()).name
        finally:
            self.end(status)


class _Call:
    def __init__(self, operation: names.Operation, method: str, attributes: Attributes, parent: str | None) -> None:
        self.described = {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method, **attributes}
        self.span = begin(operation, method, self.described, parent=parent)
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun

    def judge(self, status: str, *, failed: bool) -> None:
        """Note the status; ``described`` gets it for the metrics, too."""
        told = {names.RPC_STATUS: status} if status == _OK else {names.RPC_STATUS: status, names.ERROR_TYPE: status}
        self.described.update(told)
        self.span.set_attributes(told)
        if failed:
            self.span.set_status(StatusCode.ERROR)


class _UnaryCalls(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Continuation, details: Details, request: Any) -> Any:
        outgoing = _outgoing(details)
        if outgoing is None:
            return await continuation(details, request)
        call = await continuation(_with(details, outgoing.metadata), request)
        await outgoing.end_with(call)
        return call


class _StreamingCalls(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self) -> None:
        self._ends: set[asyncio.Task[None]] = set()

    async def intercept_unary_stream(self, continuation: Continuation, details: Details, request: Any) -> Any:
        outgoing = _outgoing(details)
        if outgoing is None:
            return await continuation(details, request)
        call = await continuation(_with(details, outgoing.metadata), request)
        end = asyncio.create_task(outgoing.end_with(call))  # the stream's own end ends it
        self._ends.add(end)
        end.add_done_callback(self._ends.discard)
        return call


def _outgoing(details: Details) -> OutgoingCall | None:
    path = details.method.decode() if isinstance(details.method, bytes) else details.method
    return OutgoingCall(path[1:]) if path.startswith(_OURS) else None


def _with(details: Details, metadata: Metadata) -> Details:
    together = grpc.aio.Metadata(*(details.metadata or ()), *metadata)
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, together, details.credentials, details.wait_for_ready
    )


def _incoming(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    found = next((value for name, value in metadata if name == TRACEPARENT), None)
    return found.decode("ascii", "replace") if isinstance(found, bytes) else found


def _status(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    code: Any = context.code()  # what the call was aborted with; the stubs know it as a number only
    return code.name if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN.name
