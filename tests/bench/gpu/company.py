"""The same requests alone and in company: whether their bytes stay the same."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.kernels.port import Kernels
from engine.work import Finished, Picture
from tests.bench.gpu.requests import drawer, prepared
from tests.bench.gpu.sections import Bench, Table


def company(bench: Bench, kernels: Kernels | None) -> Table:
    """The same requests alone and in shuffled company, one a batch and, at half the side, four: equal pictures."""
    executor = drawer(bench.checkpoint, bench.device, kernels)
    found: Table = {}
    for side_px in (bench.side_px, bench.side_px // 2):
        names = ("euler", "dpmpp-2m", "dpmpp-2m-sde", "euler")
        requests = [prepared(side_px, min(bench.steps), seed, sampler=name) for seed, name in enumerate(names)]
        alone = [_hash(reference_loop(executor, each)[0]) for each in requests]
        together = [_hash(each) for each in _shuffled(executor, requests, random.Random(7))]
        found[f"{side_px} px"] = {
            "slots": requests[0].shape.slots,
            "requests": len(alone),
            "different": len(set(alone)),
            "equal": sum(a == b for a, b in zip(alone, together, strict=True)),
        }
    return found


def _shuffled(executor: Drawer, requests: list[Any], draw: random.Random) -> list[Picture]:
    works = {i: executor.begin(each) for i, each in enumerate(requests)}
    pictures: dict[int, Picture] = {}
    while works:
        chosen = _mates(executor, works, draw)
        for i, outcome in zip(chosen, executor.run([works[i] for i in chosen]), strict=True):
            if isinstance(outcome, Exception):
                raise outcome
            for each in outcome:
                if isinstance(each, Picture):
                    pictures[i] = each
                elif isinstance(each, Finished):
                    works.pop(i).close()
    return [pictures[i] for i in sorted(pictures)]


def _mates(executor: Drawer, works: dict[int, Any], draw: random.Random) -> list[int]:
    """Return one work by chance and, by chance too, some of those that may share its batch."""
    first = draw.choice(sorted(works))
    group = works[first].next.group
    if group is None:
        return [first]
    mates = [i for i, each in works.items() if i != first and each.next.group == group]
    return [first, *draw.sample(mates, min(len(mates), draw.randrange(executor.slots(group))))]


def _hash(picture: Picture) -> str:
    return hashlib.sha256(picture.pixels.tobytes()).hexdigest()
