"""The worker: leases jobs from the queue, drives the renderer, stores the picture, and never blocks a consumer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from continuity.kernel.clock import Clock
from continuity.kernel.errors import ContinuityError
from continuity.kernel.ids import new_id
from continuity.kernel.values import Change, Failure
from services.rendering.domain.errors import PictureMissing, RendererDown, WorkerLost
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import (
    RENDERING,
    Job,
    attempt_failed,
    handed_back,
    interrupted,
    lease_renewed,
    rendered,
    worker_lost,
)
from services.rendering.domain.keyframe import Keyframe, StageTimings
from services.rendering.handlers.ports import (
    Jobs,
    KeyframeFiles,
    OwnedJob,
    Picture,
    Progress,
    Renderer,
    RenderTask,
    Step,
)
from services.rendering.handlers.work import WorkSignal

_log = logging.getLogger(__name__)

LEASE_S = 20.0
RETRY_DELAY_S = 2.0
DOWN_DELAY_S = 1.0


@dataclass
class RenderJobs:
    """Renders one job after another; several run beside each other. Whoever is not heard of for ``lease_s`` is lost."""

    jobs: Jobs
    renderer: Renderer
    files: KeyframeFiles
    progress: Progress
    clock: Clock
    signal: WorkSignal
    lease_s: float = LEASE_S
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            if not await self.render_next():
                await self.signal.wait()

    async def render_next(self) -> bool:
        """Render the first job of the queue; false when there is none or the renderer is down."""
        try:
            await self.renderer.check()
        except RendererDown:
            return False
        token = new_id()
        now = self.clock.now()
        owned = await self._taken_over(now, token) or await self.jobs.lease_next(now, now + self.lease_s, token)
        if owned is None:
            return False
        self.signal.there_is_work()  # another worker may look for more
        await self._work(owned, token)
        return True

    def interrupt(self, job_id: str) -> None:
        """Stop working on a job at once: somebody cancelled it."""
        task = self.running.get(job_id)
        if task is not None:
            task.cancel()

    async def _taken_over(self, now: float, token: str) -> OwnedJob | None:
        """Take over from a worker that was lost; that counts as an attempt."""
        owned = await self.jobs.take_over_lapsed(now, now + self.lease_s, token)
        if owned is None:
            return None
        failure = Failure.of(WorkerLost(attempts=owned.job.attempts + 1))
        job = await self._change(owned, lambda job: worker_lost(job, token, failure, now))
        return OwnedJob(owned.project, job) if job.lease_token == token else None

    async def _work(self, owned: OwnedJob, token: str) -> None:
        task = asyncio.create_task(self._attempt(owned, token))
        self.running[owned.job.id] = task
        keeper = asyncio.create_task(self._keep_lease(owned, token, task))
        try:
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()):
                _log.error("%s waits for its lease to lapse: %s", owned.job.id, error)
        except asyncio.CancelledError:
            # This process stops: the job goes back without blame.
            task.cancel()
            await asyncio.wait([task])
            await self._change(owned, lambda job: handed_back(job, token, 0.0, self.clock.now()))
            raise
        finally:
            keeper.cancel()
            if self.running.get(owned.job.id) is task:
                del self.running[owned.job.id]

    async def _attempt(self, owned: OwnedJob, token: str) -> None:
        try:
            keyframe = await self._render(RenderTask(owned.project, owned.job))
        except RendererDown as error:
            failure, now = Failure.of(error), self.clock.now()
            await self._change(owned, lambda job: interrupted(job, token, failure, DOWN_DELAY_S, now))
        except ContinuityError as error:
            await self._blame(owned, token, Failure.of(error), error.retryable)
        except Exception as error:
            _log.exception("rendering %s broke", owned.job.id)
            await self._blame(owned, token, Failure("INTERNAL", type(error).__name__), retryable=True)
        else:
            await self._change(owned, lambda job: rendered(job, token, keyframe, self.clock.now()))

    async def _blame(self, owned: OwnedJob, token: str, failure: Failure, retryable: bool) -> None:
        delay_s = RETRY_DELAY_S if retryable else None
        now = self.clock.now()
        await self._change(owned, lambda job: attempt_failed(job, token, failure, now, retry_after_s=delay_s))

    async def _render(self, task: RenderTask) -> Keyframe:
        await self.progress.tell(task.project, RenderProgressed(task.job.id, RENDERING))
        started = self.clock.now()
        picture = await self._drawn(task)
        drawn = self.clock.now()
        stored = await self.files.store(task, picture, self.renderer.name)
        height_px, width_px = picture.pixels.shape[:2]
        return Keyframe(
            object=stored,
            width_px=width_px,
            height_px=height_px,
            seed=task.job.prompt.seed if task.job.prompt else 0,
            renderer=self.renderer.name,
            timings=StageTimings(render_s=drawn - started, store_s=self.clock.now() - drawn),
        )

    async def _drawn(self, task: RenderTask) -> Picture:
        async with aclosing(self.renderer.render(task)) as updates:  # type: ignore[type-var]
            async for update in updates:
                if isinstance(update, Picture):
                    return update
                await self._tell_step(task, update)
        raise PictureMissing(renderer=self.renderer.name)

    async def _tell_step(self, task: RenderTask, step: Step) -> None:
        preview = await self.files.store_preview(task.project, step.preview) if step.preview else None
        progress = RenderProgressed(task.job.id, RENDERING, step.step, step.steps, preview)
        await self.progress.tell(task.project, progress)

    async def _keep_lease(self, owned: OwnedJob, token: str, task: asyncio.Task[None]) -> None:
        """Renew the lease while the renderer works; stop the work when the lease is gone."""
        while True:
            await asyncio.sleep(self.lease_s / 4)
            with contextlib.suppress(ContinuityError):
                if await self._lease_lost(owned, token):
                    task.cancel()
                    return

    async def _lease_lost(self, owned: OwnedJob, token: str) -> bool:
        until = self.clock.now() + self.lease_s
        job = await self.jobs.change(owned.project, owned.job.id, lambda now: lease_renewed(now, token, until))
        return job.lease_token != token

    async def _change(self, owned: OwnedJob, decide: Callable[[Job], Change[Job] | None]) -> Job:
        job = await self.jobs.change(owned.project, owned.job.id, decide)
        await self.progress.tell(owned.project, RenderProgressed(job.id, job.state))
        return job
