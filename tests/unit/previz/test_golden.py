"""Golden pictures, compared within a tolerance because SIMD differs between processors.

After a wanted change look at the new pictures, then write them: ``python tests/unit/previz/test_golden.py``
(with ``PYTHONPATH=.:libs``) and raise ``previz.VERSION``.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from frames import ADA, BEN, OFFICE, PAD, frame, portrait

from previz.compose import compose

FOLDER = Path(__file__).parent / "golden"
MEAN_DIFFERENCE, PIXEL_DIFFERENCE, DIFFERING_SHARE = 1.0, 12, 0.01

FRAMES = {
    "close_up_office": frame(ADA, shot_type="close-up"),
    "over_the_shoulder_pad": frame(ADA, BEN, shot_type="over-the-shoulder", location=PAD, time_of_day="golden-hour"),
    "full_office_night": frame(ADA, BEN, shot_type="full", location=OFFICE, time_of_day="night"),
    "establishing_pad_rain": frame(
        ADA, shot_type="establishing", location=PAD, weather="rain", camera_angle="high-angle"
    ),
    "noir_medium": frame(ADA, style="noir", lighting="low-key"),
}


def drawn(name: str) -> np.ndarray:
    spec = FRAMES[name]
    return compose(spec, [portrait(), None][: len(spec.figures)])


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_looks_like_its_golden_picture(name):
    golden = cv2.cvtColor(cv2.imread(str(FOLDER / f"{name}.png")), cv2.COLOR_BGR2RGB)
    difference = np.abs(drawn(name).astype(int) - golden.astype(int))
    assert difference.mean() < MEAN_DIFFERENCE
    assert (difference.max(axis=2) > PIXEL_DIFFERENCE).mean() < DIFFERING_SHARE


def test_every_golden_picture_is_in_use():
    assert {path.stem for path in FOLDER.glob("*.png")} == set(FRAMES)


if __name__ == "__main__":
    for frame_name in FRAMES:
        picture = cv2.cvtColor(drawn(frame_name), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(FOLDER / f"{frame_name}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
