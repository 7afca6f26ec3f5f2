"""What a command asks of the runtime that it has joined.

Both are of one installation and nobody else calls this: so it is no part of the published API, and needs no message of
its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BoolValue

SERVICE = "continuity.embedded.Runtime"
TIMEOUT_S = 5.0


class Runtime(Protocol):
    """A runtime that commands join."""

    async def start_renderer(self) -> bool:
        """Begin to start what draws, unless it is; return false where it cannot be started."""
        ...

    async def renderer_started(self) -> bool:
        """Tell whether what draws has been started."""
        ...

    async def end_if_idle(self) -> bool:
        """End where nobody calls and nothing is unfinished; tell whether it does."""
        ...


_QUESTIONS = {"StartRenderer": "start_renderer", "RendererStarted": "renderer_started", "EndIfIdle": "end_if_idle"}


def add_runtime(runtime: Runtime, server: grpc.aio.Server) -> None:
    """Have the server answer for the runtime."""
    handlers = {
        method: grpc.unary_unary_rpc_method_handler(
            _answering(getattr(runtime, question)), Empty.FromString, BoolValue.SerializeToString
        )
        for method, question in _QUESTIONS.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def _answering(question: Callable[[], Awaitable[bool]]) -> Callable[[Empty, Any], Awaitable[BoolValue]]:
    async def answer(_request: Empty, _context: Any) -> BoolValue:
        return BoolValue(value=await question())

    return answer


class RuntimeCalls:
    """The ``Runtime`` at the other end of a channel; every method raises ``grpc.aio.AioRpcError``."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def start_renderer(self) -> bool:
        """Begin to start what draws, unless it is; return false where it cannot be started."""
        return await self._ask("StartRenderer")

    async def renderer_started(self) -> bool:
        """Tell whether what draws has been started."""
        return await self._ask("RendererStarted")

    async def end_if_idle(self) -> bool:
        """End the runtime where nobody calls and nothing is unfinished; tell whether it does."""
        return await self._ask("EndIfIdle")

    async def _ask(self, method: str) -> bool:
        ask = self._channel.unary_unary(f"/{SERVICE}/{method}", Empty.SerializeToString, BoolValue.FromString)
        answer: BoolValue = await ask(Empty(), timeout=TIMEOUT_S)
        return answer.value
