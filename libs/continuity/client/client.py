"""The client: one address, one project, every service."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from continuity.client.characters import Characters
from continuity.client.dead_letters import DeadLetters
from continuity.client.locations import Locations
from continuity.client.shots import Shots
from continuity.client.transport import Backoff, Transport
from continuity.client.vocabulary import Vocabulary
from continuity.rpc.channel import open_channel

DEFAULT_TIMEOUT_S = 30.0
_DEFAULT_BACKOFF = Backoff()


class ContinuityClient:
    """Speaks to the services of Continuity; use it in ``async with``.

    ``timeout_s`` bounds every call but the watching ones, repetitions included. Calls that may be repeated are, while
    the service is UNAVAILABLE.
    """

    def __init__(
        self,
        address: str,
        project: str = "default",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        backoff: Backoff = _DEFAULT_BACKOFF,
    ) -> None:
        self._channel = open_channel(address)
        transport = Transport(self._channel, project, timeout_s, backoff)
        self.characters = Characters(transport)
        self.locations = Locations(transport)
        self.vocabulary = Vocabulary(transport)
        self.shots = Shots(transport)
        self.dead_letters = DeadLetters(transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()
