from __future__ import annotations

from dataclasses import replace

import pytest

from continuity.api.characters.v1.character_pb2 import Character
from continuity.api.common.v1 import shot_pb2
from continuity.api.events.v1.render_events_pb2 import RenderRequested
from continuity.api.locations.v1.location_pb2 import Location
from continuity.kernel.values import Change, Failure
from services.prompts.adapters.vocabulary_csv import read_vocabulary
from services.prompts.domain.errors import PromptMissing
from services.prompts.domain.record import PromptBuilt, PromptFailed, PromptRecord, answered
from services.prompts.entrypoints.mapping import prompt_asked, vocabulary_message
from services.prompts.handlers.build_prompts import BuildPrompts

VOCABULARY = read_vocabulary()
PLACE = Location(
    name="Pad Nine", type=shot_pb2.LOCATION_TYPE_EXTERIOR, time_of_day=shot_pb2.TIME_OF_DAY_DUSK, description="a pad"
)
SHOT = shot_pb2.Shot(scene_id="1", shot_number=1, shot_type=shot_pb2.SHOT_TYPE_CLOSE_UP, description="Ward looks up")


NOW = 1_000.0


class SetClock:
    def now(self) -> float:
        return NOW


class InMemoryPrompts:
    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], PromptRecord] = {}
        self.events: list[object] = []

    async def answer(self, project: str, change: Change[PromptRecord]) -> None:
        record = self.stored.setdefault((project, change.aggregate.job_id), change.aggregate)
        self.events += answered(record).events

    async def get(self, project: str, job_id: str) -> PromptRecord:
        if (project, job_id) not in self.stored:
            raise PromptMissing(job_id=job_id)
        return self.stored[project, job_id]


@pytest.fixture
def prompts() -> InMemoryPrompts:
    return InMemoryPrompts()


@pytest.fixture
def build(prompts) -> BuildPrompts:
    return BuildPrompts(prompts, VOCABULARY, SetClock())


def requested(**shot_fields: object) -> RenderRequested:
    shot = shot_pb2.Shot()
    shot.CopyFrom(SHOT)
    shot.MergeFrom(shot_pb2.Shot(**shot_fields))
    return RenderRequested(job_id="job", shot=shot, location=PLACE, film_seed=3)


@pytest.mark.parametrize(("expire_s", "answers"), [(NOW - 1, 0), (NOW, 0), (NOW + 1, 1)])
async def test_a_job_that_has_expired_gets_no_prompt(build, prompts, expire_s, answers):
    request = requested()
    request.expire_time.FromNanoseconds(int(expire_s * 1e9))
    await build("film", prompt_asked(request))
    assert len(prompts.events) == answers


async def test_a_requested_shot_gets_its_prompt_once_and_the_same_when_asked_again(build, prompts):
    await build("film", prompt_asked(requested()))
    await build("film", prompt_asked(requested(description="something else by now")))
    (first, again) = prompts.events
    assert isinstance(first, PromptBuilt)
    assert first == again
    assert "".join(part.text for part in first.prompt.parts) == first.prompt.text


@pytest.mark.parametrize(
    ("field", "word", "nearest"),
    [
        ("style", "noirr", "noir"),
        ("mood", "tence", "tense"),
        ("composition", "framd", "framed"),
        ("lighting", "sotf", "soft"),
    ],
)
async def test_an_unknown_word_fails_the_prompt_naming_field_word_and_the_nearest(build, prompts, field, word, nearest):
    await build("film", prompt_asked(requested(**{field: word})))
    (event,) = prompts.events
    assert isinstance(event, PromptFailed)
    assert event.failure.reason == "UNKNOWN_WORD"
    named = event.failure.metadata
    assert (named["field"], named["value"], named["nearest"]) == (field, word, nearest)
    assert f"did you mean {nearest!r}?" in event.failure.message


async def test_a_job_that_was_given_up_keeps_the_answer_that_it_had(build, prompts):
    await build("film", prompt_asked(requested()))
    await build.give_up("film", "job", Failure("BROKEN", "it broke"))
    assert [type(event) for event in prompts.events] == [PromptBuilt, PromptBuilt]


async def test_a_job_that_was_given_up_without_an_answer_fails_with_the_reason(build, prompts):
    await build.give_up("film", "job", Failure("BROKEN", "it broke"))
    assert prompts.events == [PromptFailed("job", Failure("BROKEN", "it broke"))]


def test_the_location_says_what_the_shot_leaves_open():
    assert prompt_asked(requested()).shot.time_of_day == "dusk"
    assert prompt_asked(requested(time_of_day=shot_pb2.TIME_OF_DAY_NOON)).shot.time_of_day == "noon"
    assert prompt_asked(requested()).shot.weather is None


def test_a_shot_without_a_style_is_cinematic_and_without_a_location_plays_in_a_studio():
    event = requested()
    event.ClearField("location")
    asked = prompt_asked(event)
    assert (asked.shot.style, asked.location.name) == ("cinematic", "studio")


def test_a_seed_of_zero_is_a_seed():
    assert prompt_asked(requested(seed=0)).shot.seed == 0
    assert prompt_asked(requested()).shot.seed is None


def test_a_character_without_an_analysis_is_described_by_its_own_words_only():
    event = requested()
    event.characters.append(Character(name="Ward", description="tall"))
    (member,) = prompt_asked(event).cast
    assert member == replace(member, name="Ward", description="tall", skin="", hair="", clothing="")


def test_the_vocabulary_says_every_word_once_with_its_phrase_and_spellings():
    words = vocabulary_message(VOCABULARY).words
    assert len({(one.field, one.word) for one in words}) == len(words)
    spelled = {(one.field, spelling) for one in words for spelling in (one.word, *one.aliases)}
    assert {(field, spelling) for field, known in VOCABULARY.spellings.items() for spelling in known} <= spelled
    assert all(one.phrase for one in words if one.field == "style")


async def test_a_prompt_tells_the_vocabularys_own_spelling_of_every_word(build, prompts):
    await build("film", prompt_asked(requested(composition="Centred", style="Oil Painting")))
    (told,) = prompts.events
    assert told.prompt.words["composition"] == "centered"
    assert told.prompt.words["style"] == "oil_painting"
    assert told.prompt.words["shot_type"] == "close-up"
    assert told.prompt.words["time_of_day"] == "dusk"
    assert "mood" not in told.prompt.words
