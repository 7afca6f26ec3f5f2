from dataclasses import replace
from typing import Any

from engine.drawing.expert import Expert
from engine.shapes import ShapeClass


def test_the_same_files_under_two_names_share_no_kernels_for_their_weights_lie_in_two_places(tiny: Any) -> None:
    shape = ShapeClass("sdxl", 256, 256, guided=True, chunks=1, reference_slots=0, control=False)
    twin = replace(tiny, name="twin")
    assert twin.sha256 == tiny.sha256
    assert Expert(twin, "v").group(shape).kernels != Expert(tiny, "v").group(shape).kernels
    assert Expert(replace(tiny), "v").group(shape) == Expert(tiny, "v").group(shape)
