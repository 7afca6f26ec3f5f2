import gc
import resource
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from continuity.security.image_errors import (
    AnimatedPhoto,
    DamagedPhoto,
    EmptyPhoto,
    InvalidPhoto,
    InvisiblePhoto,
    PhotoTooHeavy,
    PhotoTooManyPixels,
    PhotoTooSmall,
    TruncatedPhoto,
    UnknownPhotoFormat,
)
from continuity.security.images import PhotoLimits, encode_png, read_photo
from tests.unit.security.pictures import (
    encoded,
    picture,
    png_bomb,
    tiff_exif,
    with_png_chunk,
)
from tests.unit.security.verdicts import FORMATS, LIMITS, refused, shows_red_left_and_blue_right

ORIENTATION, SHORT = 274, 3


@pytest.mark.parametrize("file_format", FORMATS)
def test_each_format_is_read_and_reported_by_its_content(file_format: str) -> None:
    photo = read_photo(encoded(picture(), file_format), LIMITS)
    assert photo.format == file_format
    assert photo.content_type == f"image/{file_format.lower()}"
    assert (photo.width_px, photo.height_px) == (120, 90)
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.shape == (90, 120, 3)
    assert shows_red_left_and_blue_right(photo.pixels)
    assert photo.notes == ()


def test_an_empty_file_is_refused() -> None:
    refused(b"", EmptyPhoto)


def test_text_is_refused_as_an_unknown_format() -> None:
    refused(b"dear casting agency, " * 50, UnknownPhotoFormat)


def test_a_picture_so_transparent_that_nothing_shows_is_refused() -> None:
    rgba = np.array(picture(mode="RGBA"))
    rgba[..., 3] = 0
    refused(encode_png(rgba), InvisiblePhoto)
    rgba[: rgba.shape[0] // 4, :, 3] = 255
    assert read_photo(encode_png(rgba), LIMITS).pixels.shape[2] == 4


def test_a_gif_is_refused_and_named() -> None:
    assert "GIF" in str(refused(encoded(picture(mode="P"), "GIF"), UnknownPhotoFormat))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.9])
def test_a_cut_off_file_is_refused(file_format: str, part: float) -> None:
    data = encoded(picture(), file_format)
    refused(data[: int(len(data) * part)], InvalidPhoto)


def test_a_cut_off_jpeg_and_a_cut_off_png_are_called_so() -> None:
    refused(encoded(picture(), "JPEG")[:-2], TruncatedPhoto)
    refused(encoded(picture(), "PNG")[:-2], TruncatedPhoto)


