"""The model ``sdxl`` on a device that is not the machine's own: it stands before the real one, ``served.py`` beside it.

``TEST_FREE_BYTES`` names a file that says how much memory is free, ``TEST_SHARING`` how many requests share a batch;
``TEST_UNITS`` is a file that gets a line for each unit before it runs: when, its phase, whose it is. Weights of models
of whose names there are files in the folder ``TEST_HELD`` are not read before those have gone.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

from served import TritonPythonModel

from engine import shapes
from engine.device.cpu import CpuDevice
from engine.loop.phases import Phases
from engine.models.files import WeightFile

__all__ = ["TritonPythonModel"]

_FREE = Path(os.environ["TEST_FREE_BYTES"])
_UNITS = os.open(os.environ["TEST_UNITS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
_HELD = Path(os.environ["TEST_HELD"])

_enter, _fill = Phases.enter, WeightFile.fill


def _noted(self, phase, requests=(), kind=None):
    os.write(_UNITS, json.dumps([time.monotonic(), phase, list(requests)]).encode() + b"\n")
    _enter(self, phase, requests, kind)


def _held(self, view, start):
    while (_HELD / self._entry.name).exists():
        time.sleep(0.01)
    _fill(self, view, start)


Phases.enter, WeightFile.fill = _noted, _held
CpuDevice.free_bytes = lambda _self: int(_FREE.read_text())
shapes.SHARING_ON_CPU = int(os.environ["TEST_SHARING"])
