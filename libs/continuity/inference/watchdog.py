"""Keeps a Triton serving: notices a death at once, starts it anew at the same address, and says how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from continuity.inference.errors import TritonStartFailed


class RendererState(StrEnum):
    """How a watched server stands."""

    STARTING = "starting"
    SERVING = "serving"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class RendererHealth:
    """A state and, where it is not a good one, what led to it."""

    state: RendererState
    reason: str = ""


@dataclass(frozen=True)
class RestartPolicy:
    """Waits ``first_delay_s``, doubled up to ``longest_delay_s``, before each of ``most_restarts`` in a row.

    A server that served for ``settled_s`` starts a new row.
    """

    first_delay_s: float = 0.25
    longest_delay_s: float = 30.0
    most_restarts: int = 8
    settled_s: float = 60.0

    def delay_s(self, restart: int) -> float:
        """Return the wait before the restart of this number, counted from 0."""
        return min(self.longest_delay_s, self.first_delay_s * 2.0**restart)


class WatchedServer(Protocol):
    """What the watchdog needs of a server; ``TritonServer`` has it."""

    async def start(self) -> None:
        """Return when ready; raise ``TritonStartFailed`` with nothing left running."""

    async def died(self) -> str:
        """Return what died, once something did."""
        ...

    async def kill(self) -> None:
        """End it at once, so that it can be started again."""

    async def stop(self) -> None:
        """End it gently and for good."""


class TritonWatchdog:
    """Runs a server until ``stop``; ``on_change`` is told every new health."""

    def __init__(
        self,
        server: WatchedServer,
        *,
        on_change: Callable[[RendererHealth], None] = lambda _health: None,
        policy: RestartPolicy | None = None,
    ) -> None:
        self._server = server
        self._on_change = on_change
        self._policy = policy or RestartPolicy()
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._health = RendererHealth(RendererState.STOPPED)

    @property
    def health(self) -> RendererHealth:
        """How the server stands now."""
        return self._health

    def start(self) -> None:
        """Begin; returns at once, because a renderer that is not up must not hold up the rest."""
        self._report(RendererState.STARTING)
        self._task = asyncio.create_task(self._keep_serving())

    async def settled(self) -> RendererHealth:
        """Return the health as soon as it is serving, failed or stopped."""
        while self._health.state in (RendererState.STARTING, RendererState.RESTARTING):
            await self._changed.wait()
        return self._health

    async def stop(self) -> None:
        """End the watching and the server."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._server.stop()
        self._report(RendererState.STOPPED)

    async def _keep_serving(self) -> None:
        restarts = 0
        while True:
            served_s, reason = await self._serve_once()
            restarts = 0 if served_s >= self._policy.settled_s else restarts
            if restarts == self._policy.most_restarts:
                self._report(RendererState.FAILED, reason)
                return
            self._report(RendererState.RESTARTING, reason)
            await asyncio.sleep(self._policy.delay_s(restarts))
            restarts += 1

    async def _serve_once(self) -> tuple[float, str]:
        """Return for how many seconds the server served and why it ended."""
        try:
            await self._server.start()
        except TritonStartFailed as failure:
            return 0.0, str(failure)
        began_s = asyncio.get_running_loop().time()
        self._report(RendererState.SERVING)
        reason = await self._server.died()
        await self._server.kill()
        return asyncio.get_running_loop().time() - began_s, reason

    def _report(self, state: RendererState, reason: str = "") -> None:
        self._health = RendererHealth(state, reason)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        self._on_change(self._health)
