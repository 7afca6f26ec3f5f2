"""The embedded broker as a process of its own: ``python -m services.embedded.broker`` prints where it listens."""

from __future__ import annotations

import asyncio

from continuity.hosting.observed import observed
from continuity.hosting.run import announce, stop_signal, unless_misconfigured
from continuity.messaging.embedded_broker import EmbeddedBroker
from continuity.messaging.topics import broker_topics, load_topics
from services.embedded.settings import Settings


async def run(settings: Settings) -> None:
    """Run until a signal comes."""
    stopped = stop_signal()
    broker = EmbeddedBroker()
    try:
        await broker.create(broker_topics(load_topics(settings.topics_folder)))
        announce(broker.bootstrap_servers)
        await stopped.wait()
    finally:
        broker.close()


if __name__ == "__main__":
    with unless_misconfigured():
        settings = Settings()
        with observed(settings, "broker"):
            asyncio.run(run(settings))
