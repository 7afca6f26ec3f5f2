"""The distributed product under faults: load, faults, healing, settling, checking."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.chaos import reading
from tests.chaos.checker import check, terminal
from tests.chaos.evidence import Accepted, Evidence
from tests.chaos.faults import Faults
from tests.chaos.felt import felt, unfelt
from tests.chaos.findings import Finding, Kind
from tests.chaos.load import FilmMaker, Pace
from tests.chaos.outcome import Outcome
from tests.chaos.schedule import Fault, Planned, plan
from tests.chaos.topology import Topology
from tests.chaos.waiting import none_left

CLIENTS = 4
LOAD_LIMIT_S = 600.0
"""How long clients may go on after the last fault until all their shots are accepted, and what they watch has ended."""
SETTLE_LIMIT_S = 600.0
COLLECT_LIMIT_S = 90.0


@dataclass(frozen=True)
class Wanted:
    """``complete`` asks that every kind of fault came about and was felt, but for those that ``allow_skipped``."""

    seed: int
    shots: int
    kills: int
    every_s: float
    complete: bool
    allow_skipped: bool = False


async def run(folder: Path, wanted: Wanted) -> Outcome:
    """Run it once."""
    began = time.monotonic()
    topology = await asyncio.to_thread(Topology, folder)
    try:
        await asyncio.to_thread(topology.start)
        return await _run(topology, wanted, began)
    finally:
        await asyncio.to_thread(topology.stop)


async def _run(topology: Topology, wanted: Wanted, began: float) -> Outcome:
    accepted, faults = Accepted(), Faults(topology)
    planned = plan(wanted.seed, kills=wanted.kills, every_s=wanted.every_s)
    makers = await _load(topology, planned, wanted, accepted, faults)
    waiting = [f"{maker.left} shots of {maker.project} that are not accepted" for maker in makers if maker.left]
    waiting += await none_left(lambda: reading.unsettled(topology), SETTLE_LIMIT_S)
    await asyncio.to_thread(topology.services.stop)
    evidence = await _collected(topology)
    findings = check(accepted, evidence)
    if wanted.complete:
        allowed = topology.skipped if wanted.allow_skipped else ()
        findings += [*unexercised(faults.done, topology.skipped, allowed), *unfelt(accepted, evidence)]
    return Outcome(
        name="distributed",
        seed=wanted.seed,
        accepted=len(accepted.jobs),
        terminal=terminal(accepted, evidence),
        cancelled=len(accepted.cancelled),
        watched=len(accepted.watched),
        kills=faults.kills,
        felt=felt(evidence),
        faults={str(fault): count for fault, count in sorted(faults.done.items())},
        skipped={str(fault): why for fault, why in topology.skipped.items()},
        refusals=dict(sum((maker.refusals for maker in makers), Counter[str]())),
        seconds=time.monotonic() - began,
        findings=findings,
        waiting=waiting,
    )


async def _load(
    topology: Topology, planned: Sequence[Planned], wanted: Wanted, accepted: Accepted, faults: Faults
) -> list[FilmMaker]:
    """Hand in all shots while the faults strike; return when both are over, or take too long."""
    length_s = max(each.moment_s for each in planned)
    sizes = _shares(Random(wanted.seed), wanted.shots)
    address = topology.services.address
    makers = [FilmMaker(address, number, size, wanted.seed, accepted) for number, size in enumerate(sizes)]
    pace = Pace(length_s)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(length_s + LOAD_LIMIT_S), asyncio.TaskGroup() as group:
            group.create_task(faults.run(planned))
            for maker in makers:
                group.create_task(maker.run(pace))
    return makers


def _shares(random: Random, shots: int) -> list[int]:
    """Return how many shots each client hands in: some many, some few."""
    cuts = sorted(random.sample(range(1, shots), CLIENTS - 1))
    return [last - first for first, last in zip([0, *cuts], [*cuts, shots], strict=True)]


async def _collected(topology: Topology) -> Evidence:
    """Let the collectors run until they have nothing to do, or their limit is reached; return what is there then."""
    collectors = topology.collectors()
    try:
        await asyncio.to_thread(collectors.start)
        await none_left(lambda: reading.left_over(topology), COLLECT_LIMIT_S)
    finally:
        await asyncio.to_thread(collectors.stop)
    return await asyncio.to_thread(reading.read, topology)


def unexercised(done: Collection[Fault], skipped: Mapping[Fault, str], allowed: Collection[Fault]) -> list[Finding]:
    """Return the kinds of fault that never came about, and why, but for those that are ``allowed`` not to."""
    missing = set(Fault) - set(done) - set(allowed)
    return [
        Finding(Kind.UNEXERCISED, fault, f"never came about: {skipped.get(fault, 'it met nobody')}")
        for fault in sorted(missing)
    ]
