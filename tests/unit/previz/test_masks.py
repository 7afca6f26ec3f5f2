from dataclasses import replace

import numpy as np
import pytest

from previz.compose import compose, compose_with_masks
from previz.errors import InvalidField
from previz.layout import solve
from previz.spec import FigureSpec, FrameSpec

ADA, BEN = FigureSpec(name="Ada", screen_order=0), FigureSpec(name="Ben", screen_order=1)
TWO = FrameSpec(width_px=320, height_px=180, shot_type="two-shot", figures=(ADA, BEN))


def test_each_figure_has_a_mask_where_it_stands() -> None:
    _, (ada, ben) = compose_with_masks(TWO)
    columns = np.arange(320)
    assert (ada.sum(axis=0) * columns).sum() / ada.sum() < 160 < (ben.sum(axis=0) * columns).sum() / ben.sum()
    assert ada.max() == ben.max() == 255


def test_masks_are_in_the_order_of_the_figures() -> None:
    _, (ada, ben) = compose_with_masks(TWO)
    _, swapped = compose_with_masks(replace(TWO, figures=(BEN, ADA)))
    overlap = [(np.minimum(first, second) > 128).sum() for first, second in ((ada, swapped[1]), (ben, swapped[0]))]
    assert min(overlap) > 0.5 * (ada > 128).sum()


def test_what_a_nearer_figure_hides_belongs_to_it_alone() -> None:
    _, masks = compose_with_masks(TWO)
    assert masks.astype(int).sum(axis=0).max() <= 256  # two roundings


def test_the_face_lies_in_the_mask() -> None:
    spec = replace(TWO, shot_type="medium", figures=(ADA,))
    _, (mask,) = compose_with_masks(spec)
    (placement,) = solve(spec).placements
    assert placement.face_box_px
    x, y, width, height = placement.face_box_px
    assert mask[round(y + height / 2), round(x + width / 2)] == 255


@pytest.mark.parametrize("shot_type", ["over-the-shoulder", "insert"])
def test_one_whose_face_is_not_shown_has_an_empty_mask(shot_type: str) -> None:
    _, masks = compose_with_masks(replace(TWO, shot_type=shot_type))
    shown = [bool(mask.any()) for mask in masks]
    assert shown == ([True, False] if shot_type == "over-the-shoulder" else [False, False])


def test_a_print_masks_its_rectangle() -> None:
    photograph = np.full((96, 64, 4), 255, np.uint8)
    _, (mask,) = compose_with_masks(replace(TWO, shot_type="medium", figures=(ADA,)), [photograph])
    assert mask.any()


def test_asking_for_masks_does_not_change_the_frame() -> None:
    assert compose(replace(TWO, masks=True)).tobytes() == compose(TWO).tobytes()


def test_a_frame_without_figures_has_no_masks() -> None:
    assert compose_with_masks(replace(TWO, figures=()))[1].shape == (0, 180, 320)


def test_whether_masks_are_wanted_is_true_or_false() -> None:
    assert FrameSpec.from_json(b'{"masks": true}').masks
    with pytest.raises(InvalidField, match="masks: 1 is not acceptable; true or false"):
        FrameSpec.from_json(b'{"masks": 1}')
