"""Which settings a command would have otherwise than a runtime has them."""

from __future__ import annotations

import pytest

from continuity.cli.brought import Setting, differences

HELD = {
    "steps": Setting(value=30, default=20),
    "guidance": Setting(value=6.0, default=6.0),
    "commercial": Setting(value=False, default=False),
    "models": Setting(value=None, default=None),
    "checkpoint": Setting(value="film", default=""),
}
SAME = {"CONTINUITY_STEPS": "30", "CONTINUITY_CHECKPOINT": "film"}


@pytest.mark.parametrize(
    "also",
    [
        {},
        {"CONTINUITY_GUIDANCE": "6"},
        {"CONTINUITY_GUIDANCE": "6.00"},
        {"CONTINUITY_COMMERCIAL": "no"},
        {"CONTINUITY_COMMERCIAL": "0"},
        {"CONTINUITY_GUIDANCE": ""},
        {"CONTINUITY_LOG_LEVEL": "DEBUG"},
        {"STEPS": "1"},
    ],
)
def test_the_same_in_other_words_is_no_difference(also: dict[str, str]) -> None:
    assert list(differences(HELD, SAME | also)) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"CONTINUITY_STEPS": "12"}, "CONTINUITY_STEPS is 30 there, 12 here"),
        ({"CONTINUITY_STEPS": ""}, "CONTINUITY_STEPS is 30 there, 20 here"),
        ({"continuity_commercial": "on"}, "CONTINUITY_COMMERCIAL is False there, on here"),
        ({"CONTINUITY_MODELS": "/m"}, "CONTINUITY_MODELS is not set there, /m here"),
        ({"CONTINUITY_CHECKPOINT": ""}, "CONTINUITY_CHECKPOINT is film there, not set here"),
    ],
)
def test_a_difference_is_told_with_both_values(given: dict[str, str], said: str) -> None:
    assert list(differences(HELD, SAME | given)) == [said]
