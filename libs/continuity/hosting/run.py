"""Running a service as a process of its own: log, start, wait for a signal, drain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import ValidationError

import continuity
from continuity.documents.port import Collection
from continuity.hosting.hosted import CLOSE_S, Host, Hosted
from continuity.hosting.observed import observed
from continuity.hosting.platform import Platform, open_platform
from continuity.hosting.settings import PlatformSettings
from continuity.kernel.endings import within
from continuity.kernel.errors import Invalid, Misconfigured
from continuity.kernel.wrong_settings import wrong_variable

_log = logging.getLogger(__name__)
S = TypeVar("S", bound=PlatformSettings)

MISCONFIGURED = 2
"""Exit code of a process whose settings a person has to change, as of one that is called with wrong arguments."""


def run_service(
    name: str,
    settings_of: type[S],
    collections: Sequence[Collection],
    bootstrap: Callable[[S, Platform], Awaitable[Hosted]],
) -> None:
    """Run one service until SIGTERM or SIGINT. Prints its address on standard output once it serves.

    Settings that can never work end the process with ``MISCONFIGURED`` and one line that names them.
    """
    with unless_misconfigured():
        settings = settings_of()
        with observed(settings, name):
            asyncio.run(_run(settings, collections, bootstrap))


@contextmanager
def unless_misconfigured() -> Iterator[None]:
    """End the process when a person has to change its settings: no stack is of use to them."""
    try:
        yield
    except ValidationError as error:
        sys.stderr.write("".join(f"{wrong_variable(each)}\n" for each in error.errors(include_url=False)))
        sys.exit(MISCONFIGURED)
    except (Invalid, Misconfigured) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(MISCONFIGURED)


async def _run(
    settings: S, collections: Sequence[Collection], bootstrap: Callable[[S, Platform], Awaitable[Hosted]]
) -> None:
    stopped = stop_signal()
    platform = await _unless_stopped(stopped, open_platform(settings, collections))
    if platform is None:
        return
    try:
        hosted = await bootstrap(settings, platform)
        await _serve(settings, hosted, stopped)
    finally:
        for error in await within(CLOSE_S, [platform.close()]):
            _log.error("the stores could not be closed within %s s", CLOSE_S, exc_info=error)


async def _serve(settings: PlatformSettings, hosted: Hosted, stopped: asyncio.Event) -> None:
    host = Host(settings.listen_address, [hosted])
    try:
        announce(await host.start())
        await until_stopped(host, stopped)
    finally:
        await host.stop(settings.drain_s)


async def _unless_stopped(stopped: asyncio.Event, opening: Coroutine[Any, Any, Platform]) -> Platform | None:
    """Return what is being opened, or None when a signal comes before that."""
    task, waiting = asyncio.create_task(opening), asyncio.create_task(stopped.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        return task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return None


async def until_stopped(host: Host, stopped: asyncio.Event) -> None:
    """Return when a signal comes. Raises ``BrokerMisconfigured`` when the broker will never have us."""
    waiting = asyncio.create_task(stopped.wait())
    connecting = asyncio.create_task(host.connected())
    try:
        await asyncio.wait([waiting, connecting], return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            connecting.result()
            await waiting
    finally:
        waiting.cancel()
        connecting.cancel()


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def announce(address: str) -> None:
    """Tell whoever started this process where it listens, and the log besides which version does."""
    _log.info("version %s serves at %s", continuity.__version__, address)
    sys.stdout.write(f"serving {address}\n")
    sys.stdout.flush()
