"""Models of the user's own into the catalogue: what they are is read from their weights, nothing is asked twice."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from engine.errors import ModelUnusable, Refused
from engine.models.catalogue import About, entry_of, valid_name
from engine.models.entry import Entry
from engine.models.installation import enter, files_of
from engine.models.layouts import LAYOUTS, write_layout
from engine.models.networks import configuration
from engine.models.recognition import of_settings, of_tensors
from engine.models.terms import Terms
from engine.models.verification import verified
from engine.models.weights import described, is_network, weight_files

__all__ = ["Terms", "adopt", "free_place"]

_TAKEN = {".safetensors", ".json", ".txt"}


def adopt(catalogue: Path, source: Path, name: str, terms: Terms, like: Path | None = None) -> Entry:
    """Take a diffusers folder or one safetensors file in as ``name`` and return its entry.

    Files are linked where that is possible, else copied; the source stays. ``like`` is a diffusers folder whose
    configurations a checkpoint in one file gets in place of the published ones. A folder with a ``model.json`` keeps
    the terms that stand there unless others are stated. Raises ``Refused``, ``ModelUnusable``.
    """
    folder = free_place(catalogue, name)
    if not source.exists():
        raise Refused("path", str(source), "there is nothing")
    origin = terms.source or str(source)
    terms = terms if terms.are_stated else _terms_of(source)
    source, like = _parted(source, like)
    kind, architecture = _recognised(source)
    fresh = catalogue / f".{name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        _take(source, fresh)
        if source.is_file() and architecture in LAYOUTS and kind in ("checkpoint", "refiner"):
            _describe(fresh, architecture, source, like)
        return enter(fresh, folder, About(kind, architecture, terms.licence, terms.commercial, origin))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def free_place(catalogue: Path, name: str) -> Path:
    """Return the folder of a model that is to be called so. Raises ``Refused`` where there is one."""
    folder = catalogue / valid_name(name)
    if folder.exists():
        raise Refused("name", name, "it is taken; remove that model first or choose another name")
    return folder


def _terms_of(source: Path) -> Terms:
    """Return the terms in a folder's ``model.json``, which hold for the very files that it lists."""
    try:
        entry = entry_of(source)
    except ModelUnusable:  # it has none, or one of another program's
        return Terms()
    verified(entry)
    return Terms(entry.licence, entry.commercial)


def _parted(source: Path, like: Path | None) -> tuple[Path, Path | None]:
    """Return the file that is all the weights of a folder if diffusers would not call it so, and its configurations."""
    found = list(source.rglob("*.safetensors")) if source.is_dir() else []
    if len(found) != 1 or found[0].parent != source or is_network(found[0]):
        return source, like
    return found[0], like or (source if (source / "unet").is_dir() else None)


def _recognised(source: Path) -> tuple[str, str]:
    found = of_tensors(described(source.name, source)) if source.is_file() else _of_folder(source)
    if found is None:
        raise ModelUnusable(source.name, "its weights are of no architecture that the engine knows")
    return found


def _of_folder(folder: Path) -> tuple[str, str] | None:
    if (folder / "unet").is_dir():
        second = folder / "text_encoder_2"
        settings = configuration(folder.name, second) if second.is_dir() else None
        architecture = of_settings(configuration(folder.name, folder / "unet"), settings)
        weight_files(folder.name, folder / "unet")
        return ("refiner" if architecture == "sdxl-refiner" else "checkpoint", architecture) if architecture else None
    return of_tensors(
        {
            key: shape
            for path in weight_files(folder.name, folder)
            for key, shape in described(folder.name, path).items()
        }
    )


def _take(source: Path, target: Path) -> None:
    for path in [source] if source.is_file() else files_of(source):
        if path.suffix in _TAKEN:
            place = target / (path.name if source.is_file() else path.relative_to(source))
            place.parent.mkdir(parents=True, exist_ok=True)
            _link(path.resolve(), place)


def _link(source: Path, place: Path) -> None:
    """Give a file a second name, or a copy where it lies on another disk."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)


def _describe(folder: Path, architecture: str, source: Path, like: Path | None) -> None:
    if like is None:
        write_layout(folder, architecture, _scheduler(source))
        return
    for path in files_of(like):
        if path.suffix in {".json", ".txt"}:
            place = folder / path.relative_to(like)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _scheduler(source: Path) -> dict[str, Any]:
    """Return what marker keys say of the training: v-prediction, and noise that ends without any signal."""
    shapes = described(source.name, source)
    settings: dict[str, Any] = {}
    if "v_pred" in shapes:
        settings["prediction_type"] = "v_prediction"
    if "ztsnr" in shapes:
        settings["rescale_betas_zero_snr"] = True
    return settings