def test_a_png_with_a_flipped_bit_is_refused() -> None:
    png = bytearray(encoded(picture(), "PNG"))
    png[len(png) // 2] ^= 1
    refused(bytes(png), DamagedPhoto)


def test_too_many_bytes_are_refused_with_their_number() -> None:
    error = refused(encoded(picture(), "BMP"), PhotoTooHeavy, PhotoLimits(max_bytes=1000))
    assert (error.value, error.limit) == (len(encoded(picture(), "BMP")), 1000)


@pytest.mark.parametrize("file_format", FORMATS)
def test_too_many_pixels_are_refused_with_their_number(file_format: str) -> None:
    error = refused(encoded(picture(), file_format), PhotoTooManyPixels, PhotoLimits(max_pixels=10_000))
    assert (error.value, error.limit) == (120 * 90, 10_000)


def test_a_side_below_the_minimum_is_refused() -> None:
    assert refused(encoded(picture(200, 63), "PNG"), PhotoTooSmall).value == "200×63"
    read_photo(encoded(picture(200, 64), "PNG"), LIMITS)


def test_a_strip_that_would_vanish_when_scaled_down_is_refused() -> None:
    refused(encoded(picture(9000, 70), "PNG"), PhotoTooSmall)


def test_a_png_bomb_is_refused_by_its_header_without_taking_its_memory() -> None:
    bomb = png_bomb()
    assert len(bomb) < 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(bomb, PhotoTooManyPixels).value == 15_000**2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_a_webp_beyond_all_bounds_is_refused_by_its_header() -> None:
    canvas = (16_382).to_bytes(3, "little") * 2
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas + encoded(picture(), "WebP")[12:]
    refused(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body, InvalidPhoto)


def test_a_text_that_unfolds_into_a_gigabyte_is_never_unfolded() -> None:
    text = b"Comment\0\0" + zlib.compress(bytes(50_000_000), 9)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read_photo(with_png_chunk(encoded(picture(), "PNG"), b"zTXt", text), LIMITS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_a_colour_profile_that_unfolds_into_megabytes_is_refused() -> None:
    profile = b"icc\0\0" + zlib.compress(bytes(50_000_000), 9)
    refused(with_png_chunk(encoded(picture(), "PNG"), b"iCCP", profile), DamagedPhoto)


def test_exif_entries_that_all_point_to_the_same_bytes_cost_no_memory() -> None:
    exif = tiff_exif([(tag, 7, 30_000, 8) for tag in range(40_000, 42_500)]) + bytes(30_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read_photo(encoded(picture(), "JPEG", exif=exif), LIMITS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_tiff_entries_larger_than_the_file_are_refused() -> None:
    tiff = encoded(picture(), "TIFF")
    directory = struct.unpack_from("<I", tiff, 4)[0]
    first = directory + 2
    refused(tiff[:first] + struct.pack("<HHII", 273, 4, 1 << 28, 8) + tiff[first + 12 :], DamagedPhoto)


def test_a_tiff_with_gigantic_tiles_is_refused() -> None:
    tiff = bytearray(encoded(picture(), "TIFF"))
    directory, count = struct.unpack_from("<I", tiff, 4)[0], 0
    count = struct.unpack_from("<H", tiff, directory)[0]
    entries = tiff[directory + 2 : directory + 2 + 12 * count]
    tiles = b"".join(struct.pack("<HHII", tag, 4, 1, 30_000) for tag in (322, 323))
    fresh = struct.pack("<H", count + 2) + bytes(entries) + tiles + bytes(4)
    refused(bytes(tiff[:4]) + struct.pack("<I", len(tiff)) + bytes(tiff[8:]) + fresh, DamagedPhoto)


def test_a_jpeg_with_hundreds_of_scans_is_refused() -> None:
    jpeg = encoded(picture(), "JPEG", progressive=True)
    start = jpeg.index(b"\xff\xda")
    end = jpeg.index(b"\xff", start + 14)
    refused(jpeg[:start] + jpeg[start:end] * 500 + jpeg[start:], DamagedPhoto)


@pytest.mark.parametrize(("file_format", "frames"), [("PNG", 3), ("WebP", 3)])
def test_a_moving_picture_is_refused_with_its_number_of_frames(file_format: str, frames: int) -> None:
    others = [picture().rotate(10 * step) for step in range(1, frames)]
    data = encoded(picture(), file_format, save_all=True, append_images=others)
    assert refused(data, AnimatedPhoto).value == frames


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WebP", "TIFF"])
def test_exif_turns_the_picture_upright(file_format: str, turn: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = picture().transpose(Image.Transpose(undo[turn])) if turn in undo else picture()
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    photo = read_photo(encoded(stored, file_format, exif=exif), LIMITS)
    assert photo.pixels.shape == (90, 120, 3)
    assert (photo.original_width_px, photo.original_height_px) == (120, 90)
    assert shows_red_left_and_blue_right(photo.pixels)
    assert photo.pixels[5].mean() > photo.pixels[80].mean() + 20
    assert ("turned upright by EXIF" in photo.notes) == (turn > 1)


@pytest.mark.parametrize("exif", [tiff_exif([(ORIENTATION, SHORT, 1, 99)]), b"II*\0\xff\xff\xff\xff", b"nonsense"])
def test_senseless_exif_leaves_the_picture_as_it_is(exif: bytes) -> None:
    assert read_photo(encoded(picture(), "JPEG", exif=exif), LIMITS).notes == ()


def test_the_first_picture_of_an_mpo_is_taken() -> None:
    mpo = encoded(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (640, 480))])
    photo = read_photo(mpo, LIMITS)
    assert (photo.format, photo.width_px) == ("JPEG", 120)
    assert shows_red_left_and_blue_right(photo.pixels)
    assert photo.notes == ("took the first picture of several",)


def test_film_behind_a_jpeg_is_no_matter() -> None:
    jpeg = encoded(picture(), "JPEG")
    assert np.array_equal(
        read_photo(jpeg + b"\xff\xda\0\0ftypmp42" * 999, LIMITS).pixels, read_photo(jpeg, LIMITS).pixels
    )


def test_the_first_page_of_a_tiff_is_taken() -> None:
    photo = read_photo(encoded(picture(), "TIFF", save_all=True, append_images=[picture(64, 64)]), LIMITS)
    assert photo.pixels.shape == (90, 120, 3)
    assert photo.notes == ("took the first page of several",)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_large_picture_is_scaled_down_to_the_limit(file_format: str) -> None:
    photo = read_photo(encoded(picture(1201, 900), file_format), PhotoLimits(max_side_px=200))
    assert (photo.width_px, photo.height_px) == (200, 150)
    assert (photo.original_width_px, photo.original_height_px) == (1201, 900)
    assert "scaled down from 1201×900" in photo.notes
    expected = np.asarray(picture(1201, 900).resize((200, 150), Image.Resampling.BOX)).astype(int)
    assert np.abs(photo.pixels - expected).mean() < 3


def test_scaling_down_lets_no_colour_of_hidden_pixels_bleed_in() -> None:
    array = np.zeros((400, 400, 4), np.uint8)
    array[::2] = (200, 100, 50, 255)
    array[1::2] = (0, 255, 0, 0)
    photo = read_photo(encoded(Image.fromarray(array), "PNG"), PhotoLimits(max_side_px=150))
    assert np.abs(photo.pixels[..., :3].astype(int) - (200, 100, 50)).max() <= 3


def test_where_a_picture_was_taken_is_not_passed_on() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[29] = "2024:01:02"
    exif[270] = "at home"
    jpeg = encoded(picture(), "JPEG", exif=exif, comment=b"at home")
    assert b"at home" in jpeg
    assert b"at home" not in encode_png(read_photo(jpeg, LIMITS).pixels)


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_an_encoded_png_holds_the_same_pixels(channels: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (70, 80, *channels), np.uint8)
    decoded = cv2.imdecode(np.frombuffer(encode_png(pixels), np.uint8), cv2.IMREAD_UNCHANGED)
    if channels:
        decoded = decoded[..., [2, 1, 0, 3][: channels[0]]]
    assert np.array_equal(decoded, pixels)


def test_reading_many_refused_files_keeps_no_memory() -> None:
    bad = encoded(picture(400, 400), "PNG")[:-30]
    refused(bad, InvalidPhoto)
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(50):
        refused(bad, InvalidPhoto)
    gc.collect()
    assert sys.getallocatedblocks() - before < 500
