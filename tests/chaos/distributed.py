"""The distributed product under faults: load, faults, healing, settling, checking."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.chaos import reading
from tests.chaos.checker import check, terminal
from tests.chaos.evidence import Accepted, Evidence
from tests.chaos.faults import Faults
from tests.chaos.findings import Finding, Kind
from tests.chaos.load import FilmMaker, Pace
from tests.chaos.outcome import Outcome
from tests.chaos.schedule import Fault, Planned, plan
from tests.chaos.topology import Topology
from tests.chaos.waiting import none_left

CLIENTS = 4
LOAD_LIMIT_S = 300.0
"""How long clients may go on after the last fault until all their shots are accepted."""
SETTLE_LIMIT_S = 600.0
COLLECT_LIMIT_S = 90.0


async def run(folder: Path, *, seed: int, shots: int, kills: int, every_s: float, complete: bool) -> Outcome:
    """Run it once; ``complete`` asks that every kind of fault came about."""
    began = time.monotonic()
    topology = await asyncio.to_thread(Topology, folder)
    try:
        await asyncio.to_thread(topology.start)
        return await _run(topology, plan(seed, kills=kills, every_s=every_s), seed, shots, complete, began)
    finally:
        await asyncio.to_thread(topology.stop)


async def _run(
    topology: Topology, planned: Sequence[Planned], seed: int, shots: int, complete: bool, began: float
) -> Outcome:
    accepted, faults = Accepted(), Faults(topology)
    makers = await _load(topology, planned, seed, shots, accepted, faults)
    waiting = [f"{maker.left} shots of {maker.project} that are not accepted" for maker in makers if maker.left]
    waiting += await none_left(lambda: reading.unsettled(topology), SETTLE_LIMIT_S)
    await asyncio.to_thread(topology.services.stop)
    evidence = await _collected(topology)
    findings = [*check(accepted, evidence), *(_unexercised(topology, faults) if complete else ())]
    return Outcome(
        name="distributed",
        seed=seed,
        accepted=len(accepted.jobs),
        terminal=terminal(accepted, evidence),
        kills=faults.kills,
        faults={str(fault): count for fault, count in sorted(faults.done.items())},
        skipped={str(fault): why for fault, why in topology.skipped.items()},
        refusals=dict(sum((maker.refusals for maker in makers), Counter[str]())),
        seconds=time.monotonic() - began,
        findings=findings,
        waiting=waiting,
    )


async def _load(
    topology: Topology, planned: Sequence[Planned], seed: int, shots: int, accepted: Accepted, faults: Faults
) -> list[FilmMaker]:
    """Hand in all shots while the faults strike; return when both are over, or take too long."""
    length_s = max(each.moment_s for each in planned)
    sizes = _shares(Random(seed), shots)
    makers = [FilmMaker(topology.services.address, number, size, seed, accepted) for number, size in enumerate(sizes)]
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


def _unexercised(topology: Topology, faults: Faults) -> list[Finding]:
    missing = set(Fault) - set(faults.done) - set(topology.skipped)
    return [Finding(Kind.UNEXERCISED, fault, "never came about") for fault in sorted(missing)]
