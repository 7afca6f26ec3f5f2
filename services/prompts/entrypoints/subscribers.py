"""Events ⇄ use cases."""

from __future__ import annotations

from collections.abc import Mapping

from continuity.api.events.v1 import render_events_pb2 as pb
from continuity.kernel.values import Failure
from continuity.messaging.envelope import Event
from continuity.messaging.handling import Subscription
from continuity.messaging.topics import Topic
from services.prompts.entrypoints.mapping import prompt_asked
from services.prompts.handlers.build_prompts import BuildPrompts


def subscription(build: BuildPrompts, topics: Mapping[str, Topic]) -> Subscription:
    """Return what the prompts service consumes."""

    async def requested(project: str, event: pb.RenderRequested) -> None:
        await build(project, prompt_asked(event))

    async def given_up(event: Event, failure: Failure) -> None:
        await build.give_up(event.project, event.subject, failure)

    return Subscription(topics["continuity.render.v1"], {pb.RenderRequested: requested}, given_up)
