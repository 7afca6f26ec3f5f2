"""The pictures of a request: which have to be there, which fit each other, how large they may stay."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from engine.errors import Refused
from engine.parsing.pictures import Pixels, decoded, decoded_mask, within
from engine.parsing.specification import MAX_REFERENCES, MAX_SIDE_PX
from engine.request import RenderRequest

__all__ = ["Inputs", "RawRequest", "read_inputs"]

REFERENCE_PX = 1024
"""The longest side that a reference keeps: an image encoder looks at 224 pixels of it."""


@dataclass
class RawRequest:
    """What a client has sent: the request as UTF-8 JSON, and its pictures as PNG, JPEG or WebP files."""

    spec: bytes
    image: bytes | None = None
    mask: bytes | None = None
    layout: bytes | None = None
    references: list[bytes] = field(default_factory=list)
    reference_masks: list[bytes] = field(default_factory=list)

    def named(self) -> dict[str, bytes]:
        """Return the pictures that are there, by the names that errors call them."""
        single = {"image": self.image, "mask": self.mask, "layout": self.layout}
        several = {"references": self.references, "reference_masks": self.reference_masks}
        lists = {f"{name}[{i}]": each for name, pictures in several.items() for i, each in enumerate(pictures)}
        return {name: encoded for name, encoded in single.items() if encoded is not None} | lists


@dataclass(eq=False)
class Inputs:
    """Decoded pictures: uint8, RGB (h, w, 3), masks (h, w). ``sha256`` is over the files as they came, by name."""

    image: Pixels | None = None
    mask: Pixels | None = None
    layout: Pixels | None = None
    references: list[Pixels] = field(default_factory=list)
    reference_masks: list[Pixels] = field(default_factory=list)
    sha256: dict[str, str] = field(default_factory=dict)


def read_inputs(request: RenderRequest, raw: RawRequest) -> tuple[RenderRequest, Inputs]:
    """Decode the pictures and say in the request which are there. Raises ``Refused`` naming the picture or the field.

    Pictures larger than anything that is drawn are shrunk, references to ``REFERENCE_PX``.
    """
    _check_single(request, raw)
    _check_references(request, raw)
    image = None if raw.image is None else decoded("image", raw.image)
    mask = None if raw.mask is None else decoded_mask("mask", raw.mask)
    if image is not None and mask is not None and image.shape[:2] != mask.shape:
        (height, width), (mask_height, mask_width) = image.shape[:2], mask.shape
        raise Refused("mask", f"a mask of {mask_width}×{mask_height}", f"the image's size, {width}×{height}")
    inputs = Inputs(
        image=None if image is None else within(image, MAX_SIDE_PX),
        mask=None if mask is None else within(mask, MAX_SIDE_PX),
        layout=None if raw.layout is None else within(decoded("layout", raw.layout), MAX_SIDE_PX),
        references=[within(decoded(f"references[{i}]", each), REFERENCE_PX) for i, each in enumerate(raw.references)],
        reference_masks=[
            within(decoded_mask(f"reference_masks[{i}]", each), REFERENCE_PX)
            for i, each in enumerate(raw.reference_masks)
        ],
        sha256={name: hashlib.sha256(encoded).hexdigest() for name, encoded in raw.named().items()},
    )
    return replace(request, has_image=image is not None, has_mask=mask is not None), inputs


def _check_single(request: RenderRequest, raw: RawRequest) -> None:
    if request.has_image and raw.image is None:
        raise Refused("image", None, "has_image says that there is one")
    if request.has_mask and raw.mask is None:
        raise Refused("mask", None, "has_mask says that there is one")
    if raw.mask is not None and raw.image is None:
        raise Refused("mask", "a mask without an image", "the image that it belongs to")
    if (request.layout is None) != (raw.layout is None):
        raise Refused("layout", "one without the other", "both the guide's kind in the request and its picture")
    if request.layout and not request.layout.is_network and raw.image is not None:
        raise Refused(
            "layout.kind", request.layout.kind, "a ControlNet's name, for there is an image to begin with already"
        )


def _check_references(request: RenderRequest, raw: RawRequest) -> None:
    for name, pictures in (("references", raw.references), ("reference_masks", raw.reference_masks)):
        if len(pictures) > MAX_REFERENCES:
            raise Refused(name, f"{len(pictures)} pictures", f"at most {MAX_REFERENCES}")
    for i, reference in enumerate(request.references):
        _check_index(f"references[{i}].picture", reference.picture, len(raw.references))
        if reference.mask is not None:
            _check_index(f"references[{i}].mask", reference.mask, len(raw.reference_masks))


def _check_index(name: str, index: int, count: int) -> None:
    if index >= count:
        limit = f"0 to {count - 1}" if count else "a picture to be there"
        raise Refused(name, index, f"{limit}; {count} came with the request")
