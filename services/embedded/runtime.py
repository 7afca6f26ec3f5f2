"""The embedded runtime: broker, Triton and all services in one process, behind one port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from continuity.documents.sqlite import EventLog, SqliteDocuments
from continuity.hosting.hosted import Host, Hosted
from continuity.hosting.platform import Platform, open_platform
from continuity.hosting.run import announce, stop_signal
from continuity.inference.errors import TritonMissing
from continuity.messaging.embedded_broker import EmbeddedBroker
from continuity.messaging.topics import broker_topics
from services.characters import bootstrap as characters
from services.characters.settings import Settings as CharactersSettings
from services.embedded.claim import sole_runtime, told
from services.embedded.settings import Settings
from services.embedded.triton import embedded_triton
from services.matting import bootstrap as matting
from services.matting.settings import Settings as MattingSettings
from services.prompts import bootstrap as prompts
from services.prompts.settings import Settings as PromptsSettings
from services.rendering import bootstrap as rendering
from services.rendering.settings import Settings as RenderingSettings
from services.vision import bootstrap as vision
from services.vision.settings import Settings as VisionSettings

_log = logging.getLogger(__name__)

COLLECTIONS = (
    *characters.COLLECTIONS,
    *vision.COLLECTIONS,
    *matting.COLLECTIONS,
    *prompts.COLLECTIONS,
    *rendering.COLLECTIONS,
)
REPLAY_BATCH = 500
REPLAY_PATIENCE_S = 60.0
REPLAY_LOOK_S = 0.2
LOOK_S = 0.5


async def run(settings: Settings, *, exit_when_idle: bool) -> None:
    """Run until a signal comes or, if asked, until nothing is left to do. Raises ``RuntimeExists``."""
    stopped = stop_signal()
    with sole_runtime(settings.lock_path):
        async with serving(settings) as running:
            with told(settings.runtime_path, running.address):
                announce(running.address)
                if exit_when_idle:
                    await _signal_or_idle(running, stopped, settings.idle_exit_s)
                else:
                    await stopped.wait()


@dataclass(frozen=True)
class Running:
    """Everything, started."""

    address: str
    host: Host
    platform: Platform

    async def idle(self) -> bool:
        """Tell whether nobody calls, no accepted work is unfinished and no event waits to be handled."""
        waiting = await self.platform.backlog() if self.platform.backlog is not None else 0
        return not waiting and await self.host.idle()


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Running]:
    """Start everything, yield it, and stop everything."""
    async with AsyncExitStack() as stack:
        broker = EmbeddedBroker()
        stack.callback(broker.close)
        triton_address = await _start_triton(settings, stack)
        own = settings.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        platform = await open_platform(own, COLLECTIONS, broker_forgets=True)
        stack.push_async_callback(platform.close)
        await broker.create(broker_topics(platform.topics))
        host = Host(settings.listen_address, await _services(own, platform, triton_address))
        stack.push_async_callback(host.stop, settings.drain_s)
        publishing = asyncio.create_task(publish_again(platform))
        stack.push_async_callback(_ended, publishing)
        yield Running(await host.start(), host, platform)


async def publish_again(platform: Platform) -> None:
    """Publish what an earlier broker was told and some group had not handled when it went.

    No faster than it is handled: the broker keeps little, and the rest is not lost where it is.
    """
    if not isinstance(platform.documents, SqliteDocuments):
        return
    log, bus = platform.documents.event_log, platform.bus("embedded")
    await bus.start()
    try:
        await bus.connected()
        last = 0
        while pending := await log.pending(last, REPLAY_BATCH):
            await bus.publish([logged.event for logged in pending])
            last = pending[-1].seq
            await _handled(log, last)
    finally:
        await bus.stop()


async def _handled(log: EventLog, last: int) -> None:
    """Return when every group has handled what was logged up to ``last``, or takes too long to be waited for."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REPLAY_PATIENCE_S):
            while True:
                waiting = await log.pending(0, 1)
                if not waiting or waiting[0].seq > last:
                    return
                await asyncio.sleep(REPLAY_LOOK_S)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _start_triton(settings: Settings, stack: AsyncExitStack) -> str:
    """Begin to start Triton; jobs wait until it serves, and for ever where it is not installed."""
    try:
        server, watchdog = embedded_triton(settings.root, settings.home)
    except TritonMissing as error:
        _log.warning("jobs will wait: %s", error)
        return "127.0.0.1:1"
    watchdog.start()
    stack.push_async_callback(watchdog.stop)
    return server.address


async def _services(settings: Settings, platform: Platform, triton_address: str) -> list[Hosted]:
    common = settings.model_dump()
    render = RenderingSettings(**{**common, "triton_address": triton_address, "sole_renderer": True})
    return [
        await characters.bootstrap(CharactersSettings(**common), platform),
        await vision.bootstrap(VisionSettings(**common), platform),
        await matting.bootstrap(MattingSettings(**common), platform),
        await prompts.bootstrap(PromptsSettings(**common), platform),
        await rendering.bootstrap(render, platform),
    ]


async def _signal_or_idle(running: Running, stopped: asyncio.Event, idle_exit_s: float) -> None:
    """Return when a signal comes, or when nobody has called and nothing was unfinished for a while."""
    idle_s = 0.0
    while not stopped.is_set() and idle_s < idle_exit_s:
        try:
            async with asyncio.timeout(LOOK_S):
                await stopped.wait()
        except TimeoutError:
            idle_s = idle_s + LOOK_S if await running.idle() else 0.0
