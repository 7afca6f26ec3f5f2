"""What one request asks for: frozen values, everything that determines a picture and nothing that depends on load."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["IMG2IMG", "INTERACTIVE", "HiresFix", "LayoutGuide", "LoraUse", "Reference", "RenderRequest"]

IMG2IMG = "img2img"
INTERACTIVE = 80


@dataclass(frozen=True)
class LoraUse:
    """A LoRA by its name in the catalogue. ``scale`` -4.0 to 4.0; they are merged in the order of the request."""

    name: str
    scale: float = 1.0


@dataclass(frozen=True)
class Reference:
    """A person to be recognised: index into the request's reference pictures, and the share 0..1 that it has.

    ``mask`` is an index into the request's reference masks; None lets it act on the whole frame.
    """

    picture: int
    scale: float = 0.6
    mask: int | None = None
    adapter: str = "ip-adapter-plus-face"


@dataclass(frozen=True)
class LayoutGuide:
    """The previz frame as a guide: ``kind`` is ``IMG2IMG``, or the name of a ControlNet in the catalogue."""

    kind: str
    scale: float = 0.5

    @property
    def is_network(self) -> bool:
        """Whether a ControlNet guides; else the frame is what drawing begins with."""
        return self.kind != IMG2IMG


@dataclass(frozen=True)
class HiresFix:
    """A second pass on the enlarged picture: ``scale`` 1.0 to 4.0 of each side, ``strength`` 0 to 1.

    ``steps``, the request's where they are None, count as with an image: of 20 a strength of 0.4 takes 8.
    """

    scale: float = 1.5
    strength: float = 0.4
    steps: int | None = None


@dataclass(frozen=True)
class RenderRequest:
    """One request.

    Pictures travel beside it, as bytes, under the names ``image``, ``mask``, ``layout``, ``references`` and
    ``reference_masks``; here stands only whether they are there.

    ``priority`` 0 to 100, from ``INTERACTIVE`` on a person waits; ``deadline_s`` counts from submission. ``seed`` is 0
    to 2**32 - 1, image i is drawn with ``(seed + i) % 2**32``. ``guidance`` of 1 or less draws without the negative
    prompt. ``strength`` counts where there is an image: 1 forgets it. ``clip_skip`` 0 takes the last but one layer.
    """

    id: str
    checkpoint: str
    prompt: str
    negative: str = ""
    project: str = ""
    priority: int = 50
    deadline_s: float | None = None
    commercial: bool = False
    seed: int = 0
    images: int = 1
    steps: int = 20
    guidance: float = 7.5
    rescale: float = 0.0
    width_px: int = 1024
    height_px: int = 576
    sampler: str = "dpmpp-2m"
    schedule: str = "karras"
    clip_skip: int = 0
    strength: float = 0.6
    has_image: bool = False
    has_mask: bool = False
    layout: LayoutGuide | None = None
    references: tuple[Reference, ...] = ()
    loras: tuple[LoraUse, ...] = ()
    hires: HiresFix | None = None
    refiner: str | None = None
    preview_every: int = 5
    extra: dict[str, str] = field(default_factory=dict)
    """Words that only the manifest repeats, such as the versions of the program that asks."""
