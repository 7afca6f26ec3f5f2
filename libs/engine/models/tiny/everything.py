"""A catalogue of small models, one of each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from transformers.utils.logging import disable_progress_bar

from engine.errors import Refused
from engine.models.adoption import Terms, adopt
from engine.models.entry import Entry
from engine.models.tiny.adapters import (
    make_tiny_controlnet,
    make_tiny_embedding,
    make_tiny_image_encoder,
    make_tiny_ip_adapter,
)
from engine.models.tiny.lora import make_tiny_lora
from engine.models.tiny.others import make_tiny_refiner, make_tiny_sd2
from engine.models.tiny.sdxl import make_tiny

__all__ = ["TINY", "make_tiny_catalogue", "make_tiny_model"]

_Make = Callable[[Path], None]

TINY: dict[str, tuple[str, _Make]] = {
    "sdxl-tiny": ("", make_tiny),
    "tiny-refiner": ("", make_tiny_refiner),
    "tiny-sd2": ("", make_tiny_sd2),
    "tiny-ip-adapter": ("adapter.safetensors", make_tiny_ip_adapter),
    "tiny-image-encoder": ("", make_tiny_image_encoder),
    "tiny-controlnet": ("", make_tiny_controlnet),
    "tiny-lora": ("lora.safetensors", make_tiny_lora),
    "tiny-embedding": ("embedding.safetensors", make_tiny_embedding),
}
"""By name: the file that is made, empty for a folder, and what makes it."""


def make_tiny_catalogue(folder: Path, names: tuple[str, ...] = tuple(TINY)) -> None:
    """Install small models by their names in ``TINY``."""
    for name in names:
        make_tiny_model(folder / name, name)


def make_tiny_model(folder: Path, kind: str) -> Entry:
    """Install one of ``TINY`` as ``folder``, the catalogue's name of it; it may be used for anything."""
    if kind not in TINY:
        raise Refused("kind", kind, f"known: {', '.join(TINY)}")
    disable_progress_bar()  # of files that are written in a blink
    file, make = TINY[kind]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".making-") as made:
        source = Path(made) / (file or "model")
        make(source)
        return adopt(folder.parent, source, folder.name, Terms("Apache-2.0", commercial=True, source=kind))
