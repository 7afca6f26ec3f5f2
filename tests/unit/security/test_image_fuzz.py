from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from continuity.security.image_errors import (
    InvalidPhoto,
)
from continuity.security.images import PhotoLimits, read_photo
from tests.unit.security.pictures import (
    encoded,
    picture,
    png_chunk,
    tiff_exif,
)
from tests.unit.security.verdicts import FORMATS

ORIENTATION, SHORT = 274, 3
VALID = [
    *(encoded(picture(), file_format) for file_format in FORMATS),
    encoded(picture(mode="RGBA"), "WebP"),
    encoded(picture(), "TIFF", compression="tiff_lzw"),
    encoded(picture(), "TIFF", compression="tiff_adobe_deflate"),
    encoded(picture(mode="CMYK"), "JPEG", progressive=True),
    encoded(picture(mode="P"), "PNG"),
    encoded(picture(mode="P"), "BMP"),
    encoded(picture(), "JPEG", exif=tiff_exif([(ORIENTATION, SHORT, 1, 6)])),
]


def taken_or_refused(data: bytes) -> None:
    try:
        photo = read_photo(data, PhotoLimits(max_pixels=1_000_000))
    except InvalidPhoto as error:
        assert str(error)
    else:
        assert photo.pixels.ndim == 3
        assert min(photo.pixels.shape[:2]) >= 64


@settings(max_examples=150, deadline=None)
@given(start=st.sampled_from([b"", *(data[:16] for data in VALID)]), rest=st.binary(max_size=400))
@example(start=b"II*\0\x08\0\0\0", rest=b"\xff\xff")
@example(start=b"\x89PNG\r\n\x1a\n", rest=png_chunk(b"IEND", b""))
def test_any_bytes_are_taken_or_refused_with_a_typed_error(start: bytes, rest: bytes) -> None:
    taken_or_refused(start + rest)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.sampled_from(VALID),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12),
    headers_only=st.booleans(),
)
def test_a_photograph_with_changed_bytes_is_taken_or_refused_with_a_typed_error(
    data: bytes, changes: list[tuple[float, int]], headers_only: bool
) -> None:
    changed = bytearray(data)
    reach = min(len(data), 400) if headers_only else len(data)
    for place, value in changes:
        changed[int(place * (reach - 1))] = value
    taken_or_refused(bytes(changed))
