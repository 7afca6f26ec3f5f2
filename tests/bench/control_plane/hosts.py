"""The product's services with a null renderer, in one process: ``python -m tests.bench.control_plane.hosts NAME…``.

With ``--embedded`` the process carries the embedded broker as well, as ``services.embedded`` does.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from continuity.hosting.hosted import Host, Hosted
from continuity.hosting.platform import Platform, open_platform
from continuity.hosting.run import announce, stop_signal
from continuity.messaging.embedded_broker import EmbeddedBroker
from continuity.messaging.topics import broker_topics
from continuity.telemetry.logs import set_up_logging
from services.characters import bootstrap as characters
from services.characters.settings import Settings as CharactersSettings
from services.embedded.runtime import COLLECTIONS
from services.matting import bootstrap as matting
from services.matting.settings import Settings as MattingSettings
from services.prompts import bootstrap as prompts
from services.prompts.settings import Settings as PromptsSettings
from services.rendering import bootstrap as rendering
from services.rendering.settings import Settings as RenderingSettings
from services.vision import bootstrap as vision
from services.vision.settings import Settings as VisionSettings
from tests.bench.control_plane.null_renderer import NullRenderer
from tests.bench.control_plane.profiles import profiled

NAMES = ("characters", "vision", "matting", "prompts", "rendering")
DRAIN_S = 5.0


async def run(names: list[str], settings: RenderingSettings, *, embedded: bool) -> None:
    """Serve until a signal comes."""
    stopped = stop_signal()
    async with AsyncExitStack() as stack:
        if embedded:
            broker = EmbeddedBroker()
            stack.callback(broker.close)
            settings = settings.model_copy(
                update={"bootstrap_servers": broker.bootstrap_servers, "sole_renderer": True}
            )
        platform = await open_platform(settings, COLLECTIONS, broker_forgets=embedded)
        stack.push_async_callback(platform.close)
        if embedded:
            await broker.create(broker_topics(platform.topics))
        host = Host("127.0.0.1:0", [await hosted(name, settings, platform) for name in names])
        stack.push_async_callback(host.stop, DRAIN_S)
        address = await host.start()
        await host.connected()
        announce(address)
        await stopped.wait()


async def hosted(name: str, settings: RenderingSettings, platform: Platform) -> Hosted:
    """Return a service of the given name."""
    common = settings.model_dump()
    match name:
        case "characters":
            return await characters.bootstrap(CharactersSettings(**common), platform)
        case "vision":
            return await vision.bootstrap(VisionSettings(**common), platform)
        case "matting":
            return await matting.bootstrap(MattingSettings(**common), platform)
        case "prompts":
            return await prompts.bootstrap(PromptsSettings(**common), platform)
        case _:
            return await rendering.bootstrap(settings, platform, renderer=NullRenderer())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="+", choices=NAMES)
    parser.add_argument("--embedded", action="store_true")
    parser.add_argument("--profile", type=Path)
    asked = parser.parse_args()
    settings = RenderingSettings()
    set_up_logging(settings.log_level)
    with profiled(asked.profile):
        asyncio.run(run(asked.names, settings, embedded=asked.embedded))


if __name__ == "__main__":
    main()
