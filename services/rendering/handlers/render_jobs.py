"""The worker: leases jobs from the queue, drives the renderer, stores the picture, and never blocks a consumer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from math import inf

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
from services.rendering.handlers.attempt_clock import DRAW_S, WAIT_S, AttemptClock
from services.rendering.handlers.fair_queue import FairQueue
from services.rendering.handlers.held_job import HeldJob
from services.rendering.handlers.observer import UNOBSERVED, Observer
from services.rendering.handlers.ports import KeyframeFiles, Picture, Progress, Renderer, RenderTask, Step
from services.rendering.handlers.stores import Jobs
from services.rendering.handlers.work import WorkSignal

_log = logging.getLogger(__name__)

LEASE_S = 10.0
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
    Whoever is not heard of for ``lease_s`` is lost. An attempt takes ``draw_s`` at most from its first step on, for
    which it waits ``wait_s`` at most.
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
    draw_s: float = DRAW_S
    wait_s: float = WAIT_S
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
        left_s = inf if owned.job.expire_time is None else owned.job.expire_time - now
        if left_s <= 0:
            await held.change(lambda job: expired(job, now))
            return
        try:
            with self.observer.attempt(owned, self.renderer.name):
                takes = await self._render_in_time(held, AttemptClock(self.wait_s, self.draw_s, left_s))
        except RendererDown as error:
            self.check_time = 0.0
            failure, now = Failure.of(error), self.clock.now()
            await held.change(lambda job: interrupted(job, token, failure, DOWN_DELAY_S, now))
        except (AttemptTooLong, PictureMissing) as error:
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
            await held.change(lambda job: rendered(job, token, takes, self.clock.now()))

    async def _render_in_time(self, held: HeldJob, clock: AttemptClock) -> list[Keyframe]:
        task = RenderTask(held.owned.project, held.owned.job, clock.most_s)
        try:
            async with asyncio.timeout_at(clock.until_s) as limit:
                return await self._render(held, task, lambda: limit.reschedule(clock.begin()))
        except TimeoutError:
            raise clock.over() from None

    async def _render(self, held: HeldJob, task: RenderTask, took_step: Callable[[], None]) -> list[Keyframe]:
        """Draw and store the takes: each while the next one is drawn, and the last when the slot is free again."""
        await self.progress.tell(task.project, task.job)
        takes: list[Keyframe] = []
        last: tuple[Picture, float] | None = None
        began = self.clock.now()
        async with aclosing(self._pictures(task, took_step)) as pictures:
            async for picture in pictures:
                if last is not None:
                    takes.append(await self._stored(task, *last, takes))
                last = picture, self.clock.now() - began
                began = self.clock.now()
        self._free(held)
        if last is None:
            raise PictureMissing(renderer=self.renderer.name)
        return [*takes, await self._stored(task, *last, takes)]

    async def _stored(self, task: RenderTask, picture: Picture, render_s: float, takes: list[Keyframe]) -> Keyframe:
        began = self.clock.now()
        keyframe = takes[0].object if takes else None
        stored = await self.files.store(task, picture, self.renderer.name, keyframe)
        height_px, width_px = picture.pixels.shape[:2]
        return Keyframe(
            object=stored,
            width_px=width_px,
            height_px=height_px,
            seed=task.job.seed_of(picture.take),
            renderer=self.renderer.name,
            timings=StageTimings(render_s=render_s, store_s=self.clock.now() - began),
        )

    async def _pictures(self, task: RenderTask, took_step: Callable[[], None]) -> AsyncGenerator[Picture, None]:
        """Tell the steps and yield the pictures."""
        async with aclosing(self.renderer.render(task)) as updates:  # type: ignore[type-var]
            async for update in updates:
                took_step()
                if isinstance(update, Picture):
                    yield update
                else:
                    await self._tell_step(task, update)

    async def _tell_step(self, task: RenderTask, step: Step) -> None:
        preview = await self.files.store_preview(task.project, step.preview) if step.preview else None
        progress = RenderProgressed(task.job.id, RENDERING, step.step, step.steps, preview)
        await self.progress.tell(task.project, progress)
