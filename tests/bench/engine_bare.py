"""The engine's functions in a bare loop: draws what each line of standard input lists, and prints how long it took."""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path

from engine import door
from engine.device import CpuDevice
from engine.drawing.loop import reference_loop
from engine.offload.jobs import prepared
from engine.preparation import RawRequest
from engine.shapes import sharing_on


def main() -> None:
    folder = Path(sys.argv[1])
    drawer, prepare = door._drawer(folder, CpuDevice(threads=1)), partial(prepared, str(folder), sharing_on("cpu"))
    for line in sys.stdin:
        specs = [json.dumps(spec).encode() for spec in json.loads(line)]
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        for spec in specs:
            reference_loop(drawer, prepare(RawRequest(spec)))
        print(json.dumps([time.perf_counter() - began_s, time.thread_time() - began_cpu_s]), flush=True)


if __name__ == "__main__":
    main()
