"""How those who bring work wake the one who leases it."""

from __future__ import annotations

import asyncio
import contextlib

LOOK_AGAIN_S = 1.0
"""How long the worker waits before it looks by itself: work may come from another process."""


class WorkSignal:
    """Wakes the worker of this process, once for however much work has come."""

    def __init__(self) -> None:
        self._called = asyncio.Event()

    def there_is_work(self) -> None:
        """Wake the worker; while it works, it looks again instead of waiting the next time."""
        self._called.set()

    async def wait(self) -> None:
        """Return when there may be work."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN_S):
                await self._called.wait()
        self._called.clear()
