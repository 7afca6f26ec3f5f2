"""Draw a keyframe anew from what is frozen in its job, and compare it with what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace

from continuity.kernel.errors import Absent, Damaged, Invalid, WrongState
from services.rendering.domain.errors import (
    PictureMissing,
    RenderCrashed,
    RendererDown,
    VerificationsFull,
)
from services.rendering.domain.takes import take_of
from services.rendering.domain.verification import (
    KeyframeFile,
    Verification,
    another_renderer,
    cannot,
    compared,
    compared_to_lost,
    whose,
)
from services.rendering.handlers.attempt_clock import DRAW_S, WAIT_S, AttemptClock
from services.rendering.handlers.ports import KeyframeFiles, Picture, Renderer, RenderTask, Step
from services.rendering.handlers.stores import Jobs

PATIENCE_S = 300.0
"""How long it waits for a renderer that is down; that is as long as one may take to start."""
LOOK_S = 0.5
MAX_WAITING = 16
LOWEST_PRIORITY = 0


@dataclass
class VerifyKeyframe:
    """One at a time, beside the queue and with the lowest priority, so that no job waits for it; nothing is stored.

    ``start_renderer`` has one started that is only started when it is needed, and tells whether that can be. Each may
    take as long as an attempt at a job, see ``RenderJobs``.
    """

    jobs: Jobs
    files: KeyframeFiles
    renderer: Renderer
    start_renderer: Callable[[], bool] = lambda: True
    draw_s: float = DRAW_S
    wait_s: float = WAIT_S
    patience_s: float = PATIENCE_S
    max_waiting: int = MAX_WAITING
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, project: str, job_id: str, take: int = 0) -> AsyncGenerator[Step | Verification, None]:
        """Yield steps and, last, the verdict on a take.

        Raises ``JobMissing``, ``KeyframeMissing``, ``TakeMissing``, ``VerificationsFull``, ``AttemptTooLong``,
        ``TurnTooLate``, and what the renderer and the stores raise where they are away.
        """
        job = await self.jobs.get(project, job_id)
        keyframe = take_of(job, take)
        job = replace(job, keyframe=keyframe)
        if differs := another_renderer(job, self.renderer.name):
            yield cannot(job, differs)
            return
        with self._place():
            async with self.turn:
                await self._renderer_is_up()
                stored, lost = await self._stored(keyframe.object.key)
                clock = AttemptClock(self.wait_s, self.draw_s)
                task = RenderTask(project, replace(job, priority=LOWEST_PRIORITY), clock.most_s, take)
                async with aclosing(self._drawn_anew(task, clock, stored, lost)) as updates:
                    async for update in updates:
                        yield update

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self.waiting >= self.max_waiting:
            raise VerificationsFull(waiting=self.waiting, limit=self.max_waiting)
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def _renderer_is_up(self) -> None:
        """Return once the renderer can draw, for it may only be about to start. Raises ``RendererDown``."""
        until_s = asyncio.get_running_loop().time() + self.patience_s
        while True:
            try:
                return await self.renderer.check()
            except RendererDown:
                if not self.start_renderer():
                    raise RendererDown(cause="it is not installed here") from None
                if asyncio.get_running_loop().time() >= until_s:
                    raise
            await asyncio.sleep(LOOK_S)

    async def _stored(self, key: str) -> tuple[KeyframeFile | None, str]:
        """Return what the stored file tells of itself, or why it cannot be read."""
        try:
            return await self.files.told_by(await self.files.read(key)), ""
        except (Absent, Damaged) as error:
            return None, str(error)

    async def _drawn_anew(
        self, task: RenderTask, clock: AttemptClock, stored: KeyframeFile | None, lost: str
    ) -> AsyncGenerator[Step | Verification, None]:
        job = task.job
        try:
            async with aclosing(self._drawn(task, clock)) as updates:
                async for update in updates:
                    if isinstance(update, Picture):
                        drawn = await self._file(task, update)
                        yield compared(job, stored, drawn) if stored else compared_to_lost(job, lost, drawn)
                        return
                    yield update
        except (Absent, Damaged) as error:
            owner = whose(str(error), stored.manifest if stored else {})
            yield cannot(job, f"input: {error}" + (f"; it was {owner}" if owner else ""))
        except (Invalid, WrongState, RenderCrashed) as error:
            yield cannot(job, f"renderer: {error}")

    async def _file(self, task: RenderTask, picture: Picture) -> KeyframeFile:
        return await self.files.told_by(await self.files.encoded(task, picture, self.renderer.name))

    async def _drawn(self, task: RenderTask, clock: AttemptClock) -> AsyncGenerator[Step | Picture, None]:
        """Yield what the renderer yields, until the picture."""
        async with aclosing(self.renderer.render(task)) as updates:  # type: ignore[type-var]
            while True:
                try:
                    async with asyncio.timeout_at(clock.until_s):
                        update = await anext(updates, None)
                except TimeoutError:
                    raise clock.over() from None
                clock.begin()
                if update is None:
                    raise PictureMissing(renderer=self.renderer.name)
                yield update
                if isinstance(update, Picture):
                    return
