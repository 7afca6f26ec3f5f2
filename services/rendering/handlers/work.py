"""How those who bring work wake those who do it."""

from __future__ import annotations

import asyncio
import contextlib

LOOK_AGAIN_S = 1.0
"""How long a worker waits before it looks by itself: work may come from another process."""


class WorkSignal:
    """Wakes the workers of this process."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def there_is_work(self) -> None:
        """Wake every worker."""
        self._event.set()

    async def wait(self) -> None:
        """Return when there may be work."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN_S):
                await self._event.wait()
        self._event.clear()
