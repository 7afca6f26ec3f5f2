"""What the runtime is to draw with, looked for among the models before anything starts; their files are not opened."""

from __future__ import annotations

from continuity.kernel.errors import InvalidValue
from engine.errors import ModelUnusable, Refused
from engine.models.catalogue import Catalogue
from engine.models.published import PUBLISHED
from services.rendering.adapters.sdxl_models import GENERATED
from services.rendering.adapters.sdxl_options import ADAPTER_KIND, AUTO, IMG2IMG, OFF
from services.rendering.settings import Settings

CHECKPOINT, CONTROLNET = "checkpoint", "controlnet"


def check_models(settings: Settings) -> None:
    """Raise ``InvalidValue`` naming the setting whose model is not installed, or is of another kind.

    Where no checkpoint is set, the renderer's may be absent if there is another that shots can ask for.
    """
    if not settings.diffuses:
        return
    catalogue = Catalogue(settings.models_folder)
    if settings.checkpoint:
        _require_checkpoint(catalogue, settings)
    elif settings.renderer != GENERATED and not _others(catalogue):
        _require(catalogue, "CONTINUITY_RENDERER", settings.renderer, CHECKPOINT)
    if settings.layout_strength and settings.layout_guide != IMG2IMG:
        _require(catalogue, "CONTINUITY_LAYOUT_GUIDE", settings.layout_guide, CONTROLNET)
    if settings.identity not in (AUTO, OFF):
        _require(catalogue, "CONTINUITY_IDENTITY", settings.identity, ADAPTER_KIND)


def _require_checkpoint(catalogue: Catalogue, settings: Settings) -> None:
    if not settings.checkpoint == settings.renderer == GENERATED:
        _require(catalogue, "CONTINUITY_CHECKPOINT", settings.checkpoint, CHECKPOINT)


def _others(catalogue: Catalogue) -> bool:
    return any(each.name != GENERATED for each in catalogue.entries(CHECKPOINT))


def _require(catalogue: Catalogue, variable: str, name: str, kind: str) -> None:
    try:
        if catalogue.entry(name).kind == kind:
            return
    except ModelUnusable as error:
        raise InvalidValue(variable, name, str(error)) from None
    except Refused:
        pass
    raise InvalidValue(variable, name, _instead(catalogue, name, kind))


def _instead(catalogue: Catalogue, name: str, kind: str) -> str:
    known = PUBLISHED.get(name)
    fetch = f"`continuity models pull {name}` fetches it; " if known is not None and known.kind == kind else ""
    names = ", ".join(each.name for each in catalogue.entries(kind)) or "none"
    return f"no {kind} of that name is in {catalogue.folder}; {fetch}there are: {names}"
