"""Tune kernels once for this device, with the engine's own Python, in the project's folder.

PYTHONPATH=libs .venv-engine/bin/python -m engine.kernels --models FOLDER --checkpoint NAME --size 1024x576

For each size these are the shapes of a film's shots: words of one chunk and of two, begun with a previz frame, and both
with people where an IP-Adapter is installed. It takes minutes a shape. Engines that start afterwards draw with what was
found; pictures drawn before have other bytes. What was tuned before for this device is replaced, so name all sizes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engine import VERSION
from engine.device import chosen
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.errors import EngineError
from engine.kernels.artifact import FOLDER, Artifact, write
from engine.kernels.compiled import Compiled
from engine.kernels.compiler import OPTIONS
from engine.kernels.films import film_requests
from engine.models.catalogue import Catalogue
from engine.models.memory import Models
from engine.offload.jobs import prepared
from engine.preparation import RawRequest
from engine.shapes import sharing_on

SHARE_OF_WEIGHTS = 0.7


def tune(
    models: Path, requests: Iterable[RawRequest], *, device: Any, kernels: Compiled, saved: Callable[[], bytes]
) -> Path:
    """Draw a picture of each request, so that all its kernels are made; keep what ``saved`` returns then."""
    catalogue = Catalogue(models)
    prepare = partial(prepared, str(models), sharing_on(device.torch_device.type))
    dtype = torch.float32 if device.torch_device.type == "cpu" else torch.bfloat16
    memory = Models(catalogue, device.torch_device, dtype, int(device.free_bytes() * SHARE_OF_WEIGHTS))
    drawer = Drawer(memory, catalogue, device, kernels)
    for each in requests:
        reference_loop(drawer, prepare(each))
    facts = {name: str(each) for name, each in {"engine": VERSION, **device.facts()}.items()}
    return write(models / FOLDER, Artifact(facts, tuple(kernels.made), saved(), kernels.options))


def main() -> None:
    """Tune."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.kernels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--size", action="append", type=_size, help="WIDTHxHEIGHT as shots ask for it; may be repeated")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--options", default="tuned", choices=[name for name in OPTIONS if name != "plain"])
    asked = parser.parse_args()
    device = chosen(asked.device, 1)
    device.settle()
    sizes = asked.size or [(1024, 576)]
    catalogue = Catalogue(asked.models)
    requests = (each for size in sizes for each in film_requests(catalogue, asked.checkpoint, *size))
    kernels = Compiled("", asked.options, is_tuning=True)
    try:
        path = tune(asked.models, requests, device=device, kernels=kernels, saved=_saved)
    except EngineError as error:
        sys.exit(str(error))
    print(path)  # noqa: T201


def _saved() -> bytes:
    saved = torch.compiler.save_cache_artifacts()
    return saved[0] if saved else b""


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


if __name__ == "__main__":
    main()
