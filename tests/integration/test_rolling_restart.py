"""Every replica of every service is restarted, one after the other, while films come in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos import reading
from tests.chaos.checker import check, terminal
from tests.chaos.evidence import Accepted
from tests.chaos.findings import Kind
from tests.chaos.load import FilmMaker, Pace
from tests.chaos.topology import Topology
from tests.chaos.waiting import none_left

pytestmark = [pytest.mark.infra, pytest.mark.slow, pytest.mark.timeout(600)]

SHOTS = 150
RESTARTS_S = 60.0
SETTLE_LIMIT_S = 180.0


async def test_a_rolling_restart_under_load_loses_nothing_and_no_caller_sees_it(tmp_path: Path) -> None:
    topology = await asyncio.to_thread(Topology, tmp_path)
    accepted = Accepted()
    try:
        await asyncio.to_thread(topology.start)
        maker = FilmMaker(topology.services.address, 0, SHOTS, 1, accepted)
        async with asyncio.TaskGroup() as group:
            group.create_task(maker.run(Pace(RESTARTS_S)))
            group.create_task(asyncio.to_thread(topology.services.rolling_restart))
        waiting = await none_left(lambda: reading.unsettled(topology), SETTLE_LIMIT_S)
        evidence = await asyncio.to_thread(reading.read, topology)
    finally:
        await asyncio.to_thread(topology.stop)
    assert not waiting
    assert not maker.refusals
    assert terminal(accepted, evidence) == SHOTS
    # Objects without a name are the collector's, which waits for an hour.
    assert [found for found in check(accepted, evidence) if found.kind is not Kind.ORPHANED] == []
    # Nobody waited for a lease to lapse: what a worker had in hand it finished or handed back.
    assert [job.body["last_failure"] for job in evidence.of("jobs") if job.body["last_failure"]] == []
