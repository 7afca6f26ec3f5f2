from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
from frames import ADA, BEN, OFFICE, PAD, frame, portrait

from previz import vocabulary
from previz.compose import STAGES, compose
from previz.drawing.exterior import draw_exterior
from previz.drawing.grade import grade, look_of
from previz.drawing.interior import draw_interior
from previz.drawing.light import light_of
from previz.drawing.styles import stylise
from previz.drawing.surfaces import seen
from previz.errors import Abandoned, InvalidPixels
from previz.layout import solve
from previz.spec import FigureSpec, LocationSpec

STYLES = [
    "cinematic",
    "noir",
    "anime",
    "ghibli",
    "photorealistic",
    "fantasy",
    "watercolor",
    "oil_painting",
    "comic",
    "cyberpunk",
    "steampunk",
    "dark_gothic",
    "minimalist",
    "pixel_art",
    "impressionist",
    "art_nouveau",
    "unheard-of",
]


@pytest.mark.parametrize("shot_type", vocabulary.SHOT_TYPES)
@pytest.mark.parametrize("location", [OFFICE, PAD], ids=["interior", "exterior"])
def test_every_shot_type_is_drawn(shot_type, location):
    picture = compose(frame(ADA, BEN, shot_type=shot_type, location=location), [portrait(), None])
    assert picture.shape == (180, 320, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 12


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_drawn_in_its_own_way(style):
    plain = compose(frame(ADA, style="photorealistic"), [portrait()])
    picture = compose(frame(ADA, style=style), [portrait()])
    assert picture.shape == plain.shape
    assert style == "photorealistic" or not np.array_equal(picture, plain)


@pytest.mark.parametrize("time_of_day", vocabulary.TIMES_OF_DAY)
@pytest.mark.parametrize("weather", vocabulary.WEATHERS)
def test_every_hour_and_weather_is_drawn(time_of_day, weather):
    picture = compose(frame(BEN, location=PAD, shot_type="wide", time_of_day=time_of_day, weather=weather))
    assert 8 < picture.mean() < 235


def _keep(pictures, stage, number, total, picture):
    pictures.append(picture)


@pytest.mark.parametrize("hour", vocabulary.TIMES_OF_DAY)
@pytest.mark.parametrize("location", [OFFICE, PAD], ids=["interior", "exterior"])
def test_the_set_is_visible_in_every_style_hour_and_weather(hour, location):
    for weather in vocabulary.WEATHERS:
        spec = frame(BEN, location=location, time_of_day=hour, weather=weather, shot_type="wide")
        pictures = []
        compose(replace(spec, width_px=192, height_px=108), on_stage=partial(_keep, pictures))
        for style in STYLES:
            graded = grade(pictures[2], look_of(replace(spec, style=style)), light_of(spec), spec.seed)
            picture = stylise(graded, style, spec.seed, is_interior=location == OFFICE)
            low, middle, high = np.percentile(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (5, 50, 95))
            assert high - low >= 40, (style, weather)
            assert middle >= 18, (style, weather)


def test_blinds_fall_only_where_there_are_windows():
    picture = np.full((90, 160, 3), 180, np.uint8)
    assert np.array_equal(stylise(picture, "noir", 0, is_interior=False), picture)
    assert not np.array_equal(stylise(picture, "noir", 0, is_interior=True), picture)


@pytest.mark.parametrize(
    "kind",
    ["office", "kitchen", "corridor", "control-room", "library", "laboratory", "hangar", "bedroom", "nonsense"],
)
def test_every_room_fills_the_frame_from_every_angle(kind):
    for angle in vocabulary.CAMERA_ANGLES:
        spec = frame(ADA, location=LocationSpec("interior", kind, kind), camera_angle=angle, shot_type="extreme-wide")
        empty = draw_interior(solve(spec).camera, spec.location, light_of(spec))
        assert (empty.max(axis=2) == 0).mean() < 0.02


@pytest.mark.parametrize("size", [(180, 320), (320, 320), (768, 512), (128, 128), (1280, 536)])
def test_any_size_is_filled(size):
    width, height = size
    spec = frame(ADA, width_px=width, height_px=height, shot_type="full")
    assert compose(spec, [portrait()]).shape == (height, width, 3)


def test_the_same_request_gives_the_same_bytes():
    spec = frame(ADA, BEN, shot_type="two-shot")
    assert compose(spec, [portrait(), None]).tobytes() == compose(spec, [portrait(), None]).tobytes()


def test_company_does_not_change_the_bytes():
    specs = [
        frame(ADA, shot_type=shot, location=place, time_of_day=hour, style=style, seed=seed)
        for seed, (shot, place, hour, style) in enumerate(
            [
                ("close-up", OFFICE, "night", "cinematic"),
                ("wide", PAD, "dusk", "noir"),
                ("medium", OFFICE, "noon", "comic"),
                ("full", PAD, "golden-hour", "impressionist"),
                ("insert", OFFICE, "morning", "watercolor"),
            ]
        )
    ]
    alone = [compose(spec, [portrait()]).tobytes() for spec in specs]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda spec: compose(spec, [portrait()]).tobytes(), specs * 4))
    assert together == alone * 4


