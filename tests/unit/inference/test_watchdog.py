import asyncio
from collections.abc import Iterable

import pytest

from continuity.inference.errors import TritonStartFailed
from continuity.inference.watchdog import RendererHealth, RendererState, RestartPolicy, TritonWatchdog

AT_ONCE = RestartPolicy(first_delay_s=0.0, most_restarts=2)


class FakeServer:
    """Follows a script of starts: True serves until ``die``, False fails; beyond its end every start serves."""

    def __init__(self, starts: Iterable[bool] = ()) -> None:
        self._starts = iter(starts)
        self._death: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.calls: list[str] = []

    async def start(self) -> None:
        self.calls.append("start")
        if not next(self._starts, True):
            raise TritonStartFailed("exit code 1", "out of film")

    async def died(self) -> str:
        return await self._death

    async def kill(self) -> None:
        self.calls.append("kill")

    async def stop(self) -> None:
        self.calls.append("stop")

    def die(self, reason: str) -> None:
        death, self._death = self._death, asyncio.get_running_loop().create_future()
        death.set_result(reason)


class Reports:
    """Everything that a watchdog reported, and a way to wait for the next."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[RendererHealth] = asyncio.Queue()

    def __call__(self, health: RendererHealth) -> None:
        self._queue.put_nowait(health)

    async def states(self, count: int) -> list[str]:
        async with asyncio.timeout(5):
            return [str((await self._queue.get()).state) for _ in range(count)]


async def test_a_server_that_dies_is_killed_and_started_again() -> None:
    server, reports = FakeServer(), Reports()
    watchdog = TritonWatchdog(server, on_change=reports, policy=AT_ONCE)
    watchdog.start()
    assert await reports.states(2) == ["starting", "serving"]
    server.die("the interpreter died")
    assert await reports.states(1) == ["restarting"]
    assert watchdog.health == RendererHealth(RendererState.RESTARTING, "the interpreter died")
    assert (await watchdog.settled()).state is RendererState.SERVING
    await watchdog.stop()
    assert server.calls == ["start", "kill", "start", "stop"]
    assert watchdog.health.state is RendererState.STOPPED


async def test_a_server_that_never_starts_fails_after_the_last_restart_with_the_reason() -> None:
    server = FakeServer([False] * 3)
    watchdog = TritonWatchdog(server, policy=AT_ONCE)
    watchdog.start()
    health = await watchdog.settled()
    assert health.state is RendererState.FAILED
    assert "out of film" in health.reason
    assert server.calls == ["start"] * 3
    await watchdog.stop()


async def test_a_start_that_fails_at_first_is_tried_again() -> None:
    watchdog = TritonWatchdog(FakeServer([False]), policy=AT_ONCE)
    watchdog.start()
    assert (await watchdog.settled()).state is RendererState.SERVING
    await watchdog.stop()


@pytest.mark.parametrize(("settled_s", "state"), [(0.0, RendererState.SERVING), (3600.0, RendererState.FAILED)])
async def test_only_deaths_in_a_row_count_against_the_limit(settled_s: float, state: RendererState) -> None:
    server, reports = FakeServer(), Reports()
    policy = RestartPolicy(first_delay_s=0.0, most_restarts=2, settled_s=settled_s)
    watchdog = TritonWatchdog(server, on_change=reports, policy=policy)
    watchdog.start()
    assert await reports.states(2) == ["starting", "serving"]
    for _ in range(2):
        server.die("crash")
        assert await reports.states(2) == ["restarting", "serving"]
    server.die("crash")
    await reports.states(1)
    assert (await watchdog.settled()).state is state
    await watchdog.stop()


async def test_stopping_while_it_waits_to_restart_starts_nothing_more() -> None:
    server, reports = FakeServer([False]), Reports()
    watchdog = TritonWatchdog(server, on_change=reports, policy=RestartPolicy(first_delay_s=3600))
    watchdog.start()
    assert await reports.states(2) == ["starting", "restarting"]
    await watchdog.stop()
    assert server.calls == ["start", "stop"]


def test_delays_double_up_to_the_longest() -> None:
    policy = RestartPolicy(first_delay_s=0.5, longest_delay_s=3)
    assert [policy.delay_s(restart) for restart in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
