"""The embedded product: its one process is killed at random points of a run; the next start completes every job."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

from deploy.local.cache import ROOT
from deploy.local.ports import accepts, free_port
from deploy.local.servers.base import Server
from tests.chaos import embedded_reading
from tests.chaos.checker import check, terminal
from tests.chaos.evidence import Accepted
from tests.chaos.felt import felt
from tests.chaos.load import FilmMaker, Pace
from tests.chaos.outcome import Outcome
from tests.chaos.waiting import none_left

LIFE_S = (0.5, 8.0)
"""How long the process lives once it answers: long enough now and then for a job to be done."""
LOAD_LIMIT_S = 300.0
SETTLE_LIMIT_S = 300.0
COLLECT_LIMIT_S = 90.0


class Embedded(Server):
    """The embedded runtime on a home of its own; Triton and the broker die with it."""

    name = "embedded"
    start_limit_s = 120.0

    def __init__(self, folder: Path, **variables: str) -> None:
        super().__init__(folder, free_port())
        self.home = folder / "home"
        self._variables = variables

    def command(self) -> Sequence[str]:
        """Return the command line."""
        return [sys.executable, "-m", "services.embedded"]

    def environment(self) -> Mapping[str, str]:
        """Return where its home is and where it listens."""
        own = {"CONTINUITY_HOME": str(self.home), "CONTINUITY_LISTEN_ADDRESS": self.address, **self._variables}
        return {**super().environment(), "PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}", **own}

    def answers(self) -> bool:
        """Tell whether it accepts calls."""
        return accepts(self.port)


async def run(folder: Path, *, seed: int, shots: int, kills: int) -> Outcome:
    """Run it once."""
    began = time.monotonic()
    accepted, random = Accepted(), Random(seed)
    died: Counter[str] = Counter()
    server = Embedded(folder)
    maker = FilmMaker(server.address, 0, shots, seed, accepted)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOAD_LIMIT_S), asyncio.TaskGroup() as group:
                group.create_task(_live_and_die(server, random, kills, died))
                group.create_task(maker.run(Pace(kills * sum(LIFE_S) / 2)))
        await asyncio.to_thread(server.start)
        waiting = [f"{maker.left} shots that are not accepted"] if maker.left else []
        waiting += await none_left(lambda: embedded_reading.unsettled(server.home), SETTLE_LIMIT_S)
        await asyncio.to_thread(server.stop)
        await _collect(folder)
    finally:
        await asyncio.to_thread(server.stop)
    evidence = await asyncio.to_thread(embedded_reading.read, server.home)
    return Outcome(
        name="embedded",
        seed=seed,
        accepted=len(accepted.jobs),
        terminal=terminal(accepted, evidence),
        cancelled=len(accepted.cancelled),
        watched=len(accepted.watched),
        kills=died.total(),
        felt=felt(evidence),
        faults=dict(died),
        seconds=time.monotonic() - began,
        findings=check(accepted, evidence),
        refusals=dict(maker.refusals),
        waiting=waiting,
    )


async def _live_and_die(server: Server, random: Random, kills: int, died: Counter[str]) -> None:
    """Start the process and kill it, so many times; count those times that it was alive."""
    for _ in range(kills):
        await asyncio.to_thread(server.start)
        await asyncio.sleep(random.uniform(*LIFE_S))
        died["kill-embedded"] += server.alive()
        await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


async def _collect(folder: Path) -> None:
    """Start once more to collect at once what nobody names; return when that is done or takes long."""
    collector = Embedded(folder, CONTINUITY_COLLECT_AFTER_S="3")
    try:
        await asyncio.to_thread(collector.start)
        await none_left(lambda: embedded_reading.left_over(collector.home), COLLECT_LIMIT_S)
        await none_left(lambda: embedded_reading.unsettled(collector.home), SETTLE_LIMIT_S)
    finally:
        await asyncio.to_thread(collector.stop)
