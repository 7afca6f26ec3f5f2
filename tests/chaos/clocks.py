"""Clocks that can be moved: a small library, preloaded into a process, adds an offset to its wall clock."""

from __future__ import annotations

import hashlib
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path

from deploy.local.cache import CACHE, SetUpFailed, built_once, run

SOURCE = Path(__file__).with_name("clock.c")
LIBRARY = "clock.so"
OFFSET = struct.Struct("=q")


class Clocks:
    """Moves the wall clocks of single processes; what measures durations goes on as it is."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._folder = folder
        self._library = library
        folder.mkdir(parents=True, exist_ok=True)

    def variables(self, name: str) -> Mapping[str, str]:
        """Return what a process is started with so that its clock can be moved."""
        self._file(name).write_bytes(OFFSET.pack(0))
        return {"LD_PRELOAD": str(self._library), "CONTINUITY_CHAOS_CLOCK": str(self._file(name))}

    def move(self, name: str, offset_s: float) -> None:
        """Let the clock of a process be wrong by so many seconds, from now on."""
        # In place: the process has mapped this very file.
        with self._file(name).open("r+b", buffering=0) as file:
            file.write(OFFSET.pack(int(offset_s)))

    def _file(self, name: str) -> Path:
        return self._folder / name


def movable_clocks(folder: Path) -> Clocks | str:
    """Return clocks, or the reason why there are none."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "there is no C compiler"

    def build(into: Path) -> None:
        run(compiler, "-O2", "-shared", "-fPIC", "-o", into / LIBRARY, SOURCE, "-ldl")

    key = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    try:
        return Clocks(folder, built_once(CACHE / "programs" / f"clock-{key}", build) / LIBRARY)
    except SetUpFailed:
        return "the library that moves clocks could not be compiled"
