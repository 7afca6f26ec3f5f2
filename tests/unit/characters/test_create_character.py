from __future__ import annotations

from dataclasses import replace

import pytest

from continuity.kernel.errors import InvalidValue
from continuity.kernel.looks import Patience
from services.characters.domain.character import (
    DELETED,
    INGESTED,
    READY,
    CharacterDeleted,
    CharacterIngested,
    CharacterReady,
)
from services.characters.domain.errors import CharacterMissing, CharacterNameTaken, RequestReused
from services.characters.handlers.create_character import CreateCharacter, NewCharacter
from services.characters.handlers.delete_character import DeleteCharacter
from services.characters.handlers.find_character import FindCharacter
from services.characters.handlers.take_answers import TakeAnswers
from tests.unit.characters.fakes import (
    FAILURE,
    MATTE,
    PROJECT,
    InMemoryCharacters,
    InMemoryPictures,
    PlainIntake,
    SetClock,
)

WARD = NewCharacter(
    name=" Ward  Reyes ",
    photo=b"photo",
    keep_background=False,
    description="tall",
    height_m=0.0,
    request_id="take-1",
    project=PROJECT,
)


class Service:
    def __init__(self) -> None:
        self.characters = InMemoryCharacters()
        self.pictures = InMemoryPictures()
        clock = SetClock()
        self.create = CreateCharacter(self.characters, PlainIntake(), self.pictures, clock)
        self.find = FindCharacter(self.characters)
        self.delete = DeleteCharacter(self.characters, self.find, clock)
        self.answers = TakeAnswers(self.characters, clock)

    def told(self) -> list[type]:
        return [type(event) for event in self.characters.events]


async def test_a_character_is_stored_with_the_photograph_as_it_came_and_as_it_was_made_safe():
    service = Service()
    made = await service.create(WARD)
    assert (made.name, made.state, made.version, made.height_m) == ("Ward Reyes", INGESTED, 1, 1.7)
    assert service.pictures.stored[made.photo.key] == b"photo"
    assert service.pictures.stored[made.picture.key] == b"png of photo"
    assert (made.photo.content_type, made.picture.content_type) == ("image/jpeg", "image/png")
    assert (made.picture_width_px, made.intake_notes) == (640, ("rotated by EXIF",))
    assert service.told() == [CharacterIngested]


async def test_the_same_request_again_returns_the_same_character():
    service = Service()
    first = await service.create(WARD)
    assert await service.create(WARD) == first
    assert service.told() == [CharacterIngested]


@pytest.mark.parametrize(
    "change",
    [{"name": "Adams"}, {"photo": b"other"}, {"keep_background": True}, {"description": ""}, {"height_m": 1.8}],
    ids=lambda change: next(iter(change)),
)
async def test_a_request_id_with_other_content_is_refused(change):
    service = Service()
    await service.create(WARD)
    with pytest.raises(RequestReused, match="take-1"):
        await service.create(replace(WARD, **change))
    assert service.told() == [CharacterIngested]


async def test_without_a_request_id_every_call_makes_a_new_character():
    service = Service()
    first = await service.create(replace(WARD, request_id=""))
    other = await service.create(replace(WARD, request_id="", name="Adams"))
    assert first.id != other.id


@pytest.mark.parametrize("name", ["Ward Reyes", "WARD REYES", " ward   reyes"])
async def test_a_name_that_is_taken_is_refused_naming_who_has_it_and_nothing_is_stored(name):
    service = Service()
    first = await service.create(WARD)
    before = dict(service.pictures.stored)
    with pytest.raises(CharacterNameTaken) as refusal:
        await service.create(replace(WARD, name=name, request_id="take-2", photo=b"other"))
    assert (refusal.value.name, refusal.value.id) == ("Ward Reyes", first.id)
    assert service.pictures.stored == before


async def test_the_same_name_and_request_id_in_another_project_is_another_character():
    service = Service()
    first = await service.create(WARD)
    assert (await service.create(replace(WARD, project="other"))).id != first.id


@pytest.mark.parametrize(("change", "field"), [({"photo": b"bad"}, "photo"), ({"name": " "}, "name")])
async def test_a_bad_request_leaves_nothing_behind(change, field):
    service = Service()
    with pytest.raises(InvalidValue) as refusal:
        await service.create(replace(WARD, **change))
    assert refusal.value.field == field
    assert not service.characters.stored
    assert not service.pictures.stored


async def test_of_two_calls_of_the_same_request_at_once_both_get_the_one_character():
    service = Service()
    service.characters.before_write = lambda: service.create(WARD)
    made = await service.create(WARD)
    assert list(service.characters.stored.values()) == [made]
    assert service.told() == [CharacterIngested]


