"""The embedded runtime: broker, Triton and all services in one process, behind one port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from continuity.hosting.hosted import Host, Hosted
from continuity.hosting.platform import Platform, open_platform
from continuity.hosting.run import announce, stop_signal
from continuity.kernel.errors import ContinuityError
from continuity.messaging.embedded_broker import EmbeddedBroker
from continuity.messaging.topics import broker_topics
from continuity.rpc.runtime import add_runtime
from services.characters import bootstrap as characters
from services.characters.settings import Settings as CharactersSettings
from services.embedded.brought import brought
from services.embedded.claim import sole_runtime, told
from services.embedded.models import check_models
from services.embedded.on_demand import RendererOnDemand
from services.embedded.replay import publish_again
from services.embedded.settings import Settings
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
LOOKS = 5
"""How often it is looked within that time whether a command that lets go is the last."""


async def run(settings: Settings, *, exit_when_idle: bool) -> None:
    """Run until a signal comes or, if asked, until nothing is left to do. Raises ``RuntimeExists``, ``InvalidValue``.

    One that ends by itself starts what draws when that is wanted; commands may end it sooner.
    """
    check(settings)
    stopped = stop_signal()
    with sole_runtime(settings.lock_path):
        async with serving(settings, stopped, for_commands=exit_when_idle) as running:
            with told(settings.runtime_path, running.address, settings.renderer, brought(settings)):
                announce(running.address)
                if exit_when_idle:
                    await signal_or_idle(running, stopped, settings.idle_exit_s)
                else:
                    await stopped.wait()


def check(settings: Settings) -> None:
    """Raise ``InvalidValue`` naming a setting with which nothing could be drawn; nothing is opened for that."""
    wanted = RenderingSettings(**settings.model_dump())
    rendering.check(wanted)
    check_models(wanted)


class MayBeIdle(Protocol):
    """Whatever may have nothing left to do."""

    async def idle(self) -> bool:
        """Tell whether nothing is left to do. Raises ``ContinuityError``."""
        ...


@dataclass
class Running:
    """Everything, started."""

    host: Host
    platform: Platform
    address: str = ""

    async def idle(self) -> bool:
        """Tell whether nobody calls, no accepted work is unfinished and no event waits to be handled."""
        waiting = await self.platform.backlog() if self.platform.backlog is not None else 0
        return not waiting and await self.host.idle()


@dataclass(frozen=True)
class Joined:
    """The ``Runtime`` that commands ask; ``may_end`` where it is theirs."""

    running: MayBeIdle
    renderer: RendererOnDemand
    stopped: asyncio.Event
    may_end: bool

    async def start_renderer(self) -> bool:
        """Have what draws started."""
        return self.renderer.start()

    async def renderer_started(self) -> bool:
        """Tell whether what draws has been started."""
        return self.renderer.started

    async def end_if_idle(self) -> bool:
        """End where nobody calls; who asks may only just have let go, so that it is looked again for a moment."""
        for _ in range(LOOKS if self.may_end else 0):
            if await _is_idle(self.running):
                self.stopped.set()
                return True
            await asyncio.sleep(LOOK_S / LOOKS)
        return False


@asynccontextmanager
async def serving(settings: Settings, stopped: asyncio.Event, *, for_commands: bool) -> AsyncIterator[Running]:
    """Start everything, yield it, and stop everything."""
    async with AsyncExitStack() as stack:
        broker = EmbeddedBroker()
        stack.callback(broker.close)
        renderer = RendererOnDemand(settings)
        stack.push_async_callback(renderer.stop)
        if not for_commands:
            renderer.start()
        own = settings.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        platform = await open_platform(own, COLLECTIONS, broker_forgets=True)
        stack.push_async_callback(platform.close)
        await broker.create(broker_topics(platform.topics))
        services = await _services(own, platform, renderer)
        host = Host(settings.listen_address, services)
        running = Running(host, platform)
        host.server.add(partial(add_runtime, Joined(running, renderer, stopped, may_end=for_commands)), ())
        stack.push_async_callback(host.stop, settings.drain_s)
        for task in (publish_again(platform), renderer.run(partial(_nothing_to_do, services))):
            stack.push_async_callback(_ended, asyncio.create_task(task))
        running.address = await host.start()
        yield running


async def _nothing_to_do(services: Sequence[Hosted]) -> bool:
    """Tell whether no accepted work is unfinished."""
    return all([await service.idle() for service in services if service.idle is not None])


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _services(settings: Settings, platform: Platform, renderer: RendererOnDemand) -> list[Hosted]:
    common = settings.model_dump()
    render = RenderingSettings(**{**common, "triton_address": renderer.address, "sole_renderer": True})
    return [
        await characters.bootstrap(CharactersSettings(**common), platform),
        await vision.bootstrap(VisionSettings(**common), platform),
        await matting.bootstrap(MattingSettings(**common), platform),
        await prompts.bootstrap(PromptsSettings(**common), platform),
        await rendering.bootstrap(render, platform, start_renderer=renderer.start),
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
