"""A second model for the last steps."""

import numpy as np
import pytest

from engine.drawing.loop import reference_loop
from engine.errors import Refused


def test_the_refiner_takes_the_steps_below_its_timestep(drawer, prepared):
    work = drawer.begin(prepared(refiner="tiny-refiner", steps=5))
    architectures = []
    while (phase := work.next.phase) != "decode":
        if phase == "step":
            architectures.append(work.next.group.shape.architecture)
        drawer.run([work])
    assert architectures == ["sdxl"] * 4 + ["sdxl-refiner"]


def test_it_changes_the_picture_of_its_own_request_alone(drawer, prepared):
    before, refined, after = (
        reference_loop(drawer, prepared(refiner=name, steps=5))[0].pixels for name in (None, "tiny-refiner", None)
    )
    assert not np.array_equal(refined, before)
    assert np.array_equal(after, before)


@pytest.mark.parametrize("name", ["sdxl-tiny", "none"])
def test_what_is_no_refiner_is_refused(drawer, prepared, name):
    with pytest.raises(Refused, match=name):
        reference_loop(drawer, prepared(refiner=name))
