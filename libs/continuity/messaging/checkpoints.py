"""What a consumer group has handled, where the broker does not remember it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Checkpoints(Protocol):
    """Remembers what a group has handled."""

    async def handled(self, group: str, event_ids: Sequence[str]) -> None:
        """Note that a group has handled events, all of them in one durable write."""
        ...


class NoCheckpoints:
    """For a broker that keeps the group's offsets itself."""

    async def handled(self, group: str, event_ids: Sequence[str]) -> None:
        """Leave it to the broker."""
