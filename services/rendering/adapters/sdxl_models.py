"""The models that options name, looked for in the folder of models; their files are not opened."""

from __future__ import annotations

from collections.abc import Iterator

from continuity.kernel.errors import InvalidValue
from engine.errors import ModelUnusable, Refused
from engine.models.absent import of_another_kind
from engine.models.catalogue import Catalogue
from engine.models.entry import Entry
from services.rendering.adapters.sdxl_options import IMG2IMG, lora_names
from services.rendering.domain.render_options import RenderOptions
from services.rendering.settings import Settings

GENERATED = "sdxl-tiny"
"""The renderer whose model is made when it is first used."""


class FolderModels:
    """The ``InstalledModels`` port. Of a folder that is not there nothing is known."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._catalogue = Catalogue(settings.models_folder)

    def refusals(self, asked: RenderOptions, *, commercial: bool) -> Iterator[InvalidValue]:
        """Yield each option that names a model which is absent, of another kind, or not licensed for the film."""
        if not self._settings.diffuses or not self._catalogue.folder.is_dir():
            return
        for field, name, kind in _named(asked):
            if name == self._settings.renderer == GENERATED:
                continue
            try:
                _require(self._catalogue, name, kind, commercial=commercial or self._settings.commercial)
            except Refused as refused:
                yield InvalidValue(field, name, refused.limit)
            except ModelUnusable as unusable:
                yield InvalidValue(field, name, str(unusable))


def _named(asked: RenderOptions) -> Iterator[tuple[str, str, str]]:
    """Yield each option that names a model, with the name and the kind of model that it wants."""
    if asked.checkpoint:
        yield "checkpoint", asked.checkpoint, "checkpoint"
    if asked.refiner:
        yield "refiner", asked.refiner, "refiner"
    for number, name in enumerate(lora_names(asked)):
        yield f"loras[{number}].name" if number < len(asked.loras) else "prompt", name, "lora"
    if asked.layout_guide not in ("", IMG2IMG) and asked.layout_strength != 0:
        yield "layout_guide", asked.layout_guide, "controlnet"


def _require(catalogue: Catalogue, name: str, kind: str, *, commercial: bool) -> None:
    entry = catalogue.entry(name, kind)
    if entry.kind != kind:
        raise of_another_kind(entry, kind, catalogue.entries())
    if commercial and not entry.commercial:
        raise Refused(kind, name, _unlicensed(entry))


def _unlicensed(entry: Entry) -> str:
    return f"its licence ({entry.licence}) is not known to permit commercial use, and the film is commercial"
