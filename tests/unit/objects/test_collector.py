import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import pytest

from continuity.objects.collector import Collected, Collector, nobody_refers
from continuity.objects.memory import InMemoryObjectStore
from continuity.objects.port import ListedObject, ObjectPage, ObjectStoreUnavailable

GRACE_S = 3600.0
LATER_S = 100 * GRACE_S


class SetClock:
    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def now(self) -> float:
        return self.seconds


class Scene:
    """A store, the keys that are referred to, and a collector over ``film…/mattes/…``."""

    def __init__(self, max_seen: int = 20_000, interval_s: float = 300.0) -> None:
        self.clock = SetClock()
        self.store = InMemoryObjectStore(clock=self.clock)
        self.needed: set[str] = set()
        self.asked: list[str] = []
        self.before_answer: Callable[[], Awaitable[object]] | None = None
        self.collector = Collector(
            self.store,
            "mattes",
            self.referenced,
            self.clock,
            grace_s=GRACE_S,
            interval_s=interval_s,
            max_seen=max_seen,
        )

    async def referenced(self, keys: Sequence[str]) -> set[str]:
        self.asked += keys
        answer = self.needed.intersection(keys)
        if self.before_answer:
            await self.before_answer()
        return answer

    async def put(self, *keys: str) -> None:
        for key in keys:
            await self.store.put(key, b"matte", "image/png")

    async def rounds(self, number: int = 2) -> int:
        return sum([(await self.collector.collect()).deleted for _ in range(number)])

    @property
    def keys(self) -> set[str]:
        return set(self.store.objects)


async def test_an_old_object_that_nobody_refers_to_goes_and_the_others_stay() -> None:
    scene = Scene()
    await scene.put("film/mattes/orphan", "film/mattes/needed", "film/locations/other", "film/mattes-old/other")
    scene.needed = {"film/mattes/needed"}
    scene.clock.seconds += GRACE_S
    await scene.put("film/mattes/young")
    assert await scene.rounds() == 1
    assert scene.keys == {"film/mattes/needed", "film/mattes/young", "film/locations/other", "film/mattes-old/other"}


async def test_no_object_goes_at_first_sight() -> None:
    scene = Scene()
    await scene.put("film/mattes/a")
    scene.clock.seconds += LATER_S
    assert await scene.collector.collect() == Collected(seen=1, deleted=0)
    assert await scene.collector.collect() == Collected(seen=1, deleted=1)


async def test_a_clock_that_jumps_between_object_and_document_costs_nothing() -> None:
    scene = Scene()
    await scene.put("film/mattes/a")
    scene.clock.seconds += LATER_S
    await scene.collector.collect()
    scene.needed.add("film/mattes/a")
    assert await scene.rounds(3) == 0


async def test_an_object_that_is_put_again_begins_a_new_life() -> None:
    scene = Scene()
    await scene.put("film/mattes/a")
    scene.clock.seconds += LATER_S
    await scene.collector.collect()
    await scene.put("film/mattes/a")
    assert await scene.rounds() == 0
    scene.clock.seconds += GRACE_S
    assert await scene.rounds() == 1


async def test_an_object_that_is_put_and_referred_to_while_it_is_judged_stays() -> None:
    scene = Scene()
    await scene.put("film/mattes/a")
    scene.clock.seconds += LATER_S
    await scene.collector.collect()
    scene.before_answer = lambda: scene.put("film/mattes/a")
    assert await scene.rounds(1) == 0
    assert scene.keys == {"film/mattes/a"}


async def test_deleting_asks_for_no_listing() -> None:
    scene = Scene()
    await scene.put(*(f"film/mattes/{number:04}" for number in range(300)))
    scene.clock.seconds += LATER_S
    listed, asked = scene.store.list, []

    async def noted(prefix: str, *, limit: int = 1000, after: str = "") -> ObjectPage:
        asked.append(prefix)
        return await listed(prefix, limit=limit, after=after)

    scene.store.list = noted  # type: ignore[method-assign]
    assert await scene.rounds() == 300
    assert len(asked) < 10


async def test_young_objects_are_not_even_asked_about() -> None:
    scene = Scene()
    await scene.put("film/mattes/a")
    assert await scene.rounds() == 0
    assert scene.asked == []


@pytest.mark.parametrize("projects", [["p"], ["a", "b"], ["p", "p-x", "p.x", "p0", "pp", "p-x-y", "P", "mattes"]])
async def test_every_project_is_walked(projects: list[str]) -> None:
    scene = Scene()
    for project in projects:
        await scene.put(*(f"{project}/{folder}/{name}" for folder in ("a", "mattes", "z") for name in "12"))
    scene.clock.seconds += LATER_S
    assert await scene.rounds() == 2 * len(projects)
    assert not [key for key in scene.keys if "/mattes/" in key]


async def test_a_pass_looks_at_a_bounded_number_of_objects_and_the_next_goes_on() -> None:
    scene = Scene(max_seen=500)
    await scene.put(*(f"film/mattes/{number:04}" for number in range(1200)))
    scene.clock.seconds += LATER_S
    first_round = [await scene.collector.collect() for _ in range(3)]
    assert [collected.seen for collected in first_round] == [500, 500, 200]
    assert sum(collected.deleted for collected in first_round) == 0
    assert await scene.rounds(3) == 1200


async def test_what_was_suspected_rounds_ago_is_forgotten() -> None:
    scene = Scene()
    await scene.put("film/mattes/a")
    scene.clock.seconds += LATER_S
    await scene.collector.collect()
    scene.needed.add("film/mattes/a")
    await scene.collector.collect()
    scene.needed.clear()
    assert await scene.rounds(1) == 0
    assert await scene.rounds(1) == 1


async def test_a_folder_that_nobody_refers_to_is_collected_by_age() -> None:
    clock = SetClock()
    store = InMemoryObjectStore(clock=clock)
    previews = Collector(store, "previews", nobody_refers, clock, grace_s=900.0)
    await store.put("film/previews/a", b"small", "image/jpeg")
    clock.seconds += 899.0
    await previews.collect()
    await previews.collect()
    assert store.objects
    clock.seconds += 1.0
    await previews.collect()
    await previews.collect()
    assert not store.objects


async def test_two_collectors_of_one_folder_do_no_harm() -> None:
    scene = Scene()
    second = Collector(scene.store, "mattes", scene.referenced, scene.clock, grace_s=GRACE_S)
    await scene.put(*(f"film/mattes/{number}" for number in range(20)), "film/mattes/needed")
    scene.needed = {"film/mattes/needed"}
    scene.clock.seconds += LATER_S
    for _ in range(2):
        await asyncio.gather(scene.collector.collect(), second.collect())
    assert scene.keys == {"film/mattes/needed"}


async def test_a_store_that_fails_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(interval_s=0.0)
    await scene.put("film/mattes/a")
    scene.clock.seconds += LATER_S
    failures = iter([True, True])
    gone = asyncio.Event()
    listed, discarded = scene.store.list, scene.store.discard

    async def list_or_fail(prefix: str, *, limit: int = 1000, after: str = "") -> ObjectPage:
        if next(failures, False):
            raise ObjectStoreUnavailable(operation="list", detail="away")
        return await listed(prefix, limit=limit, after=after)

    async def discard_and_tell(found: ListedObject) -> bool:
        gone.set()
        return await discarded(found)

    scene.store.list, scene.store.discard = list_or_fail, discard_and_tell  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING):
        running = asyncio.create_task(scene.collector.run())
        await gone.wait()
        running.cancel()
    assert [record.getMessage() for record in caplog.records] == [
        "mattes: nothing could be collected: the object store failed at list: away"
    ] * 2
