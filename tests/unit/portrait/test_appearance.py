from __future__ import annotations

import cv2
import numpy as np
import pytest

from portrait.appearance import describe
from portrait.colours import clothing_name, hair_name, main_colours, skin_name
from portrait.faces import find_faces


@pytest.fixture(scope="module")
def seen(collins, hopper, matte_of):
    return {
        name: describe(photograph, find_faces(photograph), matte_of(photograph).alpha > 0.5)
        for name, photograph in (("collins", collins), ("hopper", hopper))
    }


def test_collins_wears_orange_and_has_light_skin_and_short_fair_hair(seen):
    collins = seen["collins"]
    assert collins.clothing[0].name == "orange"
    assert collins.clothing[0].share > 0.35
    assert collins.skin.name in {"fair", "light"}
    assert collins.hair.colour.name in {"brown", "light brown", "dark blonde"}
    assert collins.hair.length.value == "short"
    assert not collins.hair.covered


def test_hopper_wears_dark_clothes_and_something_over_her_hair(seen):
    hopper = seen["hopper"]
    assert hopper.clothing[0].name in {"black", "navy"}
    assert hopper.clothing[0].share > 0.7
    assert "white" in {swatch.name for swatch in hopper.clothing}
    assert hopper.hair.covered
    assert hopper.hair.colour.name == hopper.hair.length.value == "unknown"
    assert hopper.skin.name in {"light", "medium"}


def test_framing_follows_how_much_of_the_figure_is_seen(seen, collins):
    assert seen["collins"].framing.value == "half-length"
    assert seen["hopper"].framing.value == "head-and-shoulders"
    tight = np.ascontiguousarray(collins[50:185, 150:300])
    assert describe(tight, find_faces(tight), np.ones(tight.shape[:2], np.bool_)).framing.value == "head"


def test_the_face_is_given_in_fractions_of_the_picture(seen):
    face = seen["hopper"].face
    assert (face.x + face.width / 2, face.y + face.height / 2) == pytest.approx((0.515, 0.36), abs=0.03)


def test_without_a_face_what_only_a_face_shows_is_unknown(collins, matte_of):
    blind = describe(collins, (), matte_of(collins).alpha > 0.5)
    assert blind.face is None
    assert blind.people == 0
    assert blind.clothing[0].name == "orange"
    unknowns = (blind.skin.name, blind.hair.colour.name, blind.hair.length.value, blind.framing.value)
    assert set(unknowns) == {"unknown"}
    assert blind.light.direction.value == blind.light.hardness.value == "unknown"


def test_a_grey_photograph_tells_nothing_of_skin_and_hair(collins, matte_of):
    grey = np.repeat(cv2.cvtColor(collins, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2)
    seen = describe(grey, find_faces(grey), matte_of(collins).alpha > 0.5)
    assert seen.skin.name == seen.hair.colour.name == "unknown"
    assert seen.skin.confidence == 0


def test_everybody_in_the_picture_is_counted(collins, hopper):
    both = np.hstack([collins, hopper[:512]])
    faces = find_faces(both)
    assert describe(both, faces, np.ones(both.shape[:2], np.bool_)).people == 2


def test_the_key_light_is_on_the_brighter_side_of_the_face(collins, matte_of):
    ramp = np.interp(np.arange(512), [170, 280], [0.35, 1.1])[np.newaxis, :, np.newaxis]
    lit = np.clip(collins * ramp, 0, 255).astype(np.uint8)
    faces, mask = find_faces(collins), matte_of(collins).alpha > 0.5
    assert describe(lit, faces, mask).light.direction.value == "right"
    mirrored = np.ascontiguousarray(lit[:, ::-1])
    assert describe(mirrored, find_faces(collins[:, ::-1]), mask[:, ::-1]).light.direction.value == "left"


def test_a_tinted_picture_is_warm_or_cool(collins, matte_of):
    faces, mask = find_faces(collins), matte_of(collins).alpha > 0.5
    for tint, word in (((1, 0.95, 0.82), "warm"), ((0.78, 0.92, 1), "cool")):
        tinted = (collins * np.array(tint)).astype(np.uint8)
        assert describe(tinted, faces, mask).light.warmth.value == word


def test_every_confidence_is_between_nothing_and_certain(seen):
    for appearance in seen.values():
        light = appearance.light
        readings = (appearance.skin, appearance.hair.colour, appearance.hair.length, appearance.framing)
        more = (light.direction, light.hardness, light.warmth, light.brightness)
        assert all(0 <= reading.confidence <= 1 for reading in readings + more)


@pytest.mark.parametrize(
    ("colour", "word"),
    [((236, 100, 30), "orange"), ((22, 27, 51), "navy"), ((250, 250, 250), "white"), ((200, 30, 40), "red")],
)
def test_clothing_colours_have_the_words_that_people_use(colour, word):
    assert clothing_name(np.array(colour, np.uint8)) == word


def test_hair_and_skin_have_words_of_their_own():
    assert hair_name(np.array((25, 20, 18), np.uint8)) == "black"
    assert hair_name(np.array((165, 75, 35), np.uint8)) == "red"
    tones = [skin_name(np.array(tone, np.uint8)) for tone in ((245, 220, 205), (200, 150, 120), (70, 45, 35))]
    assert tones == ["fair", "medium", "deep"]


def test_main_colours_are_the_shares_that_were_put_in():
    pixels = np.repeat(np.array([(236, 100, 30), (16, 16, 18), (244, 244, 242)], np.uint8), (600, 300, 100), axis=0)
    shares = {swatch.name: swatch.share for swatch in main_colours(pixels)}
    assert shares == pytest.approx({"orange": 0.6, "black": 0.3, "white": 0.1}, abs=0.01)
    assert main_colours(pixels[:0]) == ()
