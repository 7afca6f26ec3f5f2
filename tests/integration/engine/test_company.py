"""A request's bytes among hundreds of others: any order, any company, some of whom leave."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.tensors import Tensors
from tests.integration.engine.asking import answered
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, IN_BATCHES, Case

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(900)]

AT_ONCE = 60
MOST_STEPS = 4
PRIORITIES = (10, 50, 50, 90)
LEAVING = 0.2


def is_quick(case: Case) -> bool:
    """Whether hundreds of it take no more than a minute."""
    asked = case.spec("")
    is_plain = not {"hires", "refiner"} & asked.keys()
    return is_plain and (asked.get("steps") or MOST_STEPS) * asked.get("images", 1) <= MOST_STEPS


QUICK = [name for name, case in CASES.items() if is_quick(case)]


class Left(Exception):
    """Nobody wants the answer any more."""


@dataclass(frozen=True)
class Guest:
    """A request of the crowd; ``leaves_at`` is the response at which its client goes, None for those who stay."""

    name: str
    id: str
    priority: int
    project: str
    preview_every: int
    leaves_at: int | None


def guests(chance: random.Random, names: Sequence[str], count: int) -> list[Guest]:
    """Return so many, each of the cases among them."""
    chosen = chance.sample(names, len(names)) + chance.choices(names, k=count - len(names))
    chance.shuffle(chosen)
    return [
        Guest(
            name,
            f"guest-{number}",
            chance.choice(PRIORITIES),
            chance.choice("ABC"),
            chance.choice((0, 1, 3)),
            chance.randint(1, 3) if chance.random() < LEAVING else None,
        )
        for number, name in enumerate(chosen)
    ]


def leaving_at(count: int | None) -> Callable[[Tensors], None]:
    """Return what goes after so many responses."""
    heard = 0

    def hear(_response: Tensors) -> None:
        nonlocal heard
        heard += 1
        if heard == count:
            raise Left

    return hear


async def drawn(client: TritonClient, guest: Guest) -> list[str] | None:
    """Return the SHA-256 of each picture, None for who has left."""
    more = {"project": guest.project, "preview_every": guest.preview_every}
    heard = leaving_at(guest.leaves_at)
    try:
        answer = await answered(client, CASES[guest.name], guest.id, priority=guest.priority, heard=heard, **more)
    except Left:
        return None
    return answer.sha256


async def compared(client: TritonClient, crowd: Sequence[Guest], expected: Expected) -> int:
    """Have all of them drawn; return how many pictures were those that they are with nobody beside them."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(guest: Guest) -> list[str] | None:
        async with turn:
            return await drawn(client, guest)

    found = await asyncio.gather(*map(one, crowd))
    others = [
        guest for guest, pictures in zip(crowd, found, strict=True) if pictures not in (None, expected(guest.name))
    ]
    assert not others
    return sum(pictures is not None for pictures in found)


@pytest.mark.parametrize("seed", [1, 2])
async def test_everybody_gets_the_bytes_that_they_get_alone(
    client: TritonClient, expected: Expected, seed: int
) -> None:
    crowd = guests(random.Random(seed), QUICK, 150)
    assert await compared(client, crowd, expected) >= sum(guest.leaves_at is None for guest in crowd)


async def test_nor_does_it_matter_who_is_in_the_same_batch(
    batching_client: TritonClient, expected_in_batches: Expected
) -> None:
    crowd = guests(random.Random(3), IN_BATCHES, 120)
    assert await compared(batching_client, crowd, expected_in_batches) >= sum(each.leaves_at is None for each in crowd)
