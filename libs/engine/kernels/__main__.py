"""Tune kernels once for this device: ``python -m engine.kernels --models FOLDER --checkpoint NAME --size 1024x576``.

It takes minutes a shape. Engines that start afterwards draw with what was found; pictures drawn before have other
bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from engine import VERSION
from engine.device import chosen
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.errors import EngineError
from engine.kernels.artifact import Artifact, write
from engine.kernels.compiled import Compiled
from engine.kernels.serving import FOLDER
from engine.models.catalogue import Catalogue
from engine.models.memory import Models
from engine.preparation import Preparation, RawRequest

SHARE_OF_WEIGHTS = 0.7
STEPS = 2


def tune(
    models: Path,
    checkpoint: str,
    specs: Sequence[dict[str, Any]],
    *,
    device: Any,
    kernels: Compiled,
    saved: Callable[[], bytes],
) -> Path:
    """Draw a picture of each request, so that all its kernels are made; keep what ``saved`` returns then."""
    catalogue, prepare = Catalogue(models), Preparation(models)
    dtype = torch.float32 if device.torch_device.type == "cpu" else torch.bfloat16
    memory = Models(catalogue, device.torch_device, dtype, int(device.free_bytes() * SHARE_OF_WEIGHTS))
    drawer = Drawer(memory, catalogue, device, kernels)
    classes = []
    for number, spec in enumerate(specs):
        asked = {"id": f"tune-{number}", "checkpoint": checkpoint, "prompt": "a street", "steps": STEPS} | spec
        prepared = prepare(RawRequest(json.dumps(asked).encode()))
        reference_loop(drawer, prepared)
        classes.append(str(prepared.shape))
    facts = {"engine": VERSION, **device.facts()}
    return write(models / FOLDER, Artifact({name: str(each) for name, each in facts.items()}, tuple(classes), saved()))


def main() -> None:
    """Tune."""
    parser = argparse.ArgumentParser(prog="python -m engine.kernels", description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--size", action="append", type=_size, help="WIDTHxHEIGHT as shots ask for it; may be repeated")
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()
    device = chosen(asked.device, 1)
    device.settle()
    sizes = asked.size or [(1024, 576)]
    specs = [{"width_px": width, "height_px": height} for width, height in sizes]
    try:
        path = tune(asked.models, asked.checkpoint, specs, device=device, kernels=Compiled("", "tune"), saved=_saved)
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
