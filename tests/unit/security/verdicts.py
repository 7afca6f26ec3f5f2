"""What the tests of the intake expect of a photograph."""

import numpy as np
import pytest

from continuity.kernel.errors import Invalid
from continuity.security.image_errors import InvalidPhoto
from continuity.security.images import PhotoLimits, read_photo

LIMITS = PhotoLimits()
FORMATS = ("JPEG", "PNG", "WebP", "TIFF", "BMP")
RED, BLUE = (60, 30), (60, 90)


def refused(data: bytes, error: type[InvalidPhoto], limits: PhotoLimits = LIMITS) -> InvalidPhoto:
    with pytest.raises(error) as caught:
        read_photo(data, limits)
    assert isinstance(caught.value, Invalid)
    assert caught.value.field == "photo"
    assert "photo" in str(caught.value)
    assert str(caught.value.limit) in str(caught.value)
    return caught.value


def shows_red_left_and_blue_right(pixels: np.ndarray) -> bool:
    (red, _, _), (_, _, blue) = pixels[RED][:3].astype(int), pixels[BLUE][:3].astype(int)
    return red > 150 and blue > 150 and pixels[RED][2] < 90 and pixels[BLUE][0] < 90
