"""The worker: leases jobs from the queue, drives the renderer, stores the picture, and never blocks a consumer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import aclosing
from dataclasses import dataclass, field

from continuity.kernel.clock import Clock
from continuity.kernel.errors import ContinuityError, Full, Unavailable
from continuity.kernel.ids import new_id
from continuity.kernel.values import Failure
from services.rendering.domain.errors import AttemptTooLong, PictureMissing, RenderCrashed, RendererDown
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.fair_queue import INTERACTIVE
from services.rendering.domain.job import RENDERING, expired
from services.rendering.domain.keyframe import Keyframe, StageTimings
from services.rendering.domain.lease import handed_back, interrupted, put_off, rendered
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.held_job import HeldJob
from services.rendering.handlers.observer import UNOBSERVED, Observer
from services.rendering.handlers.ports import KeyframeFiles, Picture, Progress, Renderer, RenderTask, Step
from services.rendering.handlers.stores import Jobs
from services.rendering.handlers.work import WorkSignal

_log = logging.getLogger(__name__)

LEASE_S = 10.0
ATTEMPT_S = 600.0
"""The longest that an attempt may take, of a job that may take for ever."""
DOWN_DELAY_S = 1.0
AWAY_DELAY_S = 3.0
CHECK_S = 1.0
STORED_BESIDE = 2
"""Pictures for each slot that may be stored while the next ones are drawn."""
HAND_BACK_S = 5.0
"""How long a worker that stops waits for the store; the lease lapses otherwise."""


@dataclass
class RenderJobs:
    """Draws as many jobs at once as there are ``slots``, and stores pictures beside that.

    When they are full, up to ``urgent_slots`` more are drawn of those that somebody waits for in person.
    Whoever is not heard of for ``lease_s`` is lost.
    """

    jobs: Jobs
    queue: FairQueue
    renderer: Renderer
    files: KeyframeFiles
    progress: Progress
    clock: Clock
    signal: WorkSignal
    lease_s: float = LEASE_S
    slots: int = 1
    observer: Observer = UNOBSERVED
    urgent_slots: int = 0
    hand_back_s: float = HAND_BACK_S
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    works: dict[HeldJob, asyncio.Task[None]] = field(default_factory=dict)
    drawing: set[HeldJob] = field(default_factory=set)
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    leasing: asyncio.Task[list[HeldJob]] | None = None
    is_up: bool = False
    check_time: float = 0.0

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                room, least_priority = await self._room()
                if await self._begun(room, least_priority) < room:
                    await self.signal.wait()
        finally:
            await self.stop()

    async def begin(self, room: int = 1, least_priority: int = 0) -> int:
        """Begin with the first jobs of the queue; return how many: none while the renderer is down."""
        if not await self._renderer_is_up():
            return 0
        self.leasing = asyncio.create_task(self._lease(room, least_priority))
        leased = await asyncio.shield(self.leasing)
        self.leasing = None
        for held in leased:
            self.queue.drawn(held.owned.job)
            self._begin(held)
        return len(leased)

    async def stop(self) -> None:
        """Hand back what is being leased or drawn, and finish what is being stored, within a limit."""
        for held in self.drawing:
            self.works[held].cancel()
        ends = [*self.works.values(), asyncio.create_task(self._hand_back_leased())]
        await asyncio.wait(ends, timeout=self.hand_back_s)
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)

    async def _lease(self, room: int, least_priority: int) -> list[HeldJob]:
        token, now = new_id(), self.clock.now()
        leased = await self.jobs.lease(now, now + self.lease_s, token, room, least_priority)
        return [HeldJob(owned, token, self.lease_s, self.jobs, self.progress, self.clock) for owned in leased]

    async def _hand_back_leased(self) -> None:
        """Hand back what nobody has begun: the store writes a lease even if nobody waits for its answer any more."""
        if self.leasing is not None:
            leased = await self.leasing
            await asyncio.gather(*(self._hand_back(held) for held in leased))

    async def _hand_back(self, held: HeldJob) -> None:
        with contextlib.suppress(TimeoutError, ContinuityError):
            async with asyncio.timeout(self.hand_back_s):
                await held.write(lambda job: handed_back(job, held.token, self.clock.now()))

    async def _begun(self, room: int, least_priority: int) -> int:
        try:
            return await self.begin(room, least_priority)
        except (Unavailable, Full) as error:
            _log.warning("no job is leased for now: %s", error)
            return 0

    async def _room(self) -> tuple[int, int]:
        """Return for how many jobs there is room, once there is, and what priority they must have."""
        while (room := self._free_of(self.slots + self.urgent_slots)) <= 0:
            self.freed.clear()
            await self.freed.wait()
        anybodys = self._free_of(self.slots)
        return (anybodys, 0) if anybodys > 0 else (room, INTERACTIVE)

    def _free_of(self, slots: int) -> int:
        return min(slots - len(self.drawing), (1 + STORED_BESIDE) * slots - len(self.works))

    def _begin(self, held: HeldJob) -> None:
        def ended(_: asyncio.Task[None]) -> None:
            del self.works[held]
            self._free(held)

        self.drawing.add(held)
        self.works[held] = asyncio.create_task(self._work(held))
        self.works[held].add_done_callback(ended)

    def _free(self, held: HeldJob) -> None:
        self.drawing.discard(held)
        self.freed.set()
        if self.urgent_slots:
            self.signal.there_is_work()  # it may wait for an urgent job, and now there is room for any

    async def _renderer_is_up(self) -> bool:
        """Ask once a second, and after every attempt that found it down."""
        now = asyncio.get_running_loop().time()
        if now >= self.check_time:
            try:
                await self.renderer.check()
                self.is_up = True
            except RendererDown:
                self.is_up = False
            self.check_time = now + CHECK_S
        return self.is_up

    def interrupt(self, job_id: str) -> None:
        """Stop working on a job at once: somebody cancelled it."""
        task = self.running.get(job_id)
        if task is not None:
            task.cancel()

    async def _work(self, held: HeldJob) -> None:
        id = held.owned.job.id
        with self.observer.continuing(held.owned.traceparent):
            task = asyncio.create_task(self._attempt(held))
        keeper = asyncio.create_task(held.keep(task))
        self.running[id] = task
        try:
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()):
                _log.error("%s waits for its lease to lapse: %s", id, error)
        except asyncio.CancelledError:
            # This process stops: the job goes back without blame.
            task.cancel()
            await asyncio.wait([task])
            await self._hand_back(held)
            raise
        finally:
            keeper.cancel()
            if self.running.get(id) is task:
                del self.running[id]

    async def _attempt(self, held: HeldJob) -> None:
        owned, token, now = held.owned, held.token, self.clock.now()
        timeout_s = ATTEMPT_S if owned.job.expire_time is None else min(ATTEMPT_S, owned.job.expire_time - now)
        if timeout_s <= 0:
            await held.change(lambda job: expired(job, now))
            return
        try:
            with self.observer.attempt(owned, self.renderer.name):
                async with asyncio.timeout(timeout_s):
                    keyframe = await self._render(held, RenderTask(owned.project, owned.job, timeout_s))
        except TimeoutError:
            await held.blame(Failure.of(AttemptTooLong(timeout_s=timeout_s)), retryable=True)
        except RendererDown as error:
            self.check_time = 0.0
            failure, now = Failure.of(error), self.clock.now()
            await held.change(lambda job: interrupted(job, token, failure, DOWN_DELAY_S, now))
        except PictureMissing as error:
            await held.blame(Failure.of(error), retryable=True)
        except RenderCrashed as error:
            await held.blame(Failure.of(error), retryable=True, crashed=True)
        except (Unavailable, Full) as error:
            # A store is away, or something is full: no fault of this job's, however long it lasts.
            failure, now = Failure.of(error), self.clock.now()
            await held.change(lambda job: put_off(job, token, failure, AWAY_DELAY_S, now))
        except ContinuityError as error:
            await held.blame(Failure.of(error), retryable=error.retryable)
        except Exception as error:
            _log.exception("rendering %s broke", owned.job.id)
            await held.blame(Failure("INTERNAL", type(error).__name__), retryable=True)
        else:
            await held.change(lambda job: rendered(job, token, keyframe, self.clock.now()))

    async def _render(self, held: HeldJob, task: RenderTask) -> Keyframe:
        await self.progress.tell(task.project, task.job)
        started = self.clock.now()
        picture = await self._drawn(task)
        drawn = self.clock.now()
        self._free(held)
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
