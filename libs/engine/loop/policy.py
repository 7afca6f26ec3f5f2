"""Whose unit runs next: it preempts rather than slices.

Slicing equal jobs doubles their mean latency, so a started image runs on unless a higher priority, an endangered
deadline or another project's share wants the device. Among equals that job is next with which its project will have had
least of the device: fair between projects, the shorter one first within them, the older one of equally long ones. Units
of one group share a batch, except with a job that is to be alone. No threads, no clock: what happens follows from the
calls.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.loop.costs import Costs
from engine.loop.job import Job
from engine.loop.shares import Shares
from engine.request import INTERACTIVE

__all__ = ["Chooser", "Policy", "Rules", "Slots"]


Slots = Callable[[Hashable], int]


class Chooser(Protocol):
    """What the loop asks before every unit; ``Policy`` is the one that serves."""

    def choose(self, jobs: Sequence[Job], now_s: float, may_start: Callable[[Job], bool]) -> list[Job]:
        """Return the jobs whose next units are to run now as one batch; none when none may or can run."""
        ...

    def ran(self, batch: Sequence[Job], took_s: float, now_s: float) -> None:
        """Take in that the next unit of each job of ``batch`` ran; to be called before their units change."""


@dataclass(frozen=True)
class Rules:
    """When a job that runs gives way, and to whom.

    ``least_turn`` steps pass before another project of equal priority may take the device, and it does so only for a
    job that would be done earlier by ``least_gain`` of its own time: what is measured wavers, and equal jobs must not.
    Whoever was overtaken and got nothing for ``patience_s`` gets one unit in ``patience_turn``. A deadline is in danger
    when what would be left is less than ``margin`` of the remaining time or two units; it is lost as far beyond.
    """

    least_turn: int = 5
    least_gain: float = 0.2
    patience_s: float = 60.0
    patience_turn: int = 8
    margin: float = 0.1


class Policy:
    """Chooses batches; ``slots`` is the executor's."""

    def __init__(self, slots: Slots, rules: Rules | None = None, costs: Costs | None = None) -> None:
        self._slots = slots
        self._rules = rules or Rules()
        self._costs = costs or Costs()
        self._shares = Shares()
        self._running: Job | None = None
        self._turn = 0
        self._units = 0

    def choose(self, jobs: Sequence[Job], now_s: float, may_start: Callable[[Job], bool]) -> list[Job]:
        """See ``Chooser``."""
        self._shares.present(job.project for job in jobs)
        ready = [job for job in jobs if job.unit.is_ready and (job.started or may_start(job))]
        if not ready:
            return []
        lead = self._lead(ready, now_s)
        if overtaken := self._overtaken(lead, ready, now_s):
            return self._filled(overtaken, ready, now_s)
        if lead is not self._running and not self._only_fills_in(jobs, ready):
            self._running, self._turn = lead, 0
        batch = self._filled(lead, ready, now_s)
        companion = self._companion(lead, batch, ready, now_s)
        return self._filled(companion, ready, now_s) if companion else batch

    def ran(self, batch: Sequence[Job], took_s: float, now_s: float) -> None:
        """See ``Chooser``."""
        self._units += 1
        self._turn += self._running in batch and batch[0].unit.phase == "step"
        self._costs.took(batch[0].unit.phase, batch[0].kin, took_s)
        for job in batch:
            self._shares.charge(job.project, took_s / len(batch))
            job.served_s = now_s

    def _lead(self, ready: Sequence[Job], now_s: float) -> Job:
        best = min(ready, key=lambda job: self._rank(job, now_s))
        running = self._running if self._running in ready else None
        return running if running and not self._yields(running, best, now_s) else best

    def _only_fills_in(self, jobs: Sequence[Job], ready: Sequence[Job]) -> bool:
        """Tell whether the running job waits for what is read, and goes on when that is there."""
        return self._running in jobs and self._running not in ready

    def _yields(self, running: Job, best: Job, now_s: float) -> bool:
        """Tell whether the running job gives way to the best of the others."""
        if self._level(best, now_s) != self._level(running, now_s):
            return self._level(best, now_s) > self._level(running, now_s)
        if best.project == running.project or self._turn < self._rules.least_turn:
            return False
        gain_s = self._turn_ends_s(running) - self._turn_ends_s(best)
        return gain_s > self._rules.least_gain * self._costs.remaining_s(best)

    def _level(self, job: Job, now_s: float) -> tuple[bool, bool, int]:
        return job.priority >= INTERACTIVE, self._is_endangered(job, now_s), job.priority

    def _rank(self, job: Job, now_s: float) -> tuple[float, ...]:
        """Return what sorts the jobs, the best first: level, what its project has had and it still wants, age."""
        interactive, endangered, priority = self._level(job, now_s)
        return (-interactive, -endangered, -priority, self._turn_ends_s(job), job.arrived_s)

    def _turn_ends_s(self, job: Job) -> float:
        """Return what ``job``'s project will have had when it is done: does not change while it runs alone."""
        return self._shares.used_s(job.project) + self._costs.remaining_s(job)

    def _is_endangered(self, job: Job, now_s: float) -> bool:
        if job.deadline_s is None:
            return False
        remaining_s = self._costs.remaining_s(job)
        margin_s = max(self._rules.margin * remaining_s, 2 * self._costs.unit_s("step", None))
        return abs(job.deadline_s - now_s - remaining_s) < margin_s

    def _overtaken(self, lead: Job, ready: Sequence[Job], now_s: float) -> Job | None:
        """Return the job that must get a unit now lest it starves."""
        if self._units % self._rules.patience_turn:
            return None
        before_s = now_s - self._rules.patience_s
        overtaken = [job for job in ready if job.arrived_s < lead.arrived_s and job.served_s < before_s]
        return min(overtaken, key=lambda job: job.served_s, default=None)

    def _filled(self, lead: Job, ready: Sequence[Job], now_s: float) -> list[Job]:
        """Return ``lead`` and the best of those that share its batch."""
        group = lead.unit.group
        if lead.alone or group is None or (slots := self._slots(group)) == 1:
            return [lead]
        mates = [job for job in ready if job is not lead and job.unit.group == group and not job.alone]
        mates.sort(key=lambda job: self._rank(job, now_s))
        return [lead, *mates[: slots - 1]]

    def _companion(self, lead: Job, batch: Sequence[Job], ready: Sequence[Job], now_s: float) -> Job | None:
        """Return who would fill a slot that is empty otherwise, once its own unit has run."""
        group = lead.unit.group
        if lead.alone or lead.unit.phase != "step" or group is None or len(batch) >= self._slots(group):
            return None
        level = self._level(lead, now_s)[:2]
        kin = [job for job in ready if job.kin == lead.kin and job.unit.phase != "step" and not job.alone]
        kin = [job for job in kin if self._level(job, now_s)[:2] >= level]
        return min(kin, key=lambda job: self._rank(job, now_s), default=None)
