from __future__ import annotations

import cv2
import numpy as np
import pytest

from portrait.errors import UnusablePicture
from portrait.faces import Face, find_faces


def test_the_face_of_each_photograph_is_found_where_it_is(collins, hopper):
    for photograph, centre, width in ((collins, (224, 115), 95), (hopper, (263, 216), 225)):
        (face,) = find_faces(photograph)
        assert face.centre == pytest.approx(centre, abs=10)
        assert face.width == pytest.approx(width, abs=15)
        assert face.confidence >= 0.8


def test_a_face_that_looks_into_the_camera_faces_neither_side(collins):
    assert find_faces(collins)[0].facing == pytest.approx(0, abs=0.2)


def test_two_people_are_two_faces_with_the_larger_first(collins, hopper):
    both = np.hstack([collins, hopper[:512]])
    first, second = find_faces(both)
    assert first.x > 512 > second.x
    assert first.width > second.width


def test_a_face_is_found_again_in_a_very_wide_picture(collins):
    wide = np.hstack([np.full((512, 1500, 3), 120, np.uint8), collins])
    (face,) = find_faces(wide)
    assert face.centre == pytest.approx((1724, 115), abs=12)


def test_a_face_is_found_in_a_picture_of_64_pixels(collins):
    (face,) = find_faces(cv2.resize(collins, (64, 64), interpolation=cv2.INTER_AREA))
    assert face.centre == pytest.approx((28, 14), abs=2)


def test_a_grey_photograph_shows_its_face_too(collins):
    grey = np.repeat(cv2.cvtColor(collins, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2)
    assert len(find_faces(grey)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_noise_of_any_grain_has_no_face(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (240, 320, 3), np.uint8)
    for sigma in (0.5, 3, 9):
        assert find_faces(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), sigma), None, 0, 255, cv2.NORM_MINMAX)) == ()


def test_what_stands_around_a_person_is_no_face(collins, hopper):
    assert find_faces(np.ascontiguousarray(collins[:340, 320:])) == ()
    assert find_faces(np.ascontiguousarray(hopper[360:])) == ()


def test_black_and_white_pictures_have_no_face():
    assert find_faces(np.zeros((200, 300, 3), np.uint8)) == ()
    assert find_faces(np.full((200, 300, 3), 255, np.uint8)) == ()


def test_a_face_scales_with_its_picture():
    face = Face(10, 20, 30, 40, 0.9, 0.1).scaled(2)
    assert (face.x, face.y, face.width, face.height, face.chin, face.facing) == (20, 40, 60, 80, 120, 0.1)


@pytest.mark.parametrize(
    ("picture", "field"),
    [
        (np.zeros((64, 64, 3), np.float32), "dtype"),
        (np.zeros((64, 64), np.uint8), "shape"),
        (np.zeros((64, 64, 4), np.uint8), "shape"),
        (np.zeros((8, 64, 3), np.uint8), "size"),
        (np.zeros((32, 5000, 3), np.uint8), "size"),
        (np.zeros((16, 400, 3), np.uint8), "size"),
    ],
)
def test_an_array_that_is_no_picture_is_refused_naming_what_is_wrong(picture, field):
    with pytest.raises(UnusablePicture) as refused:
        find_faces(picture)
    assert refused.value.field == field
    assert refused.value.limit in str(refused.value)