def test_another_seed_is_another_take():
    assert not np.array_equal(compose(frame(ADA, seed=1)), compose(frame(ADA, seed=2)))


def test_arguments_are_left_as_they_were():
    matte, plate = portrait(), np.full((90, 160, 3), 90, np.uint8)
    compose(frame(ADA), [matte], plate)
    assert np.array_equal(matte, portrait())
    assert (plate == 90).all()


def test_stages_are_reported_in_order_with_pictures():
    heard = []
    compose(frame(ADA), [portrait()], on_stage=lambda *report: heard.append(report))
    assert [report[0] for report in heard] == list(STAGES)
    assert [report[1] for report in heard] == [1, 2, 3, 4]
    assert heard[0][3] is None
    assert all(report[3].shape == (180, 320, 3) for report in heard[1:])


def test_a_listener_can_stop_the_work():
    def stop(stage, number, total, picture):
        if stage == "set":
            raise Abandoned

    with pytest.raises(Abandoned):
        compose(frame(ADA), on_stage=stop)


def test_a_figure_reaches_from_its_photograph_to_the_ground():
    spec = frame(ADA, shot_type="full", width_px=640, height_px=360, style="photorealistic")
    placement = solve(spec).placements[0]
    foot, _ = solve(spec).camera.project([placement.foot])
    x, y, width, height = placement.face_box_px
    column = slice(int(x - width), int(x + 2 * width))
    picture = compose(spec, [portrait()]).astype(int)
    orange = (picture[:, column, 0] - picture[:, column, 2]) > 45
    for row in range(int(y + 1.8 * height), int(foot[0][1] - 0.25 * height)):
        assert orange[row].any(), row


def test_the_figure_is_the_photograph():
    spec = frame(ADA, shot_type="close-up", style="photorealistic")
    blue = portrait()
    blue[:, :, [0, 2]] = blue[:, :, [2, 0]]
    x, y, width, height = (int(v) for v in solve(spec).placements[0].face_box_px)
    warm = compose(spec, [portrait()])[y : y + height, x : x + width].mean(axis=(0, 1))
    cold = compose(spec, [blue])[y : y + height, x : x + width].mean(axis=(0, 1))
    assert warm[0] > warm[2] and cold[2] > cold[0]


def test_an_empty_matte_is_no_accident():
    assert compose(frame(ADA), [np.zeros((64, 48, 4), np.uint8)]).shape == (180, 320, 3)


def test_a_whole_figures_photograph_needs_no_drawn_body():
    tall = np.zeros((600, 200, 4), np.uint8)
    tall[20:590, 60:140] = (30, 160, 60, 255)
    whole = FigureSpec("Cleo", palette=((250, 20, 20),))
    picture = compose(frame(whole, shot_type="full", style="photorealistic"), [tall]).astype(int)
    assert not ((picture[:, :, 0] - picture[:, :, 1]) > 90).any()


