from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vision.domain.analysis import UNKNOWN, Light, NormalizedBox, Observations, Swatch, Trait
from services.vision.domain.words import roster_entry

FACE = NormalizedBox(0.25, 0.1, 0.5, 0.4)
NOTHING = Observations(
    face_box=None,
    facing=None,
    people_count=0,
    skin=Trait(),
    hair=Trait(),
    hair_length=UNKNOWN,
    clothing=(),
    framing=UNKNOWN,
    light=Light(),
)
ALL = replace(
    NOTHING,
    face_box=FACE,
    facing=0.0,
    people_count=1,
    skin=Trait("fair", "#e0b090", 0.8),
    hair=Trait("brown", "#402010", 0.7),
    hair_length="long",
    clothing=(Swatch("orange", "#ff8000", 0.7), Swatch("white", "#ffffff", 0.3)),
)
NAMES = st.sampled_from([UNKNOWN, "brown", "grey"])


def test_everything_that_was_seen_is_said():
    entry = roster_entry("Ward", ALL)
    assert entry.physical_appearance.hair == "long brown hair"
    assert entry.physical_appearance.skin == "fair skin"
    assert entry.clothing_style.outfit == "orange and white clothing"
    assert entry.clothing_style.colors == ("orange", "white")
    assert entry.video_prompt_description == "Ward, long brown hair, fair skin, orange and white clothing"


def test_where_nothing_was_seen_everything_is_unknown_and_the_face_absent():
    entry = roster_entry("Ward", NOTHING)
    seen = entry.physical_appearance
    assert (seen.face, seen.body, seen.hair, seen.skin) == ("absent", UNKNOWN, UNKNOWN, UNKNOWN)
    assert (entry.clothing_style.outfit, entry.clothing_style.colors) == (UNKNOWN, ())
    assert entry.video_prompt_description == "Ward"


def test_what_no_pixel_shows_is_never_claimed():
    entry = roster_entry("Ward", ALL)
    assert (entry.physical_appearance.body, entry.clothing_style.accessories, entry.personality) == (UNKNOWN,) * 3


def test_hair_of_unknown_length_has_its_colour():
    assert roster_entry("Ward", replace(ALL, hair_length=UNKNOWN)).physical_appearance.hair == "brown hair"


def test_a_length_without_a_colour_says_nothing():
    assert roster_entry("Ward", replace(ALL, hair=Trait())).physical_appearance.hair == UNKNOWN


@pytest.mark.parametrize(
    ("facing", "words"),
    [(None, UNKNOWN), (0.0, "turned to the camera"), (-0.6, "turned to screen left"), (0.6, "turned to screen right")],
)
def test_a_face_says_where_it_turns(facing, words):
    assert roster_entry("Ward", replace(ALL, facing=facing)).physical_appearance.face == words


def test_a_colour_that_two_swatches_share_is_said_once_in_the_outfit():
    blues = tuple(Swatch("blue", hex, 0.5) for hex in ("#0000ff", "#000080"))
    assert roster_entry("Ward", replace(ALL, clothing=blues)).clothing_style.outfit == "blue clothing"


@given(skin=NAMES, hair=NAMES, length=st.sampled_from([UNKNOWN, "short"]), clothes=st.lists(NAMES, max_size=5))
def test_the_description_never_says_unknown(skin, hair, length, clothes):
    known = tuple(Swatch(name, "#000000", 0.1) for name in clothes if name != UNKNOWN)
    seen = replace(ALL, skin=Trait(skin), hair=Trait(hair), hair_length=length, clothing=known)
    assert UNKNOWN not in roster_entry("Ward", seen).video_prompt_description
