"""Tell operators of jobs that nobody here may draw."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from services.rendering.handlers.stores import Jobs

_log = logging.getLogger(__name__)

INTERVAL_S = 60.0
COUNT_LIMIT = 10_000
"""Counting costs more than knowing that it is too much."""


@dataclass
class OthersJobs:
    """Warns when the number of unfinished jobs that wait for another renderer than ``renderer`` is another one."""

    jobs: Jobs
    renderer: str
    told: int = 0

    async def run(self) -> None:
        """Look every minute until cancelled."""
        while True:
            await self()
            await asyncio.sleep(INTERVAL_S)

    async def __call__(self) -> None:
        """Look once."""
        mine = await self.jobs.undrawn(COUNT_LIMIT)
        others = max(0, await self.jobs.unfinished(None, COUNT_LIMIT) - mine)
        if others and others != self.told:
            _log.warning("%d jobs wait: they were accepted for another renderer than %s", others, self.renderer)
        self.told = others
