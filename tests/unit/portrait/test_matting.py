from __future__ import annotations

import cv2
import numpy as np
import pytest

from portrait.errors import NoFigure
from portrait.faces import Face, find_faces
from portrait.foreground import foreground_colours
from portrait.matting import cut_out, rgba, unknown_band
from portrait.segmentation import figure_mask
from portrait.upsampling import guided_upsampling


def test_collins_is_whole_and_flag_and_shuttle_are_gone(collins, matte_of):
    alpha = matte_of(collins).alpha
    hair, chest, sleeve_at_the_edge = alpha[30:60, 200:260], alpha[300:500, 120:220], alpha[500:512, 60:150]
    for kept in (hair, chest, sleeve_at_the_edge):
        assert kept.min() > 0.95
    flag, shuttle, wall, plinth = alpha[:200, :90], alpha[:270, 365:], alpha[:140, 310:], alpha[290:340, 420:]
    for gone in (flag, shuttle, wall, plinth):
        assert gone.mean() < 0.01


def test_hopper_keeps_her_cap_and_uniform_without_the_flag(hopper, matte_of):
    alpha = matte_of(hopper).alpha
    cap, white_of_the_cap, uniform = alpha[95:135, 165:360], alpha[60:75, 190:215], alpha[420:600, 60:450]
    for kept in (cap, white_of_the_cap, uniform):
        assert kept.min() > 0.9
    stars, stripe_by_the_neck, wall, strip_below = (
        alpha[:330, :120],
        alpha[220:290, 130:150],
        alpha[:300, 400:],
        alpha[460:560, :8],
    )
    for gone in (stars, stripe_by_the_neck, wall, strip_below):
        assert gone.mean() < 0.03


def test_hair_is_soft_and_the_inside_of_the_face_is_not(collins, matte_of):
    alpha = matte_of(collins).alpha
    around_the_hair = alpha[20:130, 140:320]
    assert ((around_the_hair > 0.05) & (around_the_hair < 0.95)).sum() > 300
    assert alpha[80:150, 195:255].min() == 1


def test_the_same_photograph_gives_the_same_bytes(hopper, matte_of):
    cv2.setRNGSeed(99)
    again = cut_out(hopper, find_faces(hopper)[0])
    assert rgba(again).tobytes() == rgba(matte_of(hopper)).tobytes()


def test_alpha_of_a_soft_figure_is_near_the_truth(soft_figure):
    picture, truth, _ = soft_figure
    alpha = cut_out(picture, None).alpha
    assert np.abs(alpha - truth).mean() < 0.01
    edge = (truth > 0.02) & (truth < 0.98)
    assert np.abs(alpha - truth)[edge].mean() < 0.1


def test_colours_under_a_soft_edge_are_the_figures_own(soft_figure):
    picture, truth, colours = soft_figure
    edge = (truth > 0.1) & (truth < 0.9)
    estimated = foreground_colours(picture, truth)
    wrong, kept = (np.abs(image[edge] - colours[edge].astype(float)).mean() / 255 for image in (estimated, picture))
    assert wrong < 0.03
    assert kept > 4 * wrong


def test_opaque_pixels_keep_the_photographs_colours(soft_figure):
    picture, truth, _ = soft_figure
    assert np.array_equal(foreground_colours(picture, truth)[truth == 1], picture[truth == 1])


def test_a_large_photograph_is_cut_like_a_small_one(hopper, matte_of):
    large = cv2.resize(hopper, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC)
    alpha = cut_out(large, find_faces(large)[0]).alpha
    assert alpha.shape == large.shape[:2]
    small = cv2.resize(alpha, (hopper.shape[1], hopper.shape[0]), interpolation=cv2.INTER_AREA)
    assert np.abs(small - matte_of(hopper).alpha).mean() < 0.02


def test_upsampling_follows_the_edge_of_the_full_picture():
    true = np.zeros((160, 160), np.float32)
    cv2.circle(true, (83, 77), 50, 1, -1)
    picture = np.where(true[..., np.newaxis] > 0, (200, 50, 40), (30, 80, 160)).astype(np.uint8)
    small = cv2.resize(picture, (40, 40), interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(true, (40, 40), interpolation=cv2.INTER_AREA)
    blurred = cv2.resize(alpha, (160, 160), interpolation=cv2.INTER_LINEAR)
    guided = guided_upsampling(alpha, small, picture)
    assert np.abs(guided - true).mean() < 0.3 * np.abs(blurred - true).mean()


def test_the_unknown_band_is_wider_at_the_hair_than_at_the_body():
    mask = np.zeros((400, 400), np.bool_)
    mask[60:, 100:300] = True
    face = Face(110, 110, 180, 180, 1)
    band = unknown_band(mask, face)
    assert band[150, :200].sum() > 1.5 * band[380, :200].sum()
    assert band[150, 85] and not unknown_band(mask, None)[150, 85]


def test_rgba_carries_colours_that_are_not_multiplied_by_alpha(collins, matte_of):
    matte = matte_of(collins)
    picture = rgba(matte)
    assert picture.shape == (512, 512, 4)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture[..., :3], matte.foreground)
    assert np.array_equal(picture[..., 3], np.rint(matte.alpha * 255))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_has_no_figure(level):
    with pytest.raises(NoFigure) as refused:
        cut_out(np.full((120, 200, 3), level, np.uint8), None)
    assert "0.0000" in str(refused.value)


def test_a_picture_that_is_all_face_has_no_figure_to_cut():
    with pytest.raises(NoFigure):
        cut_out(np.full((120, 120, 3), 90, np.uint8), Face(-60, -60, 240, 240, 1))


@pytest.mark.parametrize("size", [(64, 64), (700, 120), (96, 512)])
def test_odd_sizes_are_cut_to_their_own_shape(collins, size):
    picture = cv2.resize(collins, size, interpolation=cv2.INTER_AREA)
    face = find_faces(collins)[0]
    across, down = size[0] / 512, size[1] / 512
    stretched = Face(face.x * across, face.y * down, face.width * across, face.height * down, 1)
    matte = cut_out(picture, stretched)
    assert matte.alpha.shape == (size[1], size[0])
    assert 0.2 < matte.alpha.mean() < 0.8


def test_a_coarse_mask_has_no_pinholes_and_is_one_piece(collins):
    mask = figure_mask(collins, find_faces(collins)[0]).astype(np.uint8)
    assert cv2.connectedComponents(mask)[0] == 2
    assert mask[340:375, 280:328].all()
