"""The engine's functions without loop, workers, Triton or company; a program of the engine's environment.

Arguments: the models' folder, and how many slots a batch has, of which all but one stay empty here. For each line of
standard input, a JSON array of (spec, pictures in base64 by input), it prints the SHA-256 of the pictures of each.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from engine import door
from engine.device import CpuDevice
from engine.drawing.loop import reference_loop
from engine.offload.jobs import prepared
from engine.preparation import RawRequest

SINGLE = ("image", "mask", "layout")


def raw(spec: Any, pictures: dict[str, list[str]]) -> RawRequest:
    """Return a request as the model takes it from its tensors."""
    decoded = {name: [base64.b64decode(each) for each in several] for name, several in pictures.items()}
    sent: dict[str, Any] = {name: each[0] if name in SINGLE else each for name, each in decoded.items()}
    return RawRequest(json.dumps(spec).encode(), **sent)


def main() -> None:
    """Draw them one after another."""
    folder, sharing = Path(sys.argv[1]), int(sys.argv[2])
    drawer = door._drawer(folder, CpuDevice(threads=1))
    for line in sys.stdin:
        pictures = [reference_loop(drawer, prepared(str(folder), sharing, raw(*each))) for each in json.loads(line)]
        hashed = [[hashlib.sha256(each.pixels.tobytes()).hexdigest() for each in some] for some in pictures]
        print(json.dumps(hashed), flush=True)


if __name__ == "__main__":
    main()
