"""Running a service as a process of its own: log, start, wait for a signal, drain."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from continuity.documents.port import Collection
from continuity.hosting.hosted import Host, Hosted
from continuity.hosting.platform import Platform, open_platform
from continuity.hosting.settings import PlatformSettings

S = TypeVar("S", bound=PlatformSettings)


def run_service(
    settings: S, collections: Sequence[Collection], bootstrap: Callable[[S, Platform], Awaitable[Hosted]]
) -> None:
    """Run one service until SIGTERM or SIGINT. Prints its address on standard output once it serves."""
    set_up_logging(settings.log_level)
    asyncio.run(_run(settings, collections, bootstrap))


async def _run(
    settings: S, collections: Sequence[Collection], bootstrap: Callable[[S, Platform], Awaitable[Hosted]]
) -> None:
    stopped = stop_signal()
    platform = await open_platform(settings, collections)
    host = Host(settings.listen_address, [await bootstrap(settings, platform)])
    try:
        announce(await host.start())
        await stopped.wait()
    finally:
        await host.stop(settings.drain_s)
        await platform.close()


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def announce(address: str) -> None:
    """Tell whoever started this process where it listens."""
    sys.stdout.write(f"serving {address}\n")
    sys.stdout.flush()


def set_up_logging(level: str) -> None:
    """Log to standard error; the libraries below only when something is wrong."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
