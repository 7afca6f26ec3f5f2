"""How the diffusion engine of a server hangs or died, and over which requests."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from continuity.inference.phases import QUIET, Phase, PhaseWatch
from engine.crashes import Crashes


class EngineWatch:
    """Reads the phases that a model of the server publishes in ``state_path``, and remembers whom a crash is charged.

    ``pids`` are the processes of the server's models.
    """

    def __init__(self, state_path: Path, pids: Callable[[], Collection[int]]) -> None:
        self._path = state_path
        self._pids = pids
        self._phases = PhaseWatch(state_path, pids)
        self._victims: tuple[str, ...] = ()

    def begin(self) -> None:
        """Forget what a predecessor published: its process id may come again."""
        with suppress(OSError):  # where nothing can be written, nothing is published either
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)
        self._phases = PhaseWatch(self._path, self._pids)

    def hang(self) -> str:
        """Return how the engine hangs, or nothing. To be asked every ``LOOK_S``."""
        phase = self._phases.hang()
        if phase is None:
            return ""
        return f"the interpreter of a model (process {phase.pid}) hangs: {self._charged(phase)} outlived its limit"

    def death(self, pid: int) -> str:
        """Return what is to be said of the model's interpreter that died."""
        phase = self._phases.of(pid)
        during = "" if phase is None or phase.name in QUIET else f" in {self._charged(phase)}"
        return f"the interpreter of a model (process {pid}) died{during}"

    def ended(self) -> None:
        """Remember whose units ran; only now that it is surely dead, for the engine writes into the same file."""
        if self._victims:
            Crashes(self._path).note(self._victims)
        self._victims = ()

    def _charged(self, phase: Phase) -> Phase:
        self._victims = () if phase.name in QUIET else phase.requests
        return phase
