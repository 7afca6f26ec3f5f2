"""A checkpoint from disk into memory: verified, complete, of the architecture that its entry states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPTokenizer

from engine.checkpoint import Checkpoint
from engine.errors import ModelUnusable
from engine.models.entry import Entry, sha256_of
from engine.models.networks import COMPONENTS, TEXT_ENCODERS, build, configuration, require_finite
from engine.models.recognition import of_settings
from engine.models.single_file import as_components, is_single_file
from engine.models.verification import verified
from engine.models.weights import read, weight_files

__all__ = ["load", "vae_dtype"]

_TOKENIZERS = ("tokenizer", "tokenizer_2")
_LATENT_PX = 8


def load(entry: Entry, device: torch.device | str, dtype: torch.dtype) -> Checkpoint:
    """Read a checkpoint onto a device. Raises ``ModelUnusable`` with the reason where it cannot be used."""
    files = verified(entry)
    settings = {name: configuration(entry.name, entry.path / name) for name in _components(entry)}
    _require_architecture(entry, settings)
    networks = dict(_networks(entry, settings, torch.device(device), dtype))
    return Checkpoint(
        name=entry.name,
        architecture=entry.architecture,
        sha256=sha256_of(files),
        unet=networks["unet"],
        vae=networks["vae"],
        text_encoders=tuple(networks[name] for name in TEXT_ENCODERS if name in networks),
        tokenizers=tuple(_tokenizers(entry)),
        scheduler_config=configuration(entry.name, entry.path / "scheduler", "scheduler_config.json"),
        native_px=_LATENT_PX * int(settings["unet"]["sample_size"]),
        device=torch.device(device),
        dtype=dtype,
        licence=entry.licence,
        commercial=entry.commercial,
        files=files,
    )


def vae_dtype(dtype: torch.dtype, settings: Mapping[str, Any]) -> torch.dtype:
    """Return what the autoencoder computes in: an SDXL one overflows in half precision unless it says otherwise."""
    return torch.float32 if dtype == torch.float16 and settings.get("force_upcast", True) else dtype


def _components(entry: Entry) -> list[str]:
    return [name for name in COMPONENTS if (entry.path / name).is_dir() or name in ("unet", "vae")]


def _networks(
    entry: Entry, settings: Mapping[str, Mapping[str, Any]], device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[str, Any]]:
    for component, tensors in _weights(entry, settings):
        wanted = vae_dtype(dtype, settings["vae"]) if component == "vae" else dtype
        network = build(entry.name, component, settings[component], tensors, device=device, dtype=wanted)
        require_finite(entry.name, component, network)
        yield component, network


def _weights(
    entry: Entry, settings: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, torch.Tensor]]]:
    if single := _single(entry.path):
        yield from as_components(entry.name, read(entry.name, [single]), settings).items()
        return
    for component in settings:
        yield component, read(entry.name, weight_files(entry.name, entry.path / component))


def _single(folder: Path) -> Path | None:
    return next((path for path in sorted(folder.glob("*.safetensors")) if is_single_file(path)), None)


def _tokenizers(entry: Entry) -> Iterator[Any]:
    for name in _TOKENIZERS:
        if (entry.path / name).is_dir():
            try:
                yield CLIPTokenizer.from_pretrained(entry.path / name, local_files_only=True)
            except (OSError, ValueError) as error:
                raise ModelUnusable(entry.name, f"{name} cannot be read: {error}") from error


def _require_architecture(entry: Entry, settings: Mapping[str, Mapping[str, Any]]) -> None:
    found = of_settings(settings["unet"], settings.get("text_encoder_2"))
    if found != entry.architecture:
        raise ModelUnusable(entry.name, f"it is {found or 'of no known architecture'} and not {entry.architecture}")
