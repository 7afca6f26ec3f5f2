import random
import struct
import zlib

import cv2
import numpy as np
import pytest

from engine.errors import Refused
from engine.parsing import decoded, decoded_mask
from engine.parsing.pictures import within

FORMATS = [".png", ".jpg", ".webp"]


def picture(height: int = 24, width: int = 40, channels: int = 3, seed: int = 1) -> np.ndarray:
    """A smooth picture, so that lossy formats keep it."""
    corners = np.random.default_rng(seed).integers(0, 256, (2, 2, channels), np.uint8)
    return cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)


def encoded(pixels: np.ndarray, extension: str = ".png") -> bytes:
    return cv2.imencode(extension, pixels)[1].tobytes()


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int, *more: bytes) -> bytes:
    """A PNG whose header says a size that nothing in it bears out."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + b"".join(more) + chunk(b"IEND")


def refusal(data: bytes, name: str = "image") -> Refused:
    with pytest.raises(Refused) as refused:
        decoded(name, data)
    assert refused.value.field == name
    return refused.value


@pytest.mark.parametrize("extension", FORMATS)
def test_each_format_is_read_as_rgb(extension):
    bgr = picture()
    found = decoded("image", encoded(bgr, extension))
    assert found.dtype == np.uint8
    assert found.shape == (24, 40, 3)
    assert np.abs(found[..., ::-1].astype(int) - bgr).mean() < 6


def test_a_grey_picture_gets_three_equal_channels():
    grey = picture(channels=1)
    found = decoded("image", encoded(grey))
    assert (found == grey.reshape(24, 40, 1)).all()


def test_sixteen_bits_become_eight():
    deep = picture().astype(np.uint16) * 257
    assert (decoded("image", encoded(deep))[..., ::-1] == picture()).all()


def test_what_is_transparent_shows_mid_grey_and_not_what_lies_beneath():
    pixels = np.full((16, 16, 4), 255, np.uint8)
    pixels[:, :8, 3] = 0
    for extension in (".png", ".webp"):
        found = decoded("references[0]", cv2.imencode(extension, pixels)[1].tobytes())
        assert (found[:, :8] == 127).all()
        assert (found[:, 8:] == 255).all()


def test_a_mask_is_grey_and_nothing_where_it_is_transparent():
    pixels = np.full((16, 16, 4), 255, np.uint8)
    pixels[:, :8, 3] = 0
    found = decoded_mask("mask", encoded(pixels))
    assert found.shape == (16, 16)
    assert not found[:, :8].any()
    assert (found[:, 8:] == 255).all()
    assert (decoded_mask("mask", encoded(picture(channels=1))) == picture(channels=1).reshape(24, 40)).all()
    assert decoded_mask("mask", encoded(picture())).shape == (24, 40)


def test_a_photograph_is_turned_as_it_asks():
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    data = encoded(picture(), ".jpg")
    turned = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    assert decoded("image", turned).shape == (40, 24, 3)


@pytest.mark.parametrize("size", [(8193, 8), (8, 8193), (4001, 4000), (7, 100), (0, 0), (2**31, 2**31)])
def test_a_size_beyond_the_limits_is_refused_from_the_header_alone(size):
    found = refusal(png_of(*size))
    assert f"{size[0]}×{size[1]}" in str(found)


@pytest.mark.parametrize("extension", [".jpg", ".webp"])
def test_other_formats_sizes_are_read_from_the_header_as_well(extension):
    found = refusal(encoded(np.zeros((8200, 16, 3), np.uint8), extension))
    assert "16×8200" in str(found)


def test_a_lossless_webp_tells_its_size():
    data = cv2.imencode(".webp", np.zeros((8200, 16, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    assert data[12:16] == b"VP8L"
    assert "16×8200" in str(refusal(data))
    small = cv2.imencode(".webp", picture(), [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    assert (decoded("image", small)[..., ::-1] == picture()).all()


def test_more_bytes_than_any_picture_needs_are_refused():
    assert "at most 33554432 bytes" in str(refusal(b"\x89PNG" + bytes(32 * 1024 * 1024)))


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a" + bytes(40), b"BM" + bytes(60), b"II*\0" + bytes(60), b"<svg/>", b"RIFF\0\0\0\0WAVE" + bytes(40)],
)
def test_only_named_formats_are_opened(data):
    assert "PNG, JPEG or WebP" in str(refusal(data))


@pytest.mark.parametrize("extension", FORMATS)
def test_a_file_that_is_cut_off_anywhere_is_refused(extension):
    data = encoded(picture(), extension)
    for length in range(3, len(data) - 1, max(1, len(data) // 60)):
        refusal(data[:length])


@pytest.mark.parametrize("extension", FORMATS)
def test_flipped_bits_are_read_or_refused_and_nothing_else_happens(extension):
    rng = random.Random(6)
    data = encoded(picture(), extension)
    for _ in range(200):
        broken = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        try:
            found = decoded("image", bytes(broken))
        except Refused:
            continue
        assert found.ndim == 3


def test_a_wrong_check_sum_is_refused():
    data = bytearray(encoded(picture()))
    data[60] ^= 1
    assert "check sum" in str(refusal(bytes(data)))


def test_texts_and_animations_in_a_png_never_reach_the_decoder():
    data = encoded(picture())
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000)))
    moving = chunk(b"acTL", struct.pack(">II", 1000, 0))
    found = decoded("image", data[:33] + bomb + moving + data[33:])
    assert (found[..., ::-1] == picture()).all()


def test_a_moving_webp_is_refused():
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"\x27\0\0\x17\0\0"
    assert "does not move" in str(refusal(b"RIFF" + struct.pack("<I", 4 + len(extended)) + b"WEBP" + extended))


def test_a_jpeg_with_endless_scans_is_refused():
    data = cv2.imencode(".jpg", picture(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    at = data.rindex(b"\xff\xda")
    assert "scans" in str(refusal(data[:at] + data[at:-2] * 120 + data[-2:]))


def test_a_picture_is_shrunk_to_a_longest_side_and_never_enlarged():
    assert within(picture(100, 50), 40).shape == (40, 20, 3)
    assert within(picture(100, 50), 100).shape == (100, 50, 3)
    assert within(np.zeros((1, 900), np.uint8), 300).shape == (1, 300)


def test_a_jpeg_that_hides_a_second_frame_from_us_is_refused():
    data = encoded(picture(), ".jpg")
    hidden = b"\xff\x01" + struct.pack(">H", len(data)) + data[2:-2]
    assert "misplaced" in str(refusal(data[:2] + hidden + data[2:]))


def test_a_webp_whose_canvas_is_smaller_than_its_picture_is_refused():
    inner = encoded(np.zeros((4000, 3000, 3), np.uint8), ".webp")[12:]
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\x27\0\0\x17\0\0" + inner
    assert "damaged" in str(refusal(b"RIFF" + struct.pack("<I", 4 + len(extended)) + b"WEBP" + extended))
