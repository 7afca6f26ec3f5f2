"""A record as it came from a topic: bytes that may be one of our events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from continuity.kernel.ids import derived_id
from continuity.messaging.envelope import Event, EventMalformed, open_envelope


@dataclass(frozen=True)
class Record:
    """``key`` is None where the producer set none; a ``value`` is empty where there was none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes

    @classmethod
    def of(cls, raw: Any) -> Record:
        """Return what a Kafka client's record holds."""
        return cls(raw.topic, raw.partition, raw.offset, raw.key, tuple(raw.headers), raw.value or b"")

    @property
    def lane(self) -> str:
        """What is handled in order: the records of one key on one topic. Without a key every record is alone."""
        if self.key is None:
            return f"{self.topic}/{self.partition}@{self.offset}"
        return f"{self.topic}/{self.key.decode('utf-8', 'backslashreplace')[:200]}"

    def event(self) -> Event:
        """Return the event that it is. Raises ``EventMalformed``."""
        return open_envelope(self.headers, self.value)

    def held_id(self, group: str) -> str:
        """Return the id under which a group holds it: the event's, so that a second delivery is the same one."""
        try:
            return derived_id(group, self.event().key)
        except EventMalformed:
            return derived_id(group, self.topic, self.partition, self.offset)
