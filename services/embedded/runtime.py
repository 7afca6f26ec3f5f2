"""The embedded runtime: broker, Triton and all services in one process, behind one port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from continuity.hosting.hosted import Host, Hosted
from continuity.hosting.platform import Platform, open_platform
from continuity.hosting.run import announce, stop_signal
from continuity.inference.errors import TinyModelUnmade, TritonMissing
from continuity.kernel.errors import ContinuityError
from continuity.messaging.embedded_broker import EmbeddedBroker
from continuity.messaging.topics import broker_topics
from services.characters import bootstrap as characters
from services.characters.settings import Settings as CharactersSettings
from services.embedded.claim import sole_runtime, told
from services.embedded.replay import publish_again
from services.embedded.settings import Settings
from services.embedded.tiny_model import make_tiny_model
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
LOOK_S = 0.5


async def run(settings: Settings, *, exit_when_idle: bool) -> None:
    """Run until a signal comes or, if asked, until nothing is left to do. Raises ``RuntimeExists``."""
    stopped = stop_signal()
    with sole_runtime(settings.lock_path):
        async with serving(settings) as running:
            with told(settings.runtime_path, running.address, settings.renderer):
                announce(running.address)
                if exit_when_idle:
                    await signal_or_idle(running, stopped, settings.idle_exit_s)
                else:
                    await stopped.wait()


class MayBeIdle(Protocol):
    """Whatever may have nothing left to do."""

    async def idle(self) -> bool:
        """Tell whether nothing is left to do. Raises ``ContinuityError``."""
        ...


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


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _start_triton(settings: Settings, stack: AsyncExitStack) -> str:
    """Begin to start Triton; jobs wait until it serves, and for ever where it is not installed."""
    try:
        server, watchdog = embedded_triton(settings)
        await make_tiny_model(settings)
    except (TritonMissing, TinyModelUnmade) as error:
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


async def signal_or_idle(
    running: MayBeIdle, stopped: asyncio.Event, idle_exit_s: float, look_s: float = LOOK_S
) -> None:
    """Return when a signal comes, or when nobody has called and nothing was unfinished for ``idle_exit_s``."""
    idle_s = 0.0
    while not stopped.is_set() and idle_s < idle_exit_s:
        try:
            async with asyncio.timeout(look_s):
                await stopped.wait()
        except TimeoutError:
            idle_s = idle_s + look_s if await _is_idle(running) else 0.0


async def _is_idle(running: MayBeIdle) -> bool:
    """Ask; where no answer comes there may be work."""
    try:
        return await running.idle()
    except ContinuityError as error:
        _log.warning("it is not known whether work is left: %s", error)
        return False
