"""Every kind of pixels that a photograph may have becomes 8-bit sRGB, with or without alpha."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from continuity.security.image_errors import UnsupportedPhotoColours

_PLAIN = {"L": "L", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "CMYK", "1": "L", "P": "RGB", "YCbCr": "RGB", "RGBX": "RGB"}
_WITH_ALPHA = frozenset({"LA", "La", "PA", "RGBa"})
_SPACE_OF_MODE = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_SRGB = ImageCms.createProfile("sRGB")


@dataclass(frozen=True)
class Converted:
    """A picture and what was done to it."""

    picture: Image.Image
    notes: tuple[str, ...] = ()


def eight_bits(image: Image.Image) -> Converted:
    """Return ``image`` with 8 bits a channel as L, RGB, RGBA or CMYK; raises ``UnsupportedPhotoColours``."""
    if image.mode.startswith("I;16"):
        grey = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return Converted(grey, ("reduced from 16 to 8 bits",))
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return Converted(image.convert("RGBA"))
    if image.mode not in _PLAIN:
        raise UnsupportedPhotoColours(value=image.mode, limit="grey, RGB or CMYK of 8 or 16 bits")
    return Converted(image if image.mode == _PLAIN[image.mode] else image.convert(_PLAIN[image.mode]))


def to_srgb(image: Image.Image, profile: bytes | None) -> Converted:
    """Return an L, RGB, RGBA or CMYK ``image`` as sRGB (mode RGB or RGBA), read by its ICC ``profile`` if it has one.

    A profile that cannot be read, or is of another kind than the pixels, is left aside: the picture is still one.
    """
    colours = image.convert("RGB") if image.mode == "RGBA" else image
    converted = _by_profile(colours, profile) if profile else _without_profile(colours)
    if image.mode == "RGBA":
        converted.picture.putalpha(image.getchannel("A"))
    return converted


def _without_profile(image: Image.Image) -> Converted:
    notes = ("converted from CMYK without a profile",) if image.mode == "CMYK" else ()
    return Converted(image.convert("RGB"), notes)


def _by_profile(image: Image.Image, data: bytes) -> Converted:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        name = ImageCms.getProfileDescription(profile).strip()
        if profile.profile.xcolor_space.strip() != _SPACE_OF_MODE[image.mode]:
            return _ignoring_profile(image)
        if image.mode == "RGB" and "sRGB" in name:
            return Converted(image.copy())
        picture = ImageCms.profileToProfile(image, profile, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return _ignoring_profile(image)
    if picture is None:
        return _ignoring_profile(image)
    return Converted(picture, (f"converted from {image.mode} by its colour profile",))


def _ignoring_profile(image: Image.Image) -> Converted:
    plain = _without_profile(image)
    return Converted(plain.picture, ("left a colour profile aside that does not fit", *plain.notes))