def test_the_set_stands_still_when_the_shot_changes():
    """The office's lamp is at one place of the world, and it is the brightest thing there for every camera."""
    lamp = (-3.2, 1.6, 2.9)
    for shot_type in ("wide", "extreme-wide"):
        spec = frame(BEN, shot_type=shot_type, time_of_day="night", composition="centered", width_px=640, height_px=360)
        camera = solve(spec).camera
        (x, y), _ = (value[0] for value in camera.project([lamp]))
        lit = draw_interior(camera, spec.location, light_of(spec))
        shade = lit[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].mean()
        assert shade > 2.0 * np.median(lit), shot_type


def test_a_plate_replaces_the_drawn_set():
    plate = np.zeros((240, 320, 3), np.uint8)
    plate[:, :, 1] = 200
    picture = compose(frame(shot_type="wide", style="photorealistic"), plate=plate).astype(int)
    assert (picture[:, :, 1] > picture[:, :, 0] + 40).mean() > 0.9


def test_night_is_darker_than_noon():
    noon, night = (
        compose(frame(location=PAD, shot_type="wide", time_of_day=hour)).mean() for hour in ("noon", "night")
    )
    assert night < 0.75 * noon


def test_wet_ground_mirrors_the_sky():
    spec = frame(location=PAD, shot_type="wide", time_of_day="golden-hour", weather="rain")
    camera, light = solve(spec).camera, light_of(spec)
    dry, wet = (draw_exterior(camera, spec.location, light, weather).astype(float) for weather in ("overcast", "rain"))
    horizon = int(camera.horizon_y())
    sky, below = wet[horizon - 40 : horizon].mean(axis=(0, 1)), slice(horizon + 4, horizon + 44)
    away = [np.abs(ground[below].mean(axis=(0, 1)) - sky).sum() for ground in (dry, wet)]
    assert away[1] < 0.7 * away[0]


def test_a_surface_looks_the_same_whoever_saw_it_first():
    close, wide = (frame(shot_type=shot_type, composition="centered") for shot_type in ("close-up", "wide"))
    light = light_of(wide)
    seen.cache_clear()
    fresh = draw_interior(solve(wide).camera, OFFICE, light)
    seen.cache_clear()
    draw_interior(solve(close).camera, OFFICE, light)
    assert np.array_equal(draw_interior(solve(wide).camera, OFFICE, light), fresh)


def test_noir_has_no_colour():
    picture = compose(frame(ADA, style="noir"), [portrait()]).astype(int)
    assert (picture.max(axis=2) - picture.min(axis=2)).mean() < 6


@pytest.mark.parametrize(
    ("mattes", "name"),
    [
        ([], None),
        ([None, None], "mattes"),
        ([np.zeros((40, 40, 3), np.uint8)], "mattes[0]"),
        ([np.zeros((40, 40, 4), np.float32)], "mattes[0]"),
        ([np.zeros((4, 4, 4), np.uint8)], "mattes[0]"),
        ([np.zeros((40, 40), np.uint8)], "mattes[0]"),
    ],
)
def test_bad_mattes_are_refused_by_name(mattes, name):
    if name is None:
        assert compose(frame(ADA), mattes).any()
        return
    with pytest.raises(InvalidPixels) as refusal:
        compose(frame(ADA), mattes)
    assert refusal.value.name == name


def test_a_bad_plate_is_refused():
    with pytest.raises(InvalidPixels, match="plate"):
        compose(frame(ADA), plate=np.zeros((40, 40, 4), np.uint8))


def test_an_insert_shows_the_thing_that_its_words_name():
    papers, cup, phone = (
        compose(frame(shot_type="insert", description=words)).astype(int)
        for words in ("The orders.", "A cup of coffee.", "The phones ring.")
    )
    assert (np.abs(cup - papers).max(axis=2) > 30).mean() > 0.02
    assert (np.abs(cup - phone).max(axis=2) > 30).mean() > 0.02
