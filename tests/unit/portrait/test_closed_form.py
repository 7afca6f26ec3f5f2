from __future__ import annotations

import numpy as np
import pytest

from portrait.closed_form import laplacian, solve_alpha


@pytest.fixture
def picture():
    return np.random.default_rng(5).integers(0, 256, (24, 30, 3), np.uint8)


def _dense(picture):
    everything = np.ones(picture.shape[:2], np.bool_)
    return laplacian(picture, everything).matrix(picture.shape[0]).toarray()


def test_rows_of_the_laplacian_sum_to_zero(picture):
    assert np.abs(_dense(picture).sum(axis=1)).max() < 1e-5


def test_the_laplacian_is_symmetric_and_never_negative(picture):
    matrix = _dense(picture)
    assert np.abs(matrix - matrix.T).max() < 1e-5
    assert np.linalg.eigvalsh(matrix).min() > -1e-4


def test_an_alpha_that_is_linear_in_colour_costs_nothing(picture):
    linear = (picture.astype(np.float64) / 255 @ (0.2, -0.5, 0.7) + 0.3).ravel()
    other = np.random.default_rng(1).random(linear.size)
    matrix = _dense(picture)
    assert np.abs(matrix @ linear).max() < 1e-3
    assert np.abs(matrix @ other).max() > 0.1


def test_rows_of_a_band_are_the_rows_of_the_whole(picture):
    band = np.zeros(picture.shape[:2], np.bool_)
    band[0:5, 3:9] = band[20:24, 25:30] = True
    part = laplacian(picture, band).matrix(picture.shape[0]).toarray()
    assert np.allclose(part, _dense(picture)[band.ravel()], atol=1e-6)


def test_a_straight_blend_of_two_colours_is_solved_exactly():
    true = np.clip((np.arange(60) - 15) / 30, 0, 1)[np.newaxis].repeat(20, axis=0).astype(np.float32)
    blend = true[..., np.newaxis] * (220, 60, 40) + (1 - true[..., np.newaxis]) * (20, 90, 200)
    unknown = np.zeros(true.shape, np.bool_)
    unknown[:, 10:50] = True
    coarse = (true > 0.5).astype(np.float32)
    alpha = solve_alpha(np.rint(blend).astype(np.uint8), coarse, unknown, np.zeros_like(true))
    assert np.abs(alpha - true).max() < 0.03


def test_a_strong_pull_keeps_the_alpha_that_was_given(picture):
    given = np.random.default_rng(2).integers(0, 2, picture.shape[:2]).astype(np.float32)
    unknown = np.ones(given.shape, np.bool_)
    alpha = solve_alpha(picture, given, unknown, np.full(given.shape, 1e4, np.float32))
    assert np.abs(alpha - given).max() < 0.01


def test_nothing_unknown_leaves_alpha_as_it_is(picture):
    given = np.full(picture.shape[:2], 0.25, np.float32)
    alpha = solve_alpha(picture, given, np.zeros(given.shape, np.bool_), np.zeros_like(given))
    assert np.array_equal(alpha, given)
