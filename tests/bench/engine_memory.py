"""Memory over thousands of small requests: ``python -m tests.bench.engine_memory``; the last line is JSON.

Runs in the engine's environment. Every kind of request comes in turn, so that variants, adapters, references, layouts
and sizes are switched from one request to the next.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from engine.door import Engine
from engine.preparation import RawRequest
from tests.bench.engine_run import Figures, Place, drawn

MODELS = (
    "sdxl-tiny", "tiny-refiner", "tiny-lora", "tiny-ip-adapter", "tiny-image-encoder", "tiny-controlnet",
    "tiny-embedding",
)  # fmt: skip
MARKS = (100, 500, *range(1_000, 10_001, 1_000))
MANY = 1_000
FLAT_MB_PER_1000 = 1.0
"""What counts as flat: over ten thousand requests less than a process's size wavers by."""
TOGETHER = 25
_REFERENCE = {"picture": 0, "adapter": "tiny-ip-adapter"}
KINDS: tuple[dict[str, Any], ...] = (
    {},
    {"guidance": 5.0, "negative": "fog", "preview_every": 1},
    {"loras": [{"name": "tiny-lora", "scale": 0.5}]},
    {"references": [_REFERENCE]},
    {"width_px": 512, "height_px": 288},
    {"loras": [{"name": "tiny-lora", "scale": 1.0}], "references": [_REFERENCE]},
    {"guidance": 5.0, "prompt": "a boat, " * 60},
    {"layout": {"kind": "tiny-controlnet"}},
    {"layout": {"kind": "img2img"}, "steps": 2},
    {"refiner": "tiny-refiner", "prompt": "tiny-embedding by the sea", "sampler": "euler-a", "preview_every": 1},
)


def watched(place: Place, count: int) -> Figures:
    """Return what the engine's process and its workers hold at every mark, in MB, and how both have grown."""
    figures: Figures = {}
    with place.engine() as (engine, _drawer):
        done = 0
        for mark in [*[each for each in MARKS if each < count], count]:
            for first in range(done, mark, TOGETHER):
                drawn(engine, [small(number) for number in range(first, min(first + TOGETHER, mark))])
            done = mark
            figures[f"memory after {mark} small requests"] = held(engine)
            print(json.dumps(figures), file=sys.stderr, flush=True)
    return figures | {"memory over small requests": growth(figures)}


def small(number: int) -> RawRequest:
    """Return a request unlike every other one, of the kind whose turn it is."""
    spec = {
        "id": f"r{number}", "checkpoint": "sdxl-tiny", "prompt": f"boat number {number}", "seed": number,
        "steps": 1, "width_px": 256, "height_px": 256, "guidance": 1.0, **KINDS[number % len(KINDS)],
    }  # fmt: skip
    picture = _picture(number) if "references" in spec or "layout" in spec else None
    return RawRequest(
        json.dumps(spec).encode(),
        layout=picture if "layout" in spec else None,
        references=[picture] if picture and "references" in spec else [],
    )


def held(engine: Engine) -> dict[str, float]:
    """Return the megabytes of the engine's process and of its workers together, and the objects that gc knows."""
    gc.collect()
    workers = sum(_resident_mb(pid) for pid in engine._offload.pids())  # type: ignore[attr-defined]
    return {"engine_mb": _resident_mb(os.getpid()), "workers_mb": workers, "objects": float(len(gc.get_objects()))}


def growth(figures: Figures) -> dict[str, float]:
    """Return how both have grown once a tenth of the requests was drawn; over many, by least squares per thousand."""
    marks = np.array([float(name.split()[2]) for name in figures])
    late = marks >= marks[-1] / 10
    found = {"requests": float(marks[-1])}
    for part in ("engine", "workers"):
        held_mb = np.array([row[f"{part}_mb"] for row in figures.values()])[late]
        found[f"{part}_grown_mb"] = round(float(held_mb[-1] - held_mb[0]), 1)
        if marks[-1] >= MANY:
            found[f"{part}_mb_per_1000"] = round(float(np.polyfit(marks[late], held_mb, 1)[0]) * 1_000, 2)
    return found | ({"target_mb_per_1000": FLAT_MB_PER_1000} if marks[-1] >= MANY else {})


def _picture(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
    return bytes(cv2.imencode(".png", pixels)[1])


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=150)
    count = parser.parse_args().requests
    with tempfile.TemporaryDirectory(prefix="continuity-engine-") as folder:
        print(json.dumps(watched(Place(Path(folder) / "models", MODELS), count)))


if __name__ == "__main__":
    main()
