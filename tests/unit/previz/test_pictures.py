import struct

import cv2
import numpy as np
import pytest
from frames import portrait

from previz.errors import InvalidPixels
from previz.pictures import MatteCache, decoded, preview


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def test_a_matte_comes_back_as_it_was():
    matte = portrait()
    assert np.array_equal(decoded("matte", png(cv2.cvtColor(matte, cv2.COLOR_RGBA2BGRA)), 4), matte)


def test_an_opaque_matte_gets_a_full_alpha():
    assert (decoded("matte", png(np.full((20, 30, 3), 9, np.uint8)), 4)[:, :, 3] == 255).all()


def test_a_jpeg_plate_is_read():
    encoded = cv2.imencode(".jpg", np.full((40, 60, 3), (200, 0, 0), np.uint8))[1].tobytes()
    plate = decoded("plate", encoded, 3)
    assert plate.shape == (40, 60, 3)
    assert plate[20, 30, 2] > 150


@pytest.mark.parametrize(
    "encoded", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x00" * 4]
)
def test_what_is_no_picture_is_refused_by_name(encoded):
    with pytest.raises(InvalidPixels, match="plate"):
        decoded("plate", encoded, 3)


def test_a_truncated_picture_is_refused():
    whole = png(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8))
    with pytest.raises(InvalidPixels, match="plate"):
        decoded("plate", whole[:40], 3)


def test_a_bomb_is_refused_by_its_header():
    bomb = bytearray(png(np.zeros((8, 8, 4), np.uint8)))
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    with pytest.raises(InvalidPixels, match="60000×60000"):
        decoded("mattes[0]", bytes(bomb), 4)


def test_a_sixteen_bit_matte_is_refused():
    with pytest.raises(InvalidPixels, match="uint16"):
        decoded("mattes[0]", png(np.zeros((9, 9, 4), np.uint16)), 4)


def test_a_preview_is_a_small_jpeg():
    encoded = preview(np.full((576, 1024, 3), 80, np.uint8))
    assert cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR).shape == (180, 320, 3)


def test_the_cache_decodes_once_and_forgets_the_oldest():
    first, second, third = (png(np.full((50, 50, 4), shade, np.uint8)) for shade in (10, 20, 30))
    cache = MatteCache(max_bytes=2 * 50 * 50 * 4)
    kept = cache.matte("m", first)
    assert cache.matte("m", first) is kept
    cache.matte("m", second)
    cache.matte("m", third)
    assert cache.matte("m", first) is not kept


def test_no_file_means_no_photograph():
    assert MatteCache(1000).matte("m", b"") is None
