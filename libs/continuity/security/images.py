"""Photographs from outside become arrays, or are refused.

``read_photo`` is pure and slow (up to seconds): run it in a ``CpuPool``, whose deadline is the last of its limits. No
setting of Pillow is changed: the decoder is chosen by the first bytes and called by name, so that its global limit on
pixels never decides; ours is looked at when the header is read and before memory is taken.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from continuity.kernel.errors import InvalidValue
from continuity.security.colours import eight_bits, to_srgb
from continuity.security.exif import orientation
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
from continuity.security.image_files import Stripped, strip_jpeg, strip_png, strip_tiff

Pixels = npt.NDArray[np.uint8]

_ACCEPTED = "a photograph in JPEG, PNG, WebP, TIFF or BMP"
_PNG_ORDER = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FAINT = 25
"""Alpha up to which nobody would see anything."""
_LEAST_SHOWN = 0.01


@dataclass(frozen=True)
class PhotoLimits:
    """What is taken. A picture whose long side exceeds ``max_side_px`` is scaled down to it, not refused."""

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 64_000_000
    min_side_px: int = 64
    max_side_px: int = 2048


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph, upright, in sRGB, without any of its metadata.

    ``pixels``: uint8, height × width × 3 (RGB) or × 4 (RGB and straight alpha, where anything is transparent).
    ``original_width_px`` and ``original_height_px``: upright, before scaling. ``notes`` say what was done to it.
    """

    pixels: Pixels
    format: str
    original_width_px: int
    original_height_px: int
    notes: tuple[str, ...]

    @property
    def width_px(self) -> int:
        """Width of ``pixels``."""
        return int(self.pixels.shape[1])

    @property
    def height_px(self) -> int:
        """Height of ``pixels``."""
        return int(self.pixels.shape[0])

    @property
    def content_type(self) -> str:
        """The media type of the file that it was read from."""
        return f"image/{self.format.lower()}"


@dataclass(frozen=True)
class _Format:
    name: str
    signatures: tuple[bytes, ...]
    strip: Callable[[bytes], Stripped]
    decoder: Callable[[io.BytesIO], ImageFile.ImageFile]


_FORMATS = (
    _Format("JPEG", (b"\xff\xd8\xff",), strip_jpeg, JpegImagePlugin.JpegImageFile),
    _Format("PNG", (b"\x89PNG\r\n\x1a\n",), strip_png, PngImagePlugin.PngImageFile),
    _Format("TIFF", (b"II*\0", b"MM\0*"), strip_tiff, TiffImagePlugin.TiffImageFile),
    _Format("WebP", (b"RIFF",), Stripped, WebPImagePlugin.WebPImageFile),
    _Format("BMP", (b"BM",), Stripped, BmpImagePlugin.BmpImageFile),
)


def read_photo(data: bytes, limits: PhotoLimits) -> Photo:
    """Return the photograph in ``data``; raises an ``InvalidPhoto`` that says why it is refused.

    The content decides the format, not a name. Where a file holds several pages or pictures, the first is taken.
    """
    file_format = _recognised(data, limits)
    try:
        stripped = file_format.strip(data)
        with file_format.decoder(io.BytesIO(stripped.data)) as image:
            _check_header(image, limits)
            return _finished(image, file_format.name, stripped, limits)
    except (InvalidPhoto, MemoryError):
        raise
    except Image.DecompressionBombError:
        pixels = f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0)}"
        raise PhotoTooManyPixels(value=pixels, limit=limits.max_pixels) from None
    except Exception as error:  # a decoder raises whatever its parser trips over
        raise _told_apart(error) from error


def encode_png(pixels: Pixels) -> bytes:
    """Return grey, RGB or RGBA ``pixels`` (uint8) as PNG, quickly rather than small (zlib level 1)."""
    order = _PNG_ORDER.get(pixels.shape[2] if pixels.ndim == 3 else 1)
    picture = pixels if order is None else cv2.cvtColor(pixels, order)
    encoded, png = cv2.imencode(".png", picture, (cv2.IMWRITE_PNG_COMPRESSION, 1))
    if not encoded:
        raise InvalidValue(field="pixels", value=pixels.shape, limit="it must be height × width, × 3 or × 4")
    return png.tobytes()


