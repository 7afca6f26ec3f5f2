"""Requests to the engine's model, and what came back."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from continuity.inference.client import TritonClient
from continuity.inference.errors import RenderRefused
from continuity.inference.tensors import Tensors
from services.rendering.adapters.sdxl_tensors import SDXL
from tests.integration.engine.cases import Case

ENDLESS = Case({"steps": 150, "images": 8})
"""Outlasts whatever happens beside it."""
OF_LONG_STEPS = Case({"steps": 1, "hires": {"scale": 1.75, "strength": 1.0, "steps": 30}})
"""So does this; from the second step on, each takes longer than it takes to prepare a request or to hear of its end."""


@dataclass
class Answer:
    """``steps`` are (step, of how many), in the order of their coming."""

    steps: list[tuple[int, int]] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list)
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    manifests: list[dict[str, Any]] = field(default_factory=list)

    @property
    def sha256(self) -> list[str]:
        """What each picture is known by."""
        return [hashlib.sha256(each.tobytes()).hexdigest() for each in self.pictures]

    def hear(self, response: Tensors) -> None:
        """Take in one response."""
        if "image" in response:
            self.pictures.append(response["image"])
            self.manifests.append(json.loads(response["manifest"][0]))
            return
        self.steps.append((int(response["step"][0]), int(response["steps"][0])))
        self.previews += [bytes(response["preview"][0])] if response["preview"][0] else []


def silent(_response: Tensors) -> None:
    """Hear nothing."""


async def answered(
    client: TritonClient,
    case: Case,
    id: str = "one",
    *,
    priority: int = 50,
    heard: Callable[[Tensors], None] = silent,
    **more: object,
) -> Answer:
    """Ask, and return when the last response is there; ``heard`` is told each. Raises what the client raises."""
    answer = Answer()
    stream = client.stream(SDXL, case.inputs(id, **more), request_id=id, timeout_s=300, priority=priority)
    async with aclosing(stream) as responses:
        async for response in responses:
            answer.hear(response)
            heard(response)
    return answer


async def begun(
    client: TritonClient,
    case: Case,
    id: str,
    heard: Callable[[Tensors], None] = silent,
    *,
    step: int = 1,
    **more: object,
) -> asyncio.Task[Answer]:
    """Return the task of a request that has taken so many steps."""
    stepped = asyncio.Event()

    def hear(response: Tensors) -> None:
        heard(response)
        if int(response["step"][0]) >= step:
            stepped.set()

    task = asyncio.create_task(answered(client, case, id, heard=hear, **more))
    waiting = asyncio.create_task(stepped.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()
    return task


async def left(*tasks: asyncio.Task[Answer]) -> None:
    """Cancel requests and return when their streams have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def require_refusal(
    client: TritonClient, case: Case, word: str, text: str, id: str = "one", priority: int = 50
) -> None:
    """Ask, and have it refused with this code word for this reason; both are patterns."""
    with pytest.raises(RenderRefused) as refused:
        await answered(client, case, id, priority=priority)
    assert re.match(rf"(?s)\[{word}\] .*{text}", refused.value.detail), refused.value.detail
