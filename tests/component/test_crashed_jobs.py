"""Jobs over which the engine dies in the real Triton, from the watchdog to the worker that leased them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RendererUnavailable, RenderRefused
from continuity.inference.server import TritonServer
from continuity.inference.settings import TritonSettings
from continuity.inference.tensors import bytes_tensor
from continuity.inference.watchdog import RendererState, TritonWatchdog
from services.rendering.adapters.sdxl_errors import told
from services.rendering.adapters.sdxl_tensors import SDXL
from services.rendering.domain.errors import RendererDown
from services.rendering.domain.job import FAILED, READY, SUCCEEDED, Deadlines, Job, looked_at
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.ports import Picture, RenderTask, Step
from services.rendering.handlers.render_jobs import RenderJobs
from services.rendering.handlers.work import WorkSignal
from tests.component.test_triton_hangs import publish
from tests.unit.rendering.builders import PROJECT, job_in, shot
from tests.unit.rendering.fakes import (
    InMemoryFiles,
    InMemoryJobs,
    InMemoryQueues,
    InMemorySubmissions,
    SetClock,
    SpokenProgress,
)

pytestmark = pytest.mark.triton

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60.0


class EngineRenderer:
    """Has the engine do with each job what its order says; ``began`` counts the steps that were told."""

    name = "engine 1"

    def __init__(self, triton: TritonClient) -> None:
        self._triton = triton
        self.orders: dict[str, str] = {}
        self.began = 0

    async def check(self) -> None:
        if not await self._triton.ready(SDXL.name):
            raise RendererDown(cause="it is not ready")

    async def render(self, task: RenderTask) -> AsyncIterator[Step | Picture]:
        spec = {"spec": bytes_tensor(json.dumps({"do": self.orders[task.job.id]}).encode())}
        try:
            async with aclosing(self._triton.stream(SDXL, spec, request_id=task.job.id, timeout_s=30)) as answers:
                async for answer in answers:
                    if "image" in answer:
                        yield Picture(answer["image"], bytes(answer["manifest"][0]))
                        continue
                    self.began += 1
                    yield Step(int(answer["step"][0]), int(answer["steps"][0]), b"")
        except RendererUnavailable as error:
            raise RendererDown(cause=error.detail) from error
        except RenderRefused as error:
            raise told(error, task.job) from error


class House:
    """One Triton under its watchdog, and one worker with two slots."""

    def __init__(self, server: TritonServer, watchdog: TritonWatchdog, state: Path, triton: TritonClient) -> None:
        self.server, self.watchdog, self.state = server, watchdog, state
        self.renderer = EngineRenderer(triton)
        self.jobs = InMemoryJobs(*(job_in(READY, shot(number), first_tag=number) for number in (1, 2)))
        self.clock = SetClock()
        queue = FairQueue(InMemoryQueues(), self.jobs, InMemorySubmissions(), self.clock)
        self.worker = RenderJobs(
            self.jobs, queue, self.renderer, InMemoryFiles(), SpokenProgress(), self.clock, WorkSignal(), 1e6, slots=2
        )

    def now(self, job: Job) -> Job:
        return self.jobs.stored[PROJECT, job.id]

    async def worked(self) -> None:
        """Whatever may be leased is drawn or fails, a minute later and with a server that serves."""
        self.clock.seconds += 60
        for job in tuple(self.jobs.stored.values()):
            await self.jobs.change(PROJECT, job.id, lambda job: looked_at(job, self.clock.now(), Deadlines(1e9, 1e9)))
        assert (await self.watchdog.settled()).state is RendererState.SERVING
        await self.worker.begin(2)
        await asyncio.gather(*self.worker.works.values())

    async def dies_over(self, culprit: Job, *, beside: int) -> None:
        """The engine dies in a step of the culprit, with so many other jobs in it."""
        self.renderer.began = 0
        working = asyncio.create_task(self.worked())
        while self.renderer.began < 1 + beside:
            assert not working.done()
            await asyncio.sleep(0.01)
        (stub,) = self.server.stubs()
        publish(self.state, stub, "step", 600.0, culprit.id)
        os.kill(stub, signal.SIGKILL)
        await working
        while self.watchdog.health.state is RendererState.SERVING:
            await asyncio.sleep(0.01)


@pytest.fixture
async def house(triton_settings: Callable[..., TritonSettings], tmp_path: Path) -> AsyncIterator[House]:
    state = tmp_path / "engine.state"
    settings = triton_settings(
        tmp_path,
        model_repository=ROOT / "deploy" / "triton" / "model_repository",
        models=(SDXL.name,),
        python_path=(Path(__file__).with_name("fake_engine"), ROOT / "libs"),
        environment={"CONTINUITY_MODELS": str(tmp_path), "CONTINUITY_ENGINE_STATE": str(state)},
        state_path=state,
        stop_grace_s=0,
    )
    server = TritonServer(settings)
    watchdog = TritonWatchdog(server)
    watchdog.start()
    try:
        async with TritonClient(server.address) as triton:
            yield House(server, watchdog, state, triton)
    finally:
        await watchdog.stop()


async def test_only_the_job_whose_step_ran_is_charged_and_the_second_time_it_is_given_up(house: House) -> None:
    culprit, neighbour = house.jobs.stored.values()
    house.renderer.orders = {culprit.id: "wait", neighbour.id: "wait"}
    async with asyncio.timeout(LIMIT_S):
        await house.dies_over(culprit, beside=1)
        for job in (culprit, neighbour):
            assert (house.now(job).state, house.now(job).attempts, house.now(job).interruptions) == (READY, 0, 1)

        house.renderer.orders[neighbour.id] = "draw"
        await house.worked()
        assert (house.now(neighbour).state, house.now(neighbour).attempts) == (SUCCEEDED, 1)
        charged = house.now(culprit)
        assert (charged.state, charged.attempts, charged.crashes) == (READY, 1, 1)
        assert charged.last_failure
        assert charged.last_failure.reason == "RENDER_CRASHED"

        await house.dies_over(culprit, beside=0)
        await house.worked()
    ended = house.now(culprit)
    assert (ended.state, ended.attempts, ended.crashes) == (FAILED, 2, 2)
    assert ended.failure
    assert "the engine died over it 2 times" in ended.failure.message


async def test_a_job_that_killed_the_engine_once_may_yet_be_drawn(house: House) -> None:
    culprit, neighbour = house.jobs.stored.values()
    house.renderer.orders = {culprit.id: "wait", neighbour.id: "draw"}
    async with asyncio.timeout(LIMIT_S):
        await house.dies_over(culprit, beside=3)  # the neighbour takes three steps
        house.renderer.orders[culprit.id] = "draw"
        await house.worked()
        await house.worked()
    assert (house.now(culprit).state, house.now(culprit).attempts) == (SUCCEEDED, 2)
