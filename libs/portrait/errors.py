"""What can be wrong with a photograph, as values."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(eq=False)
class PortraitError(Exception):
    """Base of every error of this package. Subclasses are dataclasses with a ``template``."""

    template: ClassVar[str] = "the photograph cannot be used"

    def __str__(self) -> str:
        return self.template.format(**{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(eq=False)
class UnusablePicture(PortraitError):
    """The array is not an upright RGB picture of a size that can be worked on."""

    field: str
    value: str
    limit: str
    template: ClassVar[str] = "picture {field} is {value}, but must be {limit}"


@dataclass(eq=False)
class NoFigure(PortraitError):
    """Nothing, or everything, of the picture would be the figure."""

    share: float
    least: float
    most: float
    template: ClassVar[str] = (
        "no figure stands out: it would fill {share:.4f} of the picture, but must fill {least} to {most}"
    )