def _recognised(data: bytes, limits: PhotoLimits) -> _Format:
    if not data:
        raise EmptyPhoto(value=0, limit=1)
    if len(data) > limits.max_bytes:
        raise PhotoTooHeavy(value=len(data), limit=limits.max_bytes)
    for file_format in _FORMATS:
        if data.startswith(file_format.signatures):
            return file_format
    raise UnknownPhotoFormat(value="a GIF" if data.startswith(b"GIF8") else "of an unknown kind", limit=_ACCEPTED)


def _check_header(image: ImageFile.ImageFile, limits: PhotoLimits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise PhotoTooManyPixels(value=width * height, limit=limits.max_pixels)
    if min(_scaled(image.size, limits.max_side_px)) < limits.min_side_px:
        raise PhotoTooSmall(value=f"{width}×{height}", limit=limits.min_side_px)
    frames = getattr(image, "n_frames", 1) if image.format == "WEBP" else 1
    if frames > 1:
        raise AnimatedPhoto(value=frames, limit=1)


def _finished(image: ImageFile.ImageFile, name: str, stripped: Stripped, limits: PhotoLimits) -> Photo:
    turn = stripped.orientation if name != "WebP" else orientation(image.info.get("exif", b""))
    original, profile = image.size, image.info.get("icc_profile")
    image.draft(image.mode, _scaled(original, limits.max_side_px))
    plain = eight_bits(image)
    small = _scale(plain.picture, _scaled(original, limits.max_side_px))
    coloured = to_srgb(small, profile)
    upright = coloured.picture.transpose(_TURNS[turn]) if turn in _TURNS else coloured.picture
    notes = [*stripped.notes, *plain.notes, *coloured.notes]
    if turn in _TURNS:
        notes.append("turned upright by EXIF")
    if small.size != original:
        notes.append(f"scaled down from {original[0]}×{original[1]}")
    width, height = original if turn < 5 else original[::-1]
    return Photo(_visible(_pixels(upright)), name, width, height, tuple(notes))


def _scaled(size: tuple[int, int], max_side_px: int) -> tuple[int, int]:
    factor = min(1.0, max_side_px / max(1, *size))
    return round(size[0] * factor), round(size[1] * factor)


def _scale(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Average areas: by a whole factor first (exact, and without a second copy of a large picture), then the rest."""
    factor = max(image.size) // max(size)
    if factor > 1:
        image = image.reduce(factor)
    if image.size == size:
        return image
    weighted = "RGBa" if image.mode == "RGBA" else image.mode
    array = cv2.resize(np.asarray(image.convert(weighted)), size, interpolation=cv2.INTER_AREA)
    return Image.frombuffer(weighted, size, array.tobytes(), "raw", weighted, 0, 1).convert(image.mode)


def _pixels(image: Image.Image) -> Pixels:
    pixels: Pixels = np.array(image)
    opaque = pixels.shape[2] == 4 and pixels[..., 3].min() == 255
    return np.ascontiguousarray(pixels[..., :3]) if opaque else pixels


def _visible(pixels: Pixels) -> Pixels:
    if pixels.shape[2] == 4:
        shown = float((pixels[..., 3] > _FAINT).mean())
        if shown < _LEAST_SHOWN:
            raise InvisiblePhoto(value=f"{shown:.2%}".rstrip("%"), limit=f"{_LEAST_SHOWN:.0%}".rstrip("%"))
    return pixels


def _told_apart(error: Exception) -> InvalidPhoto:
    """Tell a file that ends too early from one that is broken, by what Pillow says."""
    text = str(error) or type(error).__name__
    if "truncated" in text.lower():
        return TruncatedPhoto(value=text, limit="its last byte")
    return DamagedPhoto(value=text, limit=_ACCEPTED)
