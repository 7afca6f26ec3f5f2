from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from services.characters.domain.character import (
    ANSWER_LOOK_S,
    INGESTED,
    LONGEST_LOOK_S,
    READY,
    Character,
    CharacterIngested,
    CharacterReady,
    analyzed,
    deleted,
    looked_at,
    matted,
)
from services.characters.handlers.reconcile import BATCH, Reconcile
from tests.unit.characters.fakes import (
    MATTE,
    PICTURE,
    PROJECT,
    InMemoryCharacters,
    SetClock,
    after,
    character,
    deleted_character,
    ready_character,
)

DEADLINE_S = 3_600.0
MISSING = {
    "nothing came": (lambda one: one, {"matting", "vision"}),
    "no matte": (lambda one: after(analyzed(one, "seen", 101.0)), {"matting"}),
    "no analysis": (lambda one: after(matted(one, MATTE, False, 101.0)), {"vision"}),
}


def ingested(**changes: object) -> Character:
    return replace(character(), look_time=100.0 + ANSWER_LOOK_S, **changes)  # type: ignore[arg-type]


class Service:
    def __init__(self, *characters: Character) -> None:
        self.characters = InMemoryCharacters(*characters)
        self.clock = SetClock(100.0)
        self.reconcile = Reconcile(self.characters, self.clock, DEADLINE_S)

    def only(self) -> Character:
        (one,) = self.characters.stored.values()
        return one

    async def look_at(self, seconds: float) -> Character:
        self.clock.seconds = seconds
        await self.reconcile()
        return self.only()

    async def look_until_ready(self) -> Character:
        while (one := self.only()).state == INGESTED:
            await self.look_at(one.look_time or 0.0)
        return one

    def told(self) -> list[type]:
        return [type(event) for event in self.characters.events]


async def test_an_answer_that_does_not_come_is_asked_for_again_as_it_was_the_first_time():
    service = Service(after(analyzed(ingested(), "seen", 101.0)))
    await service.look_at(100.0 + ANSWER_LOOK_S - 1)
    assert not service.told()
    for _ in range(2):
        await service.look_at(100.0 + ANSWER_LOOK_S)
    assert service.characters.events == [CharacterIngested("ward", 1, "Ward", PICTURE, False)]
    assert (service.only().version, service.only().update_time) == (2, 101.0), "nobody who watches is told"


def test_who_does_not_answer_is_asked_less_and_less_often():
    one, pauses = ingested(), []
    for _ in range(6):
        now = one.look_time
        one = after(looked_at(one, now, 86_400.0))
        pauses.append(one.look_time - now)
    assert pauses == [120.0, 240.0, 480.0, LONGEST_LOOK_S, LONGEST_LOOK_S, LONGEST_LOOK_S]


@pytest.mark.parametrize("case", MISSING)
async def test_after_the_deadline_the_character_goes_on_without_what_is_missing_and_says_who_did_not_answer(case):
    answered, missing = MISSING[case]
    service = Service(answered(ingested()))
    before = service.only()
    one = await service.look_until_ready()
    assert service.clock.now() == 100.0 + DEADLINE_S
    failures = [failure for failure in (one.matting_failure, one.analysis_failure) if failure]
    assert {failure.metadata["service"] for failure in failures} == missing
    assert {failure.reason for failure in failures} == {"ANSWER_MISSING"}
    assert (one.figure, one.figure_source) == ((PICTURE, "fallback") if "matting" in missing else (MATTE, "matte"))
    assert (one.analysis is None) == ("vision" in missing)
    assert (one.version, one.look_time) == (before.version + 1, None)
    assert service.told()[-1] == CharacterReady
    assert set(service.told()[:-1]) == {CharacterIngested}


async def test_whoever_was_off_for_a_week_gives_nobody_up_for_that():
    service = Service(ingested())
    for week in range(1, 5):
        assert (await service.look_at(week * 604_800.0)).state == INGESTED
    assert service.told() == 4 * [CharacterIngested]


async def test_what_was_asked_and_is_not_published_is_not_asked_again_and_nobody_is_given_up_for_it():
    service = Service(ingested(looks=1_000))
    service.characters.unpublished.add((PROJECT, "ward"))
    one = await service.look_at(100.0 + ANSWER_LOOK_S)
    assert (one.look_time, one.looks, service.told()) == (100.0 + 2 * ANSWER_LOOK_S, 1_000, [])
    service.characters.unpublished.clear()
    assert (await service.look_at(100.0 + 2 * ANSWER_LOOK_S)).state == READY


@pytest.mark.parametrize("look_time", [None, 1e9], ids=["an-older-version", "a-wrong-clock"])
async def test_a_character_without_a_time_that_can_be_right_is_looked_at_now(look_time):
    service = Service(replace(ingested(), look_time=look_time))
    one = await service.look_at(200.0)
    assert service.told() == [CharacterIngested]
    assert one.look_time == 200.0 + 2 * ANSWER_LOOK_S


@pytest.mark.parametrize("one", [ready_character(), deleted_character()], ids=lambda one: one.state)
async def test_who_waits_for_nothing_is_left_alone(one):
    assert looked_at(replace(one, look_time=1.0), 1e9, DEADLINE_S) is None
    assert await Service(one).look_at(1e9) == one


@pytest.mark.parametrize(
    "answer", [partial(analyzed, analysis="seen"), partial(matted, matte=MATTE, background_kept=False)]
)
async def test_an_answer_that_comes_while_it_is_looked_for_counts(answer):
    service = Service(replace(ingested(), looks=1_000))

    async def somebody_answers() -> None:
        await service.characters.change(PROJECT, "ward", lambda one: answer(one, now=150.0))

    service.characters.before_write = somebody_answers
    one = await service.look_at(200.0)
    assert one.state == READY
    assert len([failure for failure in (one.matting_failure, one.analysis_failure) if failure]) == 1


async def test_a_character_that_is_deleted_while_it_is_looked_at_stays_deleted():
    service = Service(replace(ingested(), looks=1_000))

    async def somebody_deletes() -> None:
        await service.characters.change(PROJECT, "ward", lambda one: deleted(one, 150.0))

    service.characters.before_write = somebody_deletes
    assert (await service.look_at(200.0)).deleted


async def test_what_a_look_leaves_is_the_first_that_the_next_takes_on():
    many = [ingested(id=f"ward-{number}", name_key=f"ward {number}") for number in range(BATCH + 50)]
    service = Service(*many)
    service.clock.seconds = 100.0 + ANSWER_LOOK_S
    for asked in (BATCH, BATCH + 50):
        await service.reconcile()
        assert len(service.told()) == asked
