"""The model ``sdxl`` on a device that is not the machine's own: it stands before the real one, ``served.py`` beside it.

``TEST_SHARING`` is how many requests share a batch, ``TEST_DEVICE`` the folder of a ``Device``. In it are numbers that
a test may change at any time (``free`` bytes of the device, ``waiting_bytes`` that may wait, ``later_s`` by which those
who wait are taken to have come earlier), the folder ``held`` of files named by what is not to go on (a phase's units,
the weights of a model), and what is noted here: ``units``, a line for each before it runs (when, its phase, whose it
is), and ``requests``, one for each that has been prepared or is not wanted any more (when, which of the two, its id).
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
from engine.loop.admission import WaitingRoom
from engine.loop.loop import Loop
from engine.loop.phases import Phases
from engine.loop.roster import Roster
from engine.models.files import WeightFile

__all__ = ["TritonPythonModel"]

_FOLDER = Path(os.environ["TEST_DEVICE"])
_FILES = {name: os.open(_FOLDER / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in ("units", "requests")}

_enter_phase, _fill, _expire = Phases.enter, WeightFile.fill, Roster.expire
_enter, _cancel = Loop.enter, Loop.cancel


def _number(name):
    return int((_FOLDER / name).read_text())


def _note(file, *what):
    os.write(_FILES[file], json.dumps([time.monotonic(), *what]).encode() + b"\n")


def _wait_while_held(name):
    while (_FOLDER / "held" / name).exists():
        time.sleep(0.01)


def _noted_phase(self, phase, requests=(), kind=None):
    _note("units", phase, list(requests))
    _wait_while_held(phase)
    _enter_phase(self, phase, requests, kind)


def _held_fill(self, view, start):
    _wait_while_held(self._entry.name)
    _fill(self, view, start)


def _noted_enter(self, entry):
    _enter(self, entry)
    _note("requests", "prepared", entry.id)


def _noted_cancel(self, entry):
    _cancel(self, entry)
    _note("requests", "unwanted", entry.id)


Phases.enter, WeightFile.fill = _noted_phase, _held_fill
Loop.enter, Loop.cancel = _noted_enter, _noted_cancel
Roster.expire = lambda self, now_s: _expire(self, now_s + _number("later_s"))
WaitingRoom._limit_bytes = property(lambda _self: _number("waiting_bytes"), lambda _self, _limit: None)
CpuDevice.free_bytes = lambda _self: _number("free")
shapes.SHARING_ON_CPU = int(os.environ["TEST_SHARING"])
