from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from continuity.kernel.errors import InvalidValue
from tests.unit.rendering.builders import shot, submission


def test_the_same_shot_twice_is_refused_naming_the_field_and_the_shot():
    with pytest.raises(InvalidValue, match="unique within a submission") as refusal:
        submission(shot(1), shot(2), shot(1, description="again"))
    assert (refusal.value.field, refusal.value.value) == ("shots[2].shot_number", "1/1")


def test_the_same_number_in_another_scene_is_another_shot():
    asked = submission(shot(1), shot(1, scene_id="2"))
    assert len({asked.job_id(one) for one in asked.shots}) == 2


def test_scene_and_number_do_not_run_into_each_other():
    asked = submission(shot(11, scene_id="1"), shot(1, scene_id="11"))
    assert len({asked.job_id(one) for one in asked.shots}) == 2


def test_when_and_under_which_id_shots_were_asked_for_is_not_their_content():
    asked = submission(shot(1))
    same = replace(asked, id="another", create_time=999.0, fanned_out=True)
    assert asked.content_hash == same.content_hash


@pytest.mark.parametrize(
    "change",
    [
        {"film": "another"},
        {"shots": (shot(2),)},
        {"shots": (shot(1, seed=0),)},
        {"shots": (shot(1), shot(2))},
        {"seed": 6},
        {"priority": 1},
        {"width_px": 128},
        {"height_px": 256},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_was_asked_for_is_its_content(change):
    assert replace(submission(shot(1)), **change).content_hash != submission(shot(1)).content_hash


@given(st.permutations([shot(1), shot(2), shot(3)]))
def test_the_order_of_shots_is_content_but_does_not_change_their_jobs(shots):
    asked, sorted_shots = submission(*shots), submission(shot(1), shot(2), shot(3))
    assert (asked.content_hash == sorted_shots.content_hash) == (asked.shots == sorted_shots.shots)
    assert {asked.job_id(one) for one in shots} == {sorted_shots.job_id(one) for one in shots}
