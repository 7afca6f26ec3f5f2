"""Sizes and batch shapes: what a request's kernels look like follows from the request alone, never from load."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

__all__ = ["ShapeClass", "bucket", "sharing_on"]

SDXL_PX = 1024
SDXL_BUCKETS = (
    (1024, 1024), (1152, 896), (896, 1152), (1216, 832), (832, 1216), (1344, 768), (768, 1344), (1536, 640),
    (640, 1536),
)  # fmt: skip
"""Width and height, about one megapixel each. Source: Podell et al., SDXL (2023), appendix I; the usual nine of it."""
SIDE_STEP = 64
SHARING = 4
"""Requests that share a batch where one alone does not fill a GPU."""
SHARING_ON_CPU = 1
"""One request fills a core at any size: measured, batches gain 0 to 20 %, and a lone one of four slots takes 4 x."""
MEGAPIXEL = 1024 * 1024
FULL_SHARE = 0.9
"""From this share of a megapixel on one image counts as filling the device."""


@dataclass(frozen=True)
class ShapeClass:
    """Everything that the shape of a UNet call depends on.

    ``reference_slots`` is 0 or 4: reference tokens are padded to that. ``chunks`` is the number of 77-token chunks of
    the longer one of prompt and negative prompt.
    """

    architecture: str
    width_px: int
    height_px: int
    guided: bool
    chunks: int
    reference_slots: int = 0
    control: bool = False
    inpaint: bool = False
    sharing: int = SHARING

    @property
    def slots(self) -> int:
        """How many requests share one batch: one at a megapixel, ``sharing`` below."""
        return 1 if self.width_px * self.height_px >= FULL_SHARE * MEGAPIXEL else self.sharing


def bucket(width_px: int, height_px: int, native_px: int) -> tuple[int, int]:
    """Return the size that a request is drawn at: of the model's native sizes the one nearest in proportion.

    For a model whose native square is not 1024 the sizes shrink with it, to multiples of 64 (of 16 below 512).
    """
    step = SIDE_STEP if native_px >= 512 else 16
    scale = native_px / SDXL_PX
    sizes = [(_rounded(width * scale, step), _rounded(height * scale, step)) for width, height in SDXL_BUCKETS]
    wanted = log(width_px / height_px)
    return min(sizes, key=lambda size: abs(log(size[0] / size[1]) - wanted))


def sharing_on(device_type: str) -> int:
    """Return how many requests share a batch below a megapixel, on a torch device type."""
    return SHARING_ON_CPU if device_type == "cpu" else SHARING


def _rounded(side: float, step: int) -> int:
    return max(step, round(side / step) * step)
