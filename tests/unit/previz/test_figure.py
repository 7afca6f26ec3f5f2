"""Figures: what continues a photograph, and the light on it."""

import numpy as np
import pytest
from frames import ADA, OFFICE, PAD, frame, portrait

from previz.compose import compose
from previz.drawing.body import HEIGHT_PX, PX_PER_HEAD, columns, rows
from previz.drawing.cutout import Cutout, cutout
from previz.drawing.figure_light import figure_light, plate_light
from previz.drawing.light import light_of, luma
from previz.spec import FaceBox, FigureSpec, LocationSpec

CONTROL_ROOM = LocationSpec("interior", "Mission control", "control room")
LABORATORY = LocationSpec("interior", "The clean room", "laboratory")


def half_length(held_px: int = 0, gap: bool = False) -> np.ndarray:
    """A figure to the hips, 60 px to a head, RGBA; ``held_px`` is how far something reaches beyond its right arm."""
    matte = np.zeros((220, 400, 4), np.uint8)
    matte[10:70, 176:224] = (200, 150, 120, 255)
    matte[70:90, 188:212] = (200, 150, 120, 255)
    matte[88:, 140:260] = (60, 90, 160, 255)
    if gap:
        matte[130:, 160:168, 3] = 0
        matte[130:, 232:240, 3] = 0
    if held_px:
        matte[150:, 260 : 260 + held_px] = (20, 20, 20, 255)
    return matte


def continued(matte: np.ndarray) -> Cutout:
    height, width = matte.shape[:2]
    face = FaceBox(180 / width, 22 / height, 40 / width, 46 / height)
    return cutout(FigureSpec("Cleo", face, palette=((60, 90, 160),), skin=(250, 200, 20)), matte, -1.0, "face")


def has_hand(body: np.ndarray, side: int) -> bool:
    """Whether skin, of a colour that nothing else has, is painted at the height of a hand."""
    half = slice(None, int(columns(0))) if side < 0 else slice(int(columns(0)), None)
    red, green, blue, alpha = np.moveaxis(body[int(rows(4.1)) : int(rows(4.5)), half].astype(int), 2, 0)
    return bool(((alpha > 200) & (red > 80) & (green > blue + 60)).any())


def test_arms_that_hang_free_are_drawn_on_with_hands():
    body = continued(half_length(gap=True)).body
    assert has_hand(body, -1) and has_hand(body, 1)


def test_no_arm_is_drawn_beside_one_that_holds_something():
    body = continued(half_length(held_px=90, gap=True)).body
    assert has_hand(body, -1)
    assert not has_hand(body, 1)


def test_no_arm_is_drawn_below_arms_that_the_photograph_shows_bent():
    body = continued(half_length()).body
    assert not has_hand(body, -1) and not has_hand(body, 1)


