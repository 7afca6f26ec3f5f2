"""How far the work is.

Bars and steps for people at a terminal; elsewhere a line for each finished job, and every few seconds one for the steps
in between; for programs a line of JSON for each step and each finished job.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from continuity.api.rendering.v1.job_pb2 import Job, JobState
from continuity.cli.film.board import Board, Drawing, Stage
from continuity.cli.output import Output
from continuity.wire.conversion import word

MOST_SHOWN = 4
"""Jobs whose steps fit into a line of a terminal."""
EVERY_S = 10.0
"""How often a line tells of steps where no job finishes: often enough to see that it goes on, in a log of hours too."""
_BARS = {Stage.CAST: "cast", Stage.PROMPT: "prompts", Stage.FRAME: "frames"}


class Progress(Protocol):
    """Shows what a board says."""

    def advance(self, finished: Job | None = None) -> None:
        """Show the board as it is now; ``finished`` is the job that has just finished."""
        ...


@contextmanager
def progress(
    output: Output, board: Board, *, saving: bool = False, now: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """Show progress on standard error while the context lasts; ``saving`` adds the stage of writing files.

    ``now`` is in seconds.
    """
    if output.as_json or not output.notes.is_terminal:
        yield _JsonLines(output, board) if output.as_json else _Lines(output, board, now)
        return
    columns = (TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with _StepsBelow(*columns, console=output.notes) as bars:
        yield _Bars(bars, board, saving=saving)


class _Lines:
    def __init__(self, output: Output, board: Board, now: Callable[[], float]) -> None:
        self._output = output
        self._board = board
        self._now = now
        self._told_at = now()

    def advance(self, finished: Job | None = None) -> None:
        if finished is not None:
            state = word(JobState.DESCRIPTOR, finished.state)
            why = f": {finished.failure.message}" if finished.HasField("failure") else ""
            self._tell(f"{_shot(finished)} {state}{why}")
        elif self._now() - self._told_at >= EVERY_S and (drawing := self._board.drawing()):
            self._tell(_steps(drawing))

    def _tell(self, what: str) -> None:
        self._told_at = self._now()
        self._output.note(f"[{self._board.finished()}/{self._board.total}] {what}")


class _JsonLines:
    """Each step once, and each job when it has finished; ``step`` and ``steps`` are null there."""

    def __init__(self, output: Output, board: Board) -> None:
        self._output = output
        self._board = board
        self._told: dict[str, Drawing] = {}

    def advance(self, finished: Job | None = None) -> None:
        told, self._told = self._told, {drawing.job.id: drawing for drawing in self._board.drawing()}
        for id, drawing in self._told.items():
            if told.get(id) != drawing:
                self._tell(drawing.job, "rendering", drawing.step, drawing.steps)
        if finished is not None:
            self._tell(finished, word(JobState.DESCRIPTOR, finished.state), None, None)

    def _tell(self, job: Job, state: str, step: int | None, steps: int | None) -> None:
        line = {
            "job_id": job.id,
            "scene": job.shot.scene_id,
            "shot": job.shot.shot_number,
            "state": state,
            "step": step,
            "steps": steps,
            "failure": job.failure.message or None,
            "finished": self._board.finished(),
            "total": self._board.total,
        }
        self._output.note(json.dumps(line, ensure_ascii=False))


class _StepsBelow(RichProgress):
    """Bars, and below them a line on what is being drawn."""

    steps = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        if self.steps:
            yield Text(self.steps, style="dim", overflow="ellipsis", no_wrap=True)


class _Bars:
    def __init__(self, bars: _StepsBelow, board: Board, *, saving: bool) -> None:
        self._bars = bars
        self._board = board
        self._stages: dict[Stage, TaskID] = {
            stage: bars.add_task(name, total=board.total or None) for stage, name in _BARS.items()
        }
        self._saving = bars.add_task("saved", total=board.total or None) if saving else None
        self._total = bars.add_task("total", total=100)
        self.advance()

    def advance(self, finished: Job | None = None) -> None:
        passed = {stage: self._board.passed(stage) for stage in self._stages}
        for stage, task in self._stages.items():
            self._bars.update(task, completed=int(passed[stage]), total=self._board.total)
        done = [*passed.values()]
        if self._saving is not None:
            done.append(self._board.saved)
            self._bars.update(self._saving, completed=self._board.saved, total=self._board.total)
        self._bars.update(
            self._total, completed=round(100 * sum(done) / len(done) / max(self._board.total, 1)), total=100
        )
        self._bars.steps = _steps(self._board.drawing())


def _steps(drawing: list[Drawing]) -> str:
    more = f" and {len(drawing) - MOST_SHOWN} more" if len(drawing) > MOST_SHOWN else ""
    told = ", ".join(f"{_shot(each.job)} step {each.step}/{each.steps}" for each in drawing[:MOST_SHOWN])
    return f"{told}{more}"


def _shot(job: Job) -> str:
    return f"{job.shot.scene_id}-{job.shot.shot_number}"
