"""How calls are made: project, deadline, and patience with a service that is away for a moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from continuity.client.errors import CallFailed, call_failed
from continuity.rpc.calls import PROJECT_HEADER

Q = TypeVar("Q", bound=Message)
A = TypeVar("A", bound=Message)
T = TypeVar("T")


@dataclass(frozen=True)
class Backoff:
    """How often and when to try again: waits are random, at most ``first_s``, then double that, up to ``longest_s``."""

    attempts: int = 5
    first_s: float = 0.2
    longest_s: float = 3.0

    def wait_s(self, failures: int) -> float:
        """Return the wait after that many failures; random, so that clients do not come back all at once."""
        return random.uniform(0, min(self.longest_s, self.first_s * 2 ** (failures - 1)))


class Transport:
    """Makes the calls of one project on one channel."""

    def __init__(self, channel: grpc.aio.Channel, project: str, timeout_s: float, backoff: Backoff) -> None:
        self.channel = channel
        self._metadata = ((PROJECT_HEADER, project),)
        self._timeout_s = timeout_s
        self._backoff = backoff

    async def unary(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q, *, repeatable: bool) -> A:
        """Call; where the call is repeatable, again while the service is UNAVAILABLE. Raises ``CallFailed``.

        The deadline covers all attempts together.
        """

        async def attempt(timeout_s: float) -> A:
            return await method(request, timeout=timeout_s, metadata=self._metadata)

        return await self._patiently(attempt, self._backoff.attempts if repeatable else 1)

    async def collect(self, method: grpc.aio.UnaryStreamMultiCallable[Q, A], request: Q) -> tuple[A, ...]:
        """Call and return all that is streamed, repeated and bounded as a unary call is. Raises ``CallFailed``."""

        async def attempt(timeout_s: float) -> tuple[A, ...]:
            call = method(request, timeout=timeout_s, metadata=self._metadata)
            return tuple([answer async for answer in call])

        return await self._patiently(attempt, self._backoff.attempts)

    async def follow(self, method: grpc.aio.UnaryStreamMultiCallable[Q, A], request: Q) -> AsyncIterator[A]:
        """Stream without a deadline, begun anew when the service goes away. Raises ``CallFailed``.

        The stream must be one that starts with the present state. The count of attempts starts over with every answer.
        """
        failures = 0
        while True:
            call = method(request, metadata=self._metadata)
            try:
                async for answer in call:
                    failures = 0
                    yield answer
                return
            except grpc.aio.AioRpcError as error:
                failures += 1
                await self._wait_or_raise(error, failures, self._backoff.attempts)
            finally:
                call.cancel()

    async def _patiently(self, attempt: Callable[[float], Awaitable[T]], attempts: int) -> T:
        clock = asyncio.get_running_loop()
        deadline = clock.time() + self._timeout_s
        failures = 0
        while True:
            try:
                return await attempt(max(deadline - clock.time(), 0.0))
            except grpc.aio.AioRpcError as error:
                failures += 1
                await self._wait_or_raise(error, failures, attempts)

    async def _wait_or_raise(self, error: grpc.aio.AioRpcError, failures: int, attempts: int) -> None:
        failed: CallFailed = call_failed(error)
        if error.code() is not grpc.StatusCode.UNAVAILABLE or failures >= attempts:
            raise failed from None
        await asyncio.sleep(self._backoff.wait_s(failures))
