"""What lies in a checkpoint's folder, before any of its weights is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import ModelUnusable
from engine.models.entry import Entry
from engine.models.networks import COMPONENTS, configuration
from engine.models.recognition import of_settings
from engine.models.single_file import is_single_file
from engine.models.verification import require_present
from engine.models.weights import weight_files

__all__ = ["Settings", "files_of_weights", "settings_of", "zeros_for_empty"]

Settings = Mapping[str, Mapping[str, Any]]
"""The configurations of a checkpoint's networks."""
_INDEX, _STATED = "model_index.json", "force_zeros_for_empty_prompt"
_ZEROS = {"sdxl": True, "sdxl-refiner": False}
"""Whether an empty negative prompt is zeros, by architecture, where a checkpoint does not state it; SD 2 never does."""


def settings_of(entry: Entry) -> Settings:
    """Return the configuration of each network. Raises ``ModelUnusable`` where a file is missing or was added."""
    require_present(entry)
    settings = {
        name: configuration(entry.name, entry.path / name)
        for name in COMPONENTS
        if (entry.path / name).is_dir() or name in ("unet", "vae")
    }
    found = of_settings(settings["unet"], settings.get("text_encoder_2"))
    if found != entry.architecture:
        raise ModelUnusable(entry.name, f"it is {found or 'of no known architecture'} and not {entry.architecture}")
    return settings


def files_of_weights(entry: Entry, settings: Settings) -> dict[str, list[str]]:
    """Return the files of each network, or under "" the one that has all of them."""
    found_whole = (path for path in sorted(entry.path.glob("*.safetensors")) if is_single_file(entry.name, path))
    single = next(found_whole, None)
    if single:
        return {"": [single.name]}
    found = {name: weight_files(entry.name, entry.path / name) for name in settings}
    return {name: [path.relative_to(entry.path).as_posix() for path in paths] for name, paths in found.items()}


def zeros_for_empty(entry: Entry) -> bool:
    """Tell whether an empty negative prompt is zeros instead of words. Raises ``ModelUnusable``."""
    usual = _ZEROS.get(entry.architecture)
    if usual is None or not (entry.path / _INDEX).is_file():
        return bool(usual)
    stated = configuration(entry.name, entry.path, _INDEX).get(_STATED, usual)
    if not isinstance(stated, bool):
        raise ModelUnusable(entry.name, f"{_INDEX} states {_STATED} {stated!r}; true or false is wanted")
    return stated
