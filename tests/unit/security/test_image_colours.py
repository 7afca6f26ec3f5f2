import cv2
import numpy as np
import pytest
from PIL import Image

from continuity.security.image_errors import (
    UnsupportedPhotoColours,
)
from continuity.security.images import read_photo
from tests.unit.security.pictures import (
    encoded,
    icc_of_inks_that_are_all_grey,
    icc_with_red_and_blue_exchanged,
    picture,
)
from tests.unit.security.verdicts import LIMITS, refused, shows_red_left_and_blue_right


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_other_kinds_of_pixels_become_rgb(mode: str) -> None:
    photo = read_photo(encoded(picture(mode=mode), "TIFF"), LIMITS)
    assert photo.pixels.shape == (90, 120, 3)
    expected = np.asarray(picture(mode=mode).convert("RGB")).astype(int)
    assert np.abs(photo.pixels - expected).max() <= 1


def test_a_cmyk_jpeg_is_converted() -> None:
    photo = read_photo(encoded(picture(mode="CMYK"), "JPEG"), LIMITS)
    assert shows_red_left_and_blue_right(photo.pixels)
    assert photo.notes == ("converted from CMYK without a profile",)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_colour_profile_is_obeyed(mode: str) -> None:
    data = encoded(picture(mode=mode), "PNG", icc_profile=icc_with_red_and_blue_exchanged())
    photo = read_photo(data, LIMITS)
    assert shows_red_left_and_blue_right(photo.pixels[:, ::-1])
    assert photo.notes == ("converted from RGB by its colour profile",)


def test_a_cmyk_colour_profile_is_obeyed() -> None:
    data = encoded(picture(mode="CMYK"), "JPEG", icc_profile=icc_of_inks_that_are_all_grey())
    photo = read_photo(data, LIMITS)
    assert np.ptp(photo.pixels.astype(int), axis=2).max() <= 3
    assert photo.notes == ("converted from CMYK by its colour profile",)


@pytest.mark.parametrize("profile", [icc_of_inks_that_are_all_grey(), b"nonsense"])
def test_a_colour_profile_that_does_not_fit_is_left_aside(profile: bytes) -> None:
    photo = read_photo(encoded(picture(), "JPEG", icc_profile=profile), LIMITS)
    assert shows_red_left_and_blue_right(photo.pixels)
    assert photo.notes == ("left a colour profile aside that does not fit",)


def test_sixteen_bits_of_grey_become_eight() -> None:
    grey = np.tile(np.linspace(0, 65535, 100).astype(np.uint16), (80, 1))
    for file_format in ("PNG", "TIFF"):
        photo = read_photo(encoded(Image.fromarray(grey), file_format), LIMITS)
        assert photo.pixels[0, :, 0].tolist() == (grey[0] >> 8).tolist()
        assert photo.notes == ("reduced from 16 to 8 bits",)


def test_sixteen_bits_of_colour_become_eight() -> None:
    deep = np.zeros((80, 100, 3), np.uint16)
    deep[..., 2] = 50_000
    encoded_png = cv2.imencode(".png", deep)[1].tobytes()
    assert read_photo(encoded_png, LIMITS).pixels[0, 0].tolist() == [50_000 >> 8, 0, 0]


def test_floating_point_pixels_are_refused() -> None:
    assert refused(encoded(picture(mode="L").convert("F"), "TIFF"), UnsupportedPhotoColours).value == "F"


@pytest.mark.parametrize("file_format", ["PNG", "WebP", "TIFF"])
def test_transparency_is_kept(file_format: str) -> None:
    image = picture(mode="RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    photo = read_photo(encoded(image, file_format), LIMITS)
    assert photo.pixels.shape == (90, 120, 4)
    assert np.abs(photo.pixels[..., 3].astype(int) - np.asarray(image)[..., 3]).max() <= 2


def test_a_transparent_palette_colour_becomes_alpha() -> None:
    image = picture(mode="L").quantize(8)
    photo = read_photo(encoded(image, "PNG", transparency=0), LIMITS)
    assert sorted(np.unique(photo.pixels[..., 3]).tolist()) == [0, 255]


def test_alpha_that_hides_nothing_is_dropped() -> None:
    assert read_photo(encoded(picture(mode="RGBA"), "PNG"), LIMITS).pixels.shape == (90, 120, 3)
