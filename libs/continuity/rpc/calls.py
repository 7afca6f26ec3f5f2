"""What every call goes through: trace, project, validation, deadline, errors, and a count of what is in flight.

One interceptor does all of it, so that the order is written down in one place.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc

from continuity.kernel.errors import ContinuityError, InvalidValue, Late
from continuity.kernel.ids import new_id
from continuity.rpc.errors import Context, abort, invalid_request, opaque_status, rich_status, status_code
from continuity.telemetry.propagation import current_trace_id
from continuity.telemetry.rpc import note_reason, served
from continuity.telemetry.tracing import reason_of
from continuity.wire.rules import violations

_log = logging.getLogger(__name__)

PROJECT_HEADER = "x-continuity-project"
DEFAULT_PROJECT = "default"
MAX_UNARY_S = 60.0
"""The longest that a unary call may take, whatever deadline the caller sets."""

_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_OURS = "/continuity.api."
_current: ContextVar[str] = ContextVar("continuity_project", default=DEFAULT_PROJECT)


def current_project() -> str:
    """Return the project that the running call belongs to."""
    return _current.get()


class Calls(grpc.aio.ServerInterceptor):
    """Wraps every method of our own services; of the others it counts streams, by which clients hold the server."""

    def __init__(self) -> None:
        self.in_flight = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the method's handler with all of this around it."""
        handler = await continuation(handler_call_details)
        ours = handler_call_details.method.startswith(_OURS)
        if handler is None or handler.request_streaming:
            return handler
        if not ours:
            return self._counted(handler) if handler.response_streaming else handler
        name = handler_call_details.method[1:]
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(name, handler.unary_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(name, handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _counted(self, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        method: Any = handler.unary_stream

        async def call(request: Any, context: Context) -> None:
            self.in_flight += 1
            try:
                await method(request, context)  # grpc's own write to the context instead of yielding
            finally:
                self.in_flight -= 1

        return grpc.unary_stream_rpc_method_handler(
            call,
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _unary(self, name: str, method: Any) -> Any:
        async def call(request: Any, context: Context) -> Any:
            self.in_flight += 1
            longest = asyncio.timeout(MAX_UNARY_S)
            try:
                with served(name, request, context):
                    try:
                        await _admit(request, context)
                        async with longest:
                            return await method(request, context)
                    except Exception as error:
                        await _refuse(CallTooLong(limit_s=MAX_UNARY_S) if longest.expired() else error, context)
            finally:
                self.in_flight -= 1

        return call

    def _streaming(self, name: str, method: Any) -> Any:
        async def call(request: Any, context: Context) -> None:
            # It writes instead of yielding: grpc ends a generator in another context, in which no span can be left.
            self.in_flight += 1
            try:
                with served(name, request, context):
                    try:
                        await _admit(request, context)
                        async with aclosing(method(request, context)) as responses:
                            async for response in responses:
                                await context.write(response)
                    except Exception as error:
                        await _refuse(error, context)
            finally:
                self.in_flight -= 1

        return call


async def _admit(request: Any, context: Context) -> None:
    """Bind the project and check the request against the rules in its proto."""
    _current.set(_project(context))
    if broken := violations(request):
        told = [(each.field or "request", each.limit) for each in broken]
        await abort(context, invalid_request(told, broken[0].value))


def _project(context: Context) -> str:
    named = dict(context.invocation_metadata() or ()).get(PROJECT_HEADER, DEFAULT_PROJECT)
    project = named.decode() if isinstance(named, bytes) else named
    if not _PROJECT.fullmatch(project):
        raise InvalidValue(field=PROJECT_HEADER, value=project, limit="1 to 63 of a-z, 0-9 and '-'")
    return project


async def _refuse(error: Exception, context: Context) -> None:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    note_reason(reason_of(error))
    if isinstance(error, ContinuityError) and status_code(error) is not grpc.StatusCode.INTERNAL:
        await abort(context, rich_status(error))
    trace_id = current_trace_id() or new_id()
    _log.error("call failed, trace %s", trace_id, exc_info=error)
    await abort(context, opaque_status(trace_id))


@dataclass(eq=False)
class CallTooLong(Late):
    """A call took longer than any may."""

    template = "the call took longer than {limit_s} s"
    limit_s: float
