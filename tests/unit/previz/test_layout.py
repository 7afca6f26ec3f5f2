import itertools

import pytest

from previz import vocabulary
from previz.framing import HEAD_RANGES
from previz.layout import solve
from previz.spec import FigureSpec, FrameSpec

ADA = FigureSpec("Ada", screen_order=0)
BEN = FigureSpec("Ben", screen_order=1)
CLOSE = ("close-up", "medium-close-up", "medium")
SHOTS_WITH_FACES = [shot for shot in vocabulary.SHOT_TYPES if shot != "insert"]
CASTS = [(ADA,), (BEN,), (ADA, BEN), (BEN, ADA)]


def solved(*figures, **changes):
    return solve(FrameSpec(figures=figures, **changes))


def subjects(layout):
    return [placement for placement in layout.placements if placement.role == "subject"]


@pytest.mark.parametrize("shot_type", SHOTS_WITH_FACES)
@pytest.mark.parametrize("camera_angle", vocabulary.CAMERA_ANGLES)
def test_the_subjects_head_has_the_height_of_its_shot_type(shot_type, camera_angle):
    for cast in CASTS:
        layout = solved(*cast, shot_type=shot_type, camera_angle=camera_angle)
        low, high = HEAD_RANGES[shot_type]
        for placement in subjects(layout):
            assert low * 0.95 <= placement.head_px / 576 <= high * 1.06


@pytest.mark.parametrize("shot_type", SHOTS_WITH_FACES)
def test_no_face_leaves_the_frame(shot_type):
    options = itertools.product(vocabulary.CAMERA_ANGLES, vocabulary.COMPOSITIONS, CASTS, (0, 64))
    for angle, composition, cast, seed in options:
        layout = solved(*cast, shot_type=shot_type, camera_angle=angle, composition=composition, seed=seed)
        assert subjects(layout)
        for placement in subjects(layout):
            x, y, width, height = placement.face_box_px
            slack = 0.12 * 576 if shot_type == "extreme-close-up" else 0.0
            assert x >= -slack and x + width <= 1024 + slack, (angle, composition)
            assert y >= -slack and y + height <= 576 + slack * 4, (angle, composition)


@pytest.mark.parametrize("shot_type", CLOSE)
def test_eyes_are_on_the_upper_third_when_close(shot_type):
    face = subjects(solved(ADA, shot_type=shot_type))[0].face_box_px
    eyes = face[1] + face[3] * (0.5 - 0.3) / 0.7
    assert 0.26 <= eyes / 576 <= 0.40


@pytest.mark.parametrize("shot_type", ["close-up", "medium-close-up", "medium", "cowboy", "full"])
def test_there_is_headroom_but_not_too_much(shot_type):
    placement = subjects(solved(ADA, shot_type=shot_type))[0]
    _, y, _, height = placement.face_box_px
    crown = y - height * 0.3 / 0.7
    assert 0.03 <= crown / 576 <= 0.17


def test_a_full_shot_holds_the_whole_figure():
    layout = solved(ADA, shot_type="full")
    foot_y = layout.camera.project([subjects(layout)[0].foot])[0][0][1]
    crown_y = layout.camera.project([(0.0, ADA.height_m, 0.0)])[0][0][1]
    assert 0.82 <= (foot_y - crown_y) / 576 <= 0.92
    assert foot_y < 576


@pytest.mark.parametrize("shot_type", SHOTS_WITH_FACES)
def test_people_keep_their_sides_whoever_is_named_first(shot_type):
    for cast in ((ADA, BEN), (BEN, ADA)):
        places = {p.figure.name: sum(x for x, _ in p.quad_px) for p in solved(*cast, shot_type=shot_type).placements}
        if len(places) == 2:
            assert places["Ada"] < places["Ben"]


@pytest.mark.parametrize(("facing", "left"), [(0.8, True), (-0.8, False)])
def test_looking_room_is_on_the_side_that_the_face_turns_to(facing, left):
    face = subjects(solved(FigureSpec("Cleo", facing=facing), shot_type="medium"))[0].face_box_px
    assert (face[0] + face[2] / 2 < 512) is left