async def test_of_two_requests_for_one_name_at_once_the_second_is_refused_naming_the_first():
    service = Service()
    service.characters.before_write = lambda: service.create(replace(WARD, request_id="take-2"))
    with pytest.raises(CharacterNameTaken) as refusal:
        await service.create(WARD)
    (first,) = service.characters.stored.values()
    assert refusal.value.id == first.id


async def test_a_deleted_character_is_made_again_by_its_request_at_a_later_version():
    service = Service()
    first = await service.create(WARD)
    await service.delete(PROJECT, first.id)
    again = await service.create(WARD)
    assert (again.id, again.state, again.version) == (first.id, INGESTED, 3)
    assert service.characters.events[-1].version == 3
    assert await service.find(PROJECT, "ward reyes") == again
    assert service.told() == [CharacterIngested, CharacterDeleted, CharacterIngested]


async def test_a_character_made_again_takes_new_answers():
    service = Service()
    first = await service.create(WARD)
    await service.answers.matted(PROJECT, first.id, MATTE, background_kept=False)
    await service.answers.analyzed(PROJECT, first.id, "seen")
    await service.delete(PROJECT, first.id)
    again = await service.create(WARD)
    assert (again.figure, again.analysis) == (None, None)
    await service.answers.matting_failed(PROJECT, first.id, FAILURE)
    await service.answers.analysis_failed(PROJECT, first.id, FAILURE)
    ready = await service.find(PROJECT, first.id)
    assert (ready.state, ready.figure_source, ready.analysis) == (READY, "fallback", None)
    assert service.told().count(CharacterReady) == 2


async def test_a_deleted_character_is_not_made_again_under_a_name_that_is_taken_by_now():
    service = Service()
    first = await service.create(WARD)
    await service.delete(PROJECT, first.id)
    other = await service.create(replace(WARD, request_id="take-2"))
    with pytest.raises(CharacterNameTaken) as refusal:
        await service.create(WARD)
    assert refusal.value.id == other.id


async def test_a_character_is_found_and_deleted_by_id_or_name_and_only_in_its_project():
    service = Service()
    made = await service.create(WARD)
    assert await service.find(PROJECT, made.id) == await service.find(PROJECT, "WARD reyes") == made
    for act in (service.find, service.delete):
        for project, asked in (("other", made.id), ("other", "Ward Reyes"), (PROJECT, "Adams")):
            with pytest.raises(CharacterMissing):
                await act(project, asked)
    await service.delete(PROJECT, "Ward Reyes")
    for asked in (made.id, "Ward Reyes"):
        with pytest.raises(CharacterMissing):
            await service.find(PROJECT, asked)
    assert (await service.characters.get(PROJECT, made.id)).state == DELETED


async def test_an_id_is_never_taken_for_another_characters_name():
    service = Service()
    made = await service.create(WARD)
    await service.create(replace(WARD, name=made.id, request_id="take-2"))
    assert (await service.find(PROJECT, made.id)).name == "Ward Reyes"
    await service.delete(PROJECT, made.id)
    assert [one.name for one in service.characters.stored.values() if not one.deleted] == [made.id]


async def test_a_watch_shows_every_version_and_ends_when_the_character_is_ready():
    service = Service()
    made = await service.create(WARD)
    seen = []
    async for one in service.find.watch(PROJECT, made.id):
        seen.append((one.version, one.state))
        answer = service.answers.analyzed if one.version == 1 else service.answers.matting_failed
        await answer(PROJECT, made.id, "seen" if one.version == 1 else FAILURE)
    assert seen == [(1, INGESTED), (2, INGESTED), (3, READY)]


async def test_a_watch_reads_less_and_less_often_while_nothing_changes_and_then_ends():
    service = Service()
    made = await service.create(WARD)
    reads = service.characters.reads
    watch = FindCharacter(service.characters, Patience(0.001, 0.004, 0.02)).watch(PROJECT, made.id)
    assert [one.version async for one in watch] == [1]
    assert service.characters.reads - reads == 8  # after 1 + 2 + 4 + 4 + 4 + 4 + 1 ms


async def test_a_watch_of_a_character_that_is_deleted_meanwhile_says_that_it_is_gone():
    service = Service()
    made = await service.create(WARD)
    watch = service.find.watch(PROJECT, made.id)
    await anext(watch)
    await service.delete(PROJECT, made.id)
    with pytest.raises(CharacterMissing):
        await anext(watch)
