import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from continuity.compute.pool import CpuPool, JobLate, PoolClosed, PoolFull, WorkerDied
from continuity.kernel.errors import ContinuityError, InvalidValue, Unavailable
from tests.unit.compute import jobs

MakePool = Callable[..., CpuPool]
FOREVER_S = 600.0


@pytest_asyncio.fixture
async def make_pool() -> AsyncIterator[MakePool]:
    pools: list[CpuPool] = []

    def make(workers: int = 1, *, max_waiting: int = 4, timeout_s: float = 30.0) -> CpuPool:
        pools.append(CpuPool(workers, max_waiting=max_waiting, timeout_s=timeout_s))
        return pools[-1]

    yield make
    await asyncio.gather(*(pool.close() for pool in pools))


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """A named pipe through which ``sleep_for`` tells its process id."""
    os.mkfifo(tmp_path / "started")
    return tmp_path / "started"


async def pid_of(started: Path) -> int:
    return int(await asyncio.to_thread(started.read_text))


async def end_of(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        await asyncio.to_thread(select.select, [descriptor], [], [])
        os.close(descriptor)


async def test_a_job_is_computed_in_another_process(make_pool: MakePool) -> None:
    pool = make_pool()
    assert await pool.run(jobs.double, 21) == 42
    assert await pool.run(jobs.own_pid) != os.getpid()


async def test_a_worker_is_used_again(make_pool: MakePool) -> None:
    pool = make_pool(workers=3)
    assert len({await pool.run(jobs.own_pid) for _ in range(5)}) == 1


async def test_no_more_workers_run_than_allowed(make_pool: MakePool) -> None:
    pool = make_pool(workers=2, max_waiting=20)
    assert len(set(await asyncio.gather(*(pool.run(jobs.own_pid) for _ in range(12))))) <= 2


async def test_large_arguments_and_results_come_through(make_pool: MakePool) -> None:
    data = os.urandom(40_000_000)
    assert await make_pool().run(jobs.echo, data) == data


async def test_a_typed_error_comes_back_intact(make_pool: MakePool) -> None:
    pool = make_pool()
    with pytest.raises(InvalidValue) as caught:
        await pool.run(jobs.refuse)
    assert caught.value.values() == {"field": "photo", "value": 7, "limit": "at most 6"}
    assert "in refuse" in "".join(caught.value.__notes__)


async def test_an_error_that_cannot_be_pickled_still_says_what_it_is(make_pool: MakePool) -> None:
    with pytest.raises(RuntimeError, match="OddError: 1 is not 2"):
        await make_pool().run(jobs.fail_oddly)


async def test_a_result_that_cannot_be_pickled_is_an_error_and_no_worker_lost(make_pool: MakePool) -> None:
    pool = make_pool()
    before = await pool.run(jobs.own_pid)
    with pytest.raises(Exception, match="pickle"):
        await pool.run(jobs.return_what_cannot_be_pickled)
    assert await pool.run(jobs.own_pid) == before


async def test_what_a_job_prints_does_not_disturb_its_answer(make_pool: MakePool) -> None:
    pool = make_pool()
    assert [await pool.run(jobs.chatter) for _ in range(3)] == ["said"] * 3


async def test_a_worker_does_not_load_what_its_jobs_do_not_need(make_pool: MakePool) -> None:
    assert not {"grpc", "pytest", "asyncio", "numpy"} & await make_pool().run(jobs.module_names)


async def test_more_jobs_than_may_wait_are_refused(make_pool: MakePool, started: Path) -> None:
    pool = make_pool(max_waiting=1)
    running = asyncio.create_task(pool.run(jobs.sleep_for, str(started), FOREVER_S))
    await pid_of(started)
    waiting = asyncio.create_task(pool.run(jobs.double, 1))
    await asyncio.sleep(0)
    with pytest.raises(PoolFull) as caught:
        await pool.run(jobs.double, 2)
    assert caught.value.retryable
    running.cancel()
    assert await waiting == 2


async def test_a_late_job_is_killed_and_its_worker_replaced(make_pool: MakePool, started: Path) -> None:
    pool = make_pool(timeout_s=3.0)
    running = asyncio.create_task(pool.run(jobs.sleep_for, str(started), FOREVER_S))
    pid = await pid_of(started)
    with pytest.raises(JobLate) as caught:
        await running
    assert caught.value.retryable
    assert str(caught.value) == "sleep_for took longer than 3.0 s"
    await end_of(pid)
    assert await pool.run(jobs.double, 4) == 8


@pytest.mark.parametrize("death", [jobs.crash, jobs.leave])
async def test_a_crash_is_a_retryable_error_and_the_pool_heals(make_pool: MakePool, death: Callable[[], None]) -> None:
    pool = make_pool()
    with pytest.raises(WorkerDied) as caught:
        await pool.run(death)
    assert caught.value.retryable
    assert not isinstance(caught.value, Unavailable), "a job that kills every worker would be tried for ever"
    assert await pool.run(jobs.double, 4) == 8


async def test_a_crash_takes_no_other_job_down(make_pool: MakePool, started: Path) -> None:
    pool = make_pool(workers=2)
    other = asyncio.create_task(pool.run(jobs.sleep_for, str(started), 0.5))
    await pid_of(started)
    with pytest.raises(WorkerDied):
        await pool.run(jobs.crash)
    await other


async def test_a_worker_killed_while_idle_is_replaced(make_pool: MakePool) -> None:
    pool = make_pool()
    pid = await pool.run(jobs.own_pid)
    os.kill(pid, signal.SIGKILL)
    await end_of(pid)
    with contextlib.suppress(WorkerDied):
        await pool.run(jobs.double, 1)
    assert await pool.run(jobs.double, 4) == 8


async def test_cancelling_kills_the_job_and_frees_its_place(make_pool: MakePool, started: Path) -> None:
    pool = make_pool(max_waiting=0)
    running = asyncio.create_task(pool.run(jobs.sleep_for, str(started), FOREVER_S))
    pid = await pid_of(started)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await end_of(pid)
    assert await pool.run(jobs.double, 4) == 8


async def test_cancelling_at_any_moment_loses_no_place(make_pool: MakePool) -> None:
    pool = make_pool(workers=2, max_waiting=2)
    for turns in range(12):
        job = asyncio.create_task(pool.run(jobs.double, 1))
        for _ in range(turns):
            await asyncio.sleep(0)
        job.cancel()
        await asyncio.wait([job])
    assert await asyncio.gather(*(pool.run(jobs.double, number) for number in range(4))) == [0, 2, 4, 6]


async def test_a_worker_ignores_ctrl_c(make_pool: MakePool) -> None:
    pool = make_pool()
    pid = await pool.run(jobs.own_pid)
    os.kill(pid, signal.SIGINT)
    assert await pool.run(jobs.own_pid) == pid


async def test_closing_ends_workers_and_running_and_waiting_jobs(make_pool: MakePool, started: Path) -> None:
    pool = make_pool()
    running = asyncio.create_task(pool.run(jobs.sleep_for, str(started), FOREVER_S))
    waiting = asyncio.create_task(pool.run(jobs.double, 1))
    pid = await pid_of(started)
    await pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    for job in (running, waiting, pool.run(jobs.double, 1)):
        with pytest.raises(PoolClosed):
            await job


async def test_closing_while_a_worker_starts_leaves_none(make_pool: MakePool) -> None:
    pool = make_pool()
    starting = asyncio.create_task(pool.run(jobs.sleep_for, "unused", FOREVER_S))
    await asyncio.sleep(0)
    await pool.close()
    with pytest.raises(PoolClosed):
        await starting


async def test_a_pool_that_was_never_used_starts_nothing(make_pool: MakePool) -> None:
    pool = make_pool()
    await pool.close()
    with pytest.raises(ContinuityError):
        await pool.run(jobs.double, 1)


PARENT = """
    import asyncio, sys
    from continuity.compute.pool import CpuPool
    from tests.unit.compute import jobs

    asyncio.run(CpuPool(1, max_waiting=0, timeout_s=600).run(jobs.sleep_for, sys.argv[1], 600.0))
"""


async def test_workers_die_with_their_parent(started: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(started)]
    parent = await asyncio.create_subprocess_exec(*command, env=environment, stderr=subprocess.DEVNULL)
    pid = await pid_of(started)
    parent.kill()
    await parent.wait()
    await end_of(pid)
