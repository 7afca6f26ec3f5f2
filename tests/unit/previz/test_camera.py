import math
from dataclasses import replace

import numpy as np
import pytest

from previz.camera import Camera

LEVEL = Camera(1024, 576, 50.0, (0.0, 1.5, -4.0))


def test_a_50_mm_lens_sees_40_degrees():
    field_of_view = 2 * math.degrees(math.atan(LEVEL.width_px / 2 / LEVEL.focal_px))
    assert field_of_view == pytest.approx(39.6, abs=0.1)


def test_the_point_ahead_is_in_the_middle():
    pixels, depths = LEVEL.project([(0.0, 1.5, 0.0)])
    assert pixels[0] == pytest.approx((512, 288))
    assert depths[0] == pytest.approx(4.0)


def test_up_is_up_and_right_is_right():
    pixels, _ = LEVEL.project([(0.5, 2.0, 0.0)])
    assert pixels[0][0] > 512
    assert pixels[0][1] < 288


def test_a_level_camera_has_its_horizon_in_the_middle():
    assert LEVEL.horizon_y() == pytest.approx(288)


@pytest.mark.parametrize("tilt", [-25, -5, 10, 30])
def test_tilting_moves_the_horizon_by_the_tangent(tilt):
    camera = replace(LEVEL, tilt=math.radians(tilt))
    assert camera.horizon_y() == pytest.approx(288 + camera.focal_px * math.tan(math.radians(tilt)))


@pytest.mark.parametrize(("tilt", "roll", "pan"), [(0, 0, 0), (-20, 0, 15), (12, 9, -8), (-30, -11, 40)])
def test_the_horizon_is_where_far_ground_vanishes(tilt, roll, pan):
    camera = replace(LEVEL, tilt=math.radians(tilt), roll=math.radians(roll), pan=math.radians(pan))
    azimuth = math.radians(pan) + 0.1
    pixels, _ = camera.project([(math.sin(azimuth) * 1e7, 0.0, math.cos(azimuth) * 1e7)])
    assert camera.horizon_y(pixels[0][0]) == pytest.approx(pixels[0][1], abs=0.5)


def test_placing_puts_the_anchor_where_it_is_wanted():
    camera = replace(LEVEL, tilt=0.2, roll=0.1, pan=-0.3).placed((0.3, 1.6, 0.2), (300.0, 150.0), 2.5)
    pixels, depths = camera.project([(0.3, 1.6, 0.2)])
    assert pixels[0] == pytest.approx((300, 150))
    assert depths[0] == pytest.approx(2.5)


def test_a_planes_homography_agrees_with_projection():
    camera = replace(LEVEL, tilt=-0.2, pan=0.1)
    origin, across, down = np.array([-1.0, 2.0, 1.0]), np.array([2.0, 0.0, 0.5]), np.array([0.0, -1.5, 0.0])
    mapped = camera.homography(origin, across, down) @ (0.25, 0.75, 1.0)
    pixels, _ = camera.project([origin + 0.25 * across + 0.75 * down])
    assert mapped[:2] / mapped[2] == pytest.approx(pixels[0])


def test_a_longer_lens_blurs_the_background_more():
    blurs = [replace(LEVEL, lens_mm=lens).blur_px(8.0, 2.0, 2.8) for lens in (24, 50, 85)]
    assert blurs == sorted(blurs)
    assert LEVEL.blur_px(2.0, 2.0, 2.8) == 0