def test_what_is_held_ends_in_a_rounded_edge_of_its_own_colour():
    held, plain = (continued(half_length(held_px=px, gap=True)) for px in (90, 0))
    seam = round((held.to_card[1, 1] + held.to_card[1, 2]) * HEIGHT_PX)
    beside = slice(int(columns(1.6)), int(columns(2.0)))
    assert (plain.body[seam:, beside, 3] == 0).all()
    reach = (held.body[seam:, beside, 3] > 127).sum(axis=0)
    assert reach.max() > 10
    painted = held.body[seam : seam + 5, beside]
    assert painted[painted[:, :, 3] > 200][:, :3].mean() < 40
    wide = (held.body[seam:, int(columns(1.0)) :, 3] > 127).sum(axis=1)
    assert wide[0] > wide[reach.max() // 2] > wide[reach.max()]


def test_body_and_photograph_leave_no_gap_at_the_seam():
    layers = continued(half_length(gap=True))
    seam = round((layers.to_card[1, 1] + layers.to_card[1, 2]) * HEIGHT_PX)
    middle = slice(int(columns(-0.3)), int(columns(0.3)))
    assert (layers.body[seam - 10 : seam + 10, middle, 3] > 250).all()


def test_a_photograph_cropped_at_the_collar_gets_shoulders_of_human_width():
    collar = np.zeros((200, 150, 4), np.uint8)
    collar[5:165, 25:125] = (200, 150, 120, 255)
    collar[150:] = (60, 90, 160, 255)
    face = FaceBox(35 / 150, 45 / 200, 80 / 150, 100 / 200)
    layers = cutout(FigureSpec("Cleo", face, palette=((60, 90, 160),)), collar, -1.0, "face")
    outside = layers.body[int(rows(1.6)) : int(rows(2.2)), :, 3] > 127
    shoulders = outside.sum(axis=1).max() / PX_PER_HEAD
    assert 1.9 < shoulders < 2.5
    assert layers.photograph[160:, :2, 3].max() < 40
    assert layers.photograph[160:, -2:, 3].max() < 40


@pytest.mark.parametrize("shot_type", ["close-up", "medium", "full"])
def test_a_photograph_with_its_background_is_shown_whole_without_a_body(shot_type):
    opaque = np.full((200, 150, 4), 255, np.uint8)
    opaque[:, :, :3] = (20, 200, 60)
    face = FaceBox(35 / 150, 45 / 200, 80 / 150, 100 / 200)
    red = FigureSpec("Cleo", face, palette=((250, 10, 10),))
    spec = frame(red, shot_type=shot_type, style="photorealistic")
    picture = compose(spec, [opaque]).astype(int)
    green = (picture[:, :, 1] - picture[:, :, 0]) > 60
    columns_of_print = np.flatnonzero(green.any(axis=0))
    assert green.mean() > 0.08
    assert green[:, columns_of_print[0] : columns_of_print[-1] + 1].any(axis=1).sum() > 0.4 * len(picture)
    assert not ((picture[:, :, 0] - picture[:, :, 1]) > 100).any()


def test_black_clothes_stay_readable():
    dark = FigureSpec("Dee", palette=((6, 6, 8),))
    body = cutout(dark, None, -1.0, "none").body
    jacket = body[int(rows(2.2)) : int(rows(3.2)), int(columns(-0.4)) : int(columns(0.4)), :3]
    assert jacket.max() > 25


def factors(**changes):
    spec = frame(ADA, **changes)
    falls = figure_light(spec, light_of(spec))
    return (np.array(falls.left) + np.array(falls.right)) / 2


def test_a_low_sun_warms_a_figure_and_a_clear_noon_does_not():
    golden, noon = (factors(location=PAD, time_of_day=hour) for hour in ("golden-hour", "noon"))
    assert golden[0] > 1.3 * golden[2]
    assert noon[0] < 1.1 * noon[2]


def test_nobody_shines_in_a_dark_room():
    dark, pale = (luma(factors(location=place, lighting="high-key")) for place in (CONTROL_ROOM, LABORATORY))
    assert dark < 0.70
    assert dark < 0.85 * pale


@pytest.mark.parametrize("lighting", ["neon", "candlelight", "moonlight", "golden-hour"])
def test_coloured_light_leaves_skin_natural(lighting):
    red, green, blue = factors(location=PAD, time_of_day="night", lighting=lighting)
    assert max(red, green, blue) < 2.4 * min(red, green, blue)


@pytest.mark.parametrize("location", [OFFICE, PAD], ids=["interior", "exterior"])
def test_a_photographed_place_is_darker_by_night(location):
    specs = [frame(location=location, time_of_day=hour) for hour in ("noon", "night")]
    noon, night = (luma(np.array(plate_light(spec, light_of(spec)))) for spec in specs)
    assert night < 0.75 * noon


def test_a_figure_without_a_photograph_is_as_its_words_say():
    body = cutout(FigureSpec("Ben", palette=((20, 40, 200), (200, 30, 20))), None, 1.0, "face").body
    jacket = np.median(body[int(rows(2.4)), int(columns(-0.3)) : int(columns(-0.1)), :3], axis=0)
    trousers = np.median(body[int(rows(5.0)), int(columns(0.25)) : int(columns(0.5)), :3], axis=0)
    assert jacket[2] > 2 * jacket[0]
    assert trousers[0] > 2 * trousers[2]


def test_a_matte_is_not_written_to():
    matte = portrait()
    cutout(ADA, matte, 1.0, "face")
    assert np.array_equal(matte, portrait())
