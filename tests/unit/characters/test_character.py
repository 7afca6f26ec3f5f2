from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from continuity.kernel.errors import InvalidValue
from continuity.kernel.values import Change
from services.characters.domain.character import (
    DELETED,
    INGESTED,
    READY,
    Character,
    CharacterDeleted,
    CharacterIngested,
    CharacterReady,
    analysis_failed,
    analyzed,
    deleted,
    ingested,
    matted,
    matting_failed,
)
from services.characters.domain.names import clean_name, name_key
from tests.unit.characters.fakes import FAILURE, MATTE, PICTURE, after, character, deleted_character, ready_character

MATTING = {
    "matted": lambda one: matted(one, MATTE, False, 200.0),
    "kept": lambda one: matted(one, PICTURE, True, 200.0),
    "matting-failed": lambda one: matting_failed(one, FAILURE, 200.0),
}
ANALYSIS = {
    "analyzed": lambda one: analyzed(one, "seen", 200.0),
    "analysis-failed": lambda one: analysis_failed(one, FAILURE, 200.0),
}
EVERY_ANSWER = [*MATTING.values(), *ANALYSIS.values()]


def test_a_new_photograph_is_told_with_all_that_vision_and_matting_need():
    (event,) = ingested(character()).events
    assert event == CharacterIngested("ward", 1, "Ward", PICTURE, False)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["matte-first", "analysis-first"])
@pytest.mark.parametrize("analysis", ANALYSIS)
@pytest.mark.parametrize("matting", MATTING)
def test_a_character_is_ready_when_both_have_answered_in_whatever_order_and_however(matting, analysis, order):
    answers = [MATTING[matting], ANALYSIS[analysis]]
    first = answers[order[0]](character())
    assert (first.aggregate.state, list(first.events)) == (INGESTED, [])
    last = answers[order[1]](first.aggregate)
    assert (last.aggregate.state, last.aggregate.version) == (READY, 3)
    assert last.events == [CharacterReady(last.aggregate)]


@pytest.mark.parametrize(
    ("answer", "figure", "source"),
    [("matted", MATTE, "matte"), ("kept", PICTURE, "background-kept"), ("matting-failed", PICTURE, "fallback")],
)
def test_the_figure_says_where_it_comes_from(answer, figure, source):
    answered = after(MATTING[answer](character()))
    assert (answered.figure, answered.figure_source) == (figure, source)
    assert answered.matting_failure == (FAILURE if source == "fallback" else None)


def test_a_failed_analysis_is_marked_with_its_reason():
    answered = after(analysis_failed(character(), FAILURE, 200.0))
    assert (answered.analysis, answered.analysis_failure) == (None, FAILURE)


@pytest.mark.parametrize(("first", "second"), [*permutations(MATTING, 2), *((one, one) for one in MATTING)])
def test_only_the_first_answer_of_matting_counts(first, second):
    assert MATTING[second](after(MATTING[first](character()))) is None


@pytest.mark.parametrize(("first", "second"), [*permutations(ANALYSIS, 2), *((one, one) for one in ANALYSIS)])
def test_only_the_first_answer_of_vision_counts(first, second):
    assert ANALYSIS[second](after(ANALYSIS[first](character()))) is None


@pytest.mark.parametrize("answer", EVERY_ANSWER)
def test_an_answer_changes_neither_who_is_ready_nor_who_is_deleted(answer):
    assert answer(ready_character()) is None
    assert answer(deleted_character()) is None


@pytest.mark.parametrize("one", [character(), ready_character()], ids=lambda one: one.state)
def test_a_deleted_character_frees_its_name_and_tells_its_version(one):
    change = deleted(one, 300.0)
    assert (change.aggregate.state, change.aggregate.name_key) == (DELETED, None)
    assert change.events == [CharacterDeleted("ward", one.version + 1)]
    assert deleted(change.aggregate, 301.0) is None


@pytest.mark.parametrize("other", ["ward", "WARD", " Ward ", "Ｗａｒｄ"])
def test_names_are_equal_whatever_their_case_spacing_and_width(other):
    assert name_key(other) == name_key("Ward")


def test_a_name_keeps_its_case_and_loses_double_spaces():
    assert clean_name("  Grace \t Hopper ") == "Grace Hopper"
    assert clean_name("Zoe\u0308") == "Zoë"


@pytest.mark.parametrize("name", ["", "   ", "\n", "a\0b", "Ward\x1b[2J"])
def test_a_name_that_nobody_can_see_is_refused(name):
    with pytest.raises(InvalidValue) as refusal:
        clean_name(name)
    assert refusal.value.field == "name"


class AnyInterleaving(RuleBasedStateMachine):
    """Answers and deletions in whatever order, each as often as it likes."""

    @initialize()
    def ingest(self) -> None:
        self.character: Character = character()
        self.events: list[object] = []

    def apply(self, change: Change[Character] | None) -> None:
        if change is None:
            return
        assert change.aggregate.version == self.character.version + 1
        self.character = change.aggregate
        self.events += change.events

    @rule(answer=st.sampled_from(EVERY_ANSWER))
    def somebody_answers(self, answer: object) -> None:
        self.apply(answer(self.character))  # type: ignore[operator]

    @rule()
    def somebody_deletes(self) -> None:
        self.apply(deleted(self.character, 5.0))

    @invariant()
    def it_is_ready_once_and_deleted_once(self) -> None:
        told = [type(event) for event in self.events]
        assert told in ([], [CharacterReady], [CharacterDeleted], [CharacterReady, CharacterDeleted])
        assert (told[-1:] == [CharacterReady]) == (self.character.state == READY)
        assert (told[-1:] == [CharacterDeleted]) == (self.character.state == DELETED)

    @invariant()
    def who_is_ready_has_a_figure_and_an_analysis_or_the_reason_why_not(self) -> None:
        one = self.character
        if one.state == READY:
            assert one.figure is not None
            assert (one.analysis is None) != (one.analysis_failure is None)
            assert (one.figure_source == "fallback") == (one.matting_failure is not None)


AnyInterleaving.TestCase.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
test_any_interleaving_makes_a_character_ready_and_deleted_once_at_most = AnyInterleaving.TestCase
