"""Why a photograph is refused."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.errors import Invalid


@dataclass(eq=False)
class InvalidPhoto(Invalid):
    """A photograph that is not taken; ``value`` is what was found and ``limit`` what would be taken."""

    template = "{field}: {value} is not acceptable; {limit}"
    value: str | int
    limit: str | int
    field: str = "photo"


class EmptyPhoto(InvalidPhoto):
    """No bytes at all."""

    template = "{field} is empty; at least {limit} byte is needed"


class PhotoTooHeavy(InvalidPhoto):
    """More bytes than allowed."""

    template = "{field} has {value} bytes; at most {limit} are allowed"


class PhotoTooManyPixels(InvalidPhoto):
    """More pixels than allowed, by what the header says."""

    template = "{field} has {value} pixels; at most {limit} are allowed"


class InvisiblePhoto(InvalidPhoto):
    """So transparent that nothing is to be seen."""

    template = "{field} shows only {value} % of its area, the rest is transparent; at least {limit} % are needed"


class PhotoTooSmall(InvalidPhoto):
    """A side is too short to show anything, at full size or once the long side is scaled down."""

    template = (
        "{field} is {value} pixels large; its short side needs at least {limit} when its long side is within bounds"
    )


class UnknownPhotoFormat(InvalidPhoto):
    """Not one of the formats that are read."""

    template = "{field} is {value}; it must be {limit}"


class AnimatedPhoto(InvalidPhoto):
    """A moving picture: which of its frames was meant is not ours to guess."""

    template = "{field} is animated ({value} frames); it must have {limit}"


class TruncatedPhoto(InvalidPhoto):
    """The file ends before the picture does."""

    template = "{field} is cut off: {value}; it must reach to {limit}"


class DamagedPhoto(InvalidPhoto):
    """The file contradicts itself or its format."""

    template = "{field} is damaged: {value}; it must be {limit}"


class UnsupportedPhotoColours(InvalidPhoto):
    """Pixels of a kind that photographs don't have (floating point, 32-bit integers, L*a*b*)."""

    template = "{field} has pixels of kind {value}; they must be {limit}"
