"""What a device has done since a test began."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.integration.engine.device import Device, Unit

_LIMIT_S = 120.0
_LOOK_S = 0.005


@dataclass(frozen=True)
class Seen:
    """``since_s`` is of ``time.monotonic``. What is awaited here has happened already or happens without the test."""

    device: Device
    since_s: float

    def units(self) -> list[Unit]:
        """Return all units, also one that is held."""
        return self.device.units_since(self.since_s)

    def steps(self) -> list[str]:
        """Return whose steps these were, in order."""
        return [id for unit in self.units() if unit.phase == "step" for id in unit.requests]

    def has_begun(self, id: str) -> bool:
        """Tell whether the device has done anything for a request, or is held before that."""
        return any(id in unit.requests for unit in self.units())

    async def prepared(self, *ids: str) -> None:
        """Return when the device's thread has been told of these requests."""
        await self._until(lambda: all(self.device.has_noted("prepared", id, self.since_s) for id in ids))

    async def unwanted(self, *ids: str) -> None:
        """Return when it has been told that nobody wants these any more."""
        await self._until(lambda: all(self.device.has_noted("unwanted", id, self.since_s) for id in ids))

    async def before(self, phase: str, requests: Sequence[str]) -> None:
        """Return when such a unit is the last that began; it is to be held."""
        await self._until(lambda: _is_last(self.units(), phase, requests))

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(_LIMIT_S):
            while not is_so():
                await asyncio.sleep(_LOOK_S)


def _is_last(units: Sequence[Unit], phase: str, requests: Sequence[str]) -> bool:
    return bool(units) and (units[-1].phase, units[-1].requests) == (phase, list(requests))