def test_a_near_shoulder_takes_about_a_third_of_an_over_the_shoulder_shot():
    for cast, side in (((ADA, BEN), 1), ((BEN, ADA), -1)):
        layout = solved(*cast, shot_type="over-the-shoulder")
        shoulder = next(p for p in layout.placements if p.role == "shoulder")
        assert layout.placements[-1] is shoulder
        assert shoulder.face_box_px is None
        middle = sum(x for x, _ in shoulder.quad_px) / 4
        near_edge = middle - side * 0.9 * shoulder.head_px
        covered = (1024 - near_edge if side > 0 else near_edge) / 1024
        assert 0.25 <= covered <= 0.35


def test_an_over_the_shoulder_shot_of_one_gets_an_unnamed_shoulder():
    layout = solved(ADA, shot_type="over-the-shoulder")
    assert sorted(p.role for p in layout.placements) == ["shoulder", "subject"]


def test_a_two_shot_holds_two_faces_on_one_eye_line():
    first, second = subjects(solved(ADA, BEN, shot_type="two-shot"))
    assert first.face_box_px[1] == pytest.approx(second.face_box_px[1], abs=576 * 0.02)


def test_angles_put_the_camera_where_their_names_say():
    heights = {a: solved(ADA, shot_type="medium", camera_angle=a).camera.position[1] for a in vocabulary.CAMERA_ANGLES}
    assert (
        heights["worms-eye"] < heights["low-angle"] < heights["eye-level"] < heights["high-angle"] < heights["overhead"]
    )


@pytest.mark.parametrize("camera_angle", vocabulary.CAMERA_ANGLES)
def test_the_horizon_follows_the_tilt(camera_angle):
    layout = solved(ADA, shot_type="wide", camera_angle=camera_angle)
    tilt = layout.camera.tilt
    assert (layout.horizon_y_px > 289) is (tilt > 0.002)
    assert (layout.horizon_y_px < 287) is (tilt < -0.002)
    assert layout.horizon_y_px == layout.camera.horizon_y()


def test_only_a_dutch_angle_rolls():
    rolls = {angle: solved(ADA, camera_angle=angle).camera.roll for angle in vocabulary.CAMERA_ANGLES}
    assert rolls.pop("dutch") != 0
    assert set(rolls.values()) == {0.0}


@pytest.mark.parametrize("shot_type", vocabulary.SHOT_TYPES)
@pytest.mark.parametrize("camera_angle", vocabulary.CAMERA_ANGLES)
def test_the_camera_stays_above_ground(shot_type, camera_angle):
    for cast in ((), *CASTS):
        assert solved(*cast, shot_type=shot_type, camera_angle=camera_angle).camera.position[1] > 0.1


def test_an_insert_shows_no_face():
    assert all(p.face_box_px is None for p in solved(ADA, shot_type="insert").placements)


def test_far_figures_come_first():
    depths = [p.depth_m for p in solved(ADA, BEN, FigureSpec("Cleo"), shot_type="wide").placements]
    assert depths == sorted(depths, reverse=True)


def test_a_shot_without_figures_still_has_a_camera():
    assert solved(shot_type="establishing").placements == ()


def test_a_single_is_framed_alike_whatever_the_height():
    short, tall = (subjects(solved(FigureSpec(height_m=h), shot_type="medium"))[0] for h in (1.2, 2.1))
    assert short.head_px == pytest.approx(tall.head_px, rel=1e-6)
    assert short.face_box_px == pytest.approx(tall.face_box_px, rel=1e-6)


@pytest.mark.parametrize("shot_type", ["two-shot", "full", "wide"])
def test_side_by_side_a_child_stays_below_an_adult_and_both_in_the_frame(shot_type):
    adult, child = FigureSpec("Ada", screen_order=0, height_m=1.9), FigureSpec("Kit", screen_order=1, height_m=1.3)
    faces = {p.figure.name: p.face_box_px for p in subjects(solved(child, adult, shot_type=shot_type))}
    assert faces["Kit"][3] == pytest.approx(faces["Ada"][3] * 1.3 / 1.9, rel=0.03)
    assert 0 <= faces["Ada"][1] < faces["Kit"][1]
    assert faces["Kit"][1] + faces["Kit"][3] < 576


def test_over_the_shoulder_both_eye_lines_are_on_one_level():
    layout = solved(FigureSpec("Kit", height_m=1.2), FigureSpec("Ada", height_m=1.9), shot_type="over-the-shoulder")
    eyes = [quad[0][1] + 1.25 / 8.5 * (quad[3][1] - quad[0][1]) for quad in (p.quad_px for p in layout.placements)]
    assert eyes[0] == pytest.approx(eyes[1], abs=0.02 * 576)
