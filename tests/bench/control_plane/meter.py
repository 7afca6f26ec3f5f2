"""CPU time of the contender's processes, and how much the machine was disturbed by others meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PROBES = 100
PROBE_BYTES = 4096
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """``cpu_ms`` is CPU time a shot by process; ``elsewhere`` is how many cores were busy with what is not ours."""

    cpu_ms: Mapping[str, float]
    elsewhere: float
    fsync_ms: float


class Meter:
    """Measures from its making on; ``processes`` are counted with their descendants."""

    def __init__(self, folder: Path, processes: Mapping[str, int]) -> None:
        self._processes = processes
        self._fsync_ms = fsync_ms(folder)
        self._used = cpu_s(processes)
        self._start = self._now()

    def read(self, shots: int) -> Load:
        """Return the load of so many shots."""
        wall_s, busy_s, own_s = (now - start for now, start in zip(self._now(), self._start, strict=True))
        spent = {name: (now - self._used[name]) / shots * 1e3 for name, now in cpu_s(self._processes).items()}
        return Load(spent, max(0.0, busy_s - own_s) / wall_s, self._fsync_ms)

    def _now(self) -> tuple[float, float, float]:
        return time.monotonic(), machine_busy_s(), cpu_s({"": os.getpid()})[""]


def fsync_ms(folder: Path) -> float:
    """Return the median milliseconds of writing 4 KiB and having it on the disk, in this folder, now."""
    taken = []
    with (folder / "probe").open("wb") as file:
        for _ in range(PROBES):
            start = time.perf_counter()
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - start)
    return median(taken) * 1e3


def machine_busy_s() -> float:
    """Return the seconds of all cores that were not idle, the hypervisor's share included (proc(5), /proc/stat)."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def cpu_s(processes: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds that each named process and its descendants have used so far."""
    running = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    stats = {pid: found for pid in running if (found := _stat(pid))}
    return {name: _tree_s(pid, stats) for name, pid in processes.items()}


def _tree_s(root: int, stats: Mapping[int, tuple[int, float]]) -> float:
    members = {root}
    while grown := {pid for pid, (parent, _) in stats.items() if parent in members} - members:
        members |= grown
    return sum(stats[pid][1] for pid in members if pid in stats)


def _stat(pid: int) -> tuple[int, float] | None:
    """Return parent and CPU seconds, those of children that were waited for included (proc(5), fields 4, 14 to 17)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(map(int, fields[11:15])) / _TICKS
