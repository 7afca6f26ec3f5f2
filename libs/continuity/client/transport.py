"""How calls are made: project, deadline, and patience with a service that is away for a moment."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Self, TypeVar

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


class RetryBudget:
    """Allows a small burst of repetitions, and beyond it one for every ten calls.

    So a service that is down or full sees a tenth more of calls from its clients, not a multiple of them.
    """

    def __init__(self, burst: float = 10.0, share: float = 0.1) -> None:
        self._burst = burst
        self._share = share
        self._left = burst

    def note_call(self) -> None:
        """Take note of a call that is not a repetition."""
        self._left = min(self._burst, self._left + self._share)

    def take(self) -> bool:
        """Tell whether a call may be repeated now; if so, that is one less."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """Take note that a repetition has done what the call was to do."""
        self._left = min(self._burst, self._left + 1)


class Transport:
    """Makes the calls of one project on one channel."""

    def __init__(self, channel: grpc.aio.Channel, project: str, timeout_s: float, backoff: Backoff) -> None:
        self.channel = channel
        self._project = project
        self._metadata: tuple[tuple[str, str], ...] = ((PROJECT_HEADER, project),)
        self._timeout_s = timeout_s
        self._backoff = backoff
        self._budget = RetryBudget()

    def to(self, header: str, value: str) -> Self:
        """Return the same with one more header, by which a proxy routes."""
        routed = type(self)(self.channel, self._project, self._timeout_s, self._backoff)
        routed._metadata = (*self._metadata, (header, value))
        routed._budget = self._budget
        return routed

    async def unary(self, method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q, *, repeatable: bool) -> A:
        """Call; where the call is repeatable, again while the service is UNAVAILABLE. Raises ``CallFailed``.

        A service that is full is called again after the delay that it asks for, if it names one. The deadline covers
        all attempts together, and the budget all calls.
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
        self._budget.note_call()
        while True:
            call = method(request, metadata=self._metadata)
            try:
                async for answer in call:
                    if failures:
                        self._budget.give_back()
                    failures = 0
                    yield answer
                return
            except grpc.aio.AioRpcError as error:
                failures += 1
                await self._wait_or_raise(call_failed(error), failures, self._backoff.attempts, math.inf)
            finally:
                call.cancel()

    async def _patiently(self, attempt: Callable[[float], Awaitable[T]], attempts: int) -> T:
        clock = asyncio.get_running_loop()
        deadline = clock.time() + self._timeout_s
        failures = 0
        earlier: CallFailed | None = None
        self._budget.note_call()
        while True:
            try:
                return await attempt(max(deadline - clock.time(), 0.0))
            except grpc.aio.AioRpcError as error:
                failed = call_failed(error)
                if earlier is not None and failed.status is grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise earlier from None  # why the call was repeated says more
                earlier, failures = failed, failures + 1
                await self._wait_or_raise(failed, failures, attempts, deadline - clock.time())

    async def _wait_or_raise(self, failed: CallFailed, failures: int, attempts: int, left_s: float) -> None:
        wait_s = self._wait_s(failed, failures)
        if wait_s is None or wait_s >= left_s or failures >= attempts or not self._budget.take():
            raise failed from None
        await asyncio.sleep(wait_s)

    def _wait_s(self, failed: CallFailed, failures: int) -> float | None:
        """Return the wait before the call may be repeated; None where it must not be."""
        # An error of our own says which; without a reason a proxy has lost the service amid the answer.
        torn = failed.status is grpc.StatusCode.INTERNAL and not failed.told
        if torn or failed.status is grpc.StatusCode.UNAVAILABLE:
            return self._backoff.wait_s(failures)
        if failed.status is grpc.StatusCode.RESOURCE_EXHAUSTED and failed.retry_after_s is not None:
            # Never sooner than asked, and not all clients at once.
            return failed.retry_after_s + self._backoff.wait_s(1)
        return None
