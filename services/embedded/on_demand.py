"""Triton, started once somebody wants a picture: who only reads has no use for seconds of torch and its gigabytes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from continuity.inference.errors import TinyModelUnmade, TritonMissing
from continuity.inference.server import TritonServer
from continuity.inference.watchdog import TritonWatchdog
from continuity.kernel.errors import ContinuityError
from services.embedded.settings import Settings
from services.embedded.tiny_model import make_tiny_model
from services.embedded.triton import embedded_triton

_log = logging.getLogger(__name__)

NOBODY = "127.0.0.1:1"
LOOK_S = 0.5


class RendererOnDemand:
    """Jobs wait until it serves, and for ever where it is not installed. Its address is known before it is started."""

    def __init__(self, settings: Settings) -> None:
        self.address = NOBODY
        self._settings = settings
        self._wanted = asyncio.Event()
        self._server: TritonServer | None = None
        self._watchdog: TritonWatchdog | None = None
        try:
            self._server, self._watchdog = embedded_triton(settings)
        except TritonMissing as error:
            _log.warning("jobs will wait: %s", error)
        else:
            self.address = self._server.address

    @property
    def started(self) -> bool:
        """Whether somebody has wanted it."""
        return self._wanted.is_set()

    def start(self) -> bool:
        """Have it started; return false where it cannot be."""
        self._wanted.set()
        return self._watchdog is not None

    async def run(self, nothing_to_do: Callable[[], Awaitable[bool]], look_s: float = LOOK_S) -> None:
        """Wait until it is wanted, or until there is accepted work, and start it."""
        while not self.started:
            if not await _is_certain(nothing_to_do):
                self._wanted.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(look_s):
                    await self._wanted.wait()
        if self._watchdog is None:
            return
        try:
            await make_tiny_model(self._settings)
        except TinyModelUnmade as error:
            _log.warning("jobs will wait: %s", error)
        else:
            self._watchdog.start()

    async def stop(self) -> None:
        """End it, or give its port back."""
        running = self._watchdog if self.started else self._server
        if running is not None:
            await running.stop()


async def _is_certain(nothing_to_do: Callable[[], Awaitable[bool]]) -> bool:
    """Ask; where no answer comes there may be work."""
    try:
        return await nothing_to_do()
    except ContinuityError:
        return False
