"""Pictures are scaled until they cover, and cut evenly; nothing is stretched."""

import numpy as np
import pytest

from engine.drawing.fit import fitted, fitted_mask


def test_a_picture_of_the_right_size_is_left_alone():
    pixels = np.zeros((40, 60, 3), np.uint8)
    assert fitted(pixels, 60, 40) is pixels


@pytest.mark.parametrize("size", [(1024, 576), (256, 256), (2048, 512), (8, 2000)])
@pytest.mark.parametrize("source", [(768, 1344), (1024, 1024), (31, 47)])
def test_the_size_is_what_was_asked_for(size, source):
    width, height = size
    assert fitted(np.zeros((*source, 3), np.uint8), width, height).shape == (height, width, 3)
    assert fitted(np.zeros(source, np.uint8), width, height).shape == (height, width)


def test_what_juts_out_is_cut_off_evenly():
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 200
    assert (fitted(pixels, 100, 100) == 200).all()


def test_a_circle_stays_a_circle():
    y, x = np.mgrid[:768, :1344]
    disc = (((x - 672) ** 2 + (y - 384) ** 2) < 200**2).astype(np.uint8) * 255
    small = fitted(disc, 1024, 576) > 127
    assert abs(int(small.any(axis=0).sum()) - int(small.any(axis=1).sum())) <= 1


def test_a_mask_has_nothing_between_keeping_and_drawing_anew():
    mask = np.zeros((50, 70), np.uint8)
    mask[10:30, 5:60] = 255
    scaled = fitted_mask(mask, 211, 113)
    assert set(np.unique(scaled)) == {0, 255}
    assert fitted_mask(np.full((4, 4), 127, np.uint8), 4, 4).max() == 0
    assert fitted_mask(np.full((4, 4), 128, np.uint8), 4, 4).min() == 255
