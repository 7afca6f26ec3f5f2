"""A limit on calls in flight, whose refusals say when to come again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from continuity.kernel.errors import Full
from continuity.rpc.errors import Context, abort, rich_status

_ALWAYS = ("/grpc.health.",)
"""Who asks whether a server is well is answered, however much it has to do."""


@dataclass(eq=False)
class TooManyCalls(Full):
    """The server has as many calls in flight as it takes on."""

    template = "{in_flight} calls are in flight and {limit} is the limit"
    in_flight: int
    limit: int


class CallLimit(grpc.aio.ServerInterceptor):
    """Refuses calls while ``in_flight`` tells of ``limit`` or more, for gRPC's own refusal names no delay."""

    def __init__(self, in_flight: Callable[[], int], limit: int) -> None:
        self._in_flight = in_flight
        self._limit = limit

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the method's handler, or one that refuses."""
        handler = await continuation(handler_call_details)
        in_flight = self._in_flight()
        if handler is None or in_flight < self._limit or handler_call_details.method.startswith(_ALWAYS):
            return handler
        return _refusing(handler, TooManyCalls(in_flight, self._limit))


def _refusing(handler: grpc.RpcMethodHandler[Any, Any], error: TooManyCalls) -> grpc.RpcMethodHandler[Any, Any]:
    async def refuse(request: Any, context: Context) -> None:
        await abort(context, rich_status(error))

    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    kind: Any = kinds[handler.request_streaming, handler.response_streaming]
    refusal: grpc.RpcMethodHandler[Any, Any] = kind(refuse, handler.request_deserializer, handler.response_serializer)
    return refusal
