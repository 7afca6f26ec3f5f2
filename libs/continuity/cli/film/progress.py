"""How far the work is: bars for people at a terminal, a line for each finished job elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from continuity.api.rendering.v1.job_pb2 import Job, JobState
from continuity.cli.film.board import Board, Stage
from continuity.cli.output import Output
from continuity.wire.conversion import word

_BARS = {Stage.CAST: "cast", Stage.PROMPT: "prompts", Stage.FRAME: "frames"}


class Progress(Protocol):
    """Shows what a board says."""

    def advance(self, finished: Job | None = None) -> None:
        """Show the board as it is now; ``finished`` is the job that has just finished."""
        ...


@contextmanager
def progress(output: Output, board: Board, *, saving: bool = False) -> Iterator[Progress]:
    """Show progress on standard error while the context lasts; ``saving`` adds the stage of writing files."""
    if output.as_json or not output.notes.is_terminal:
        yield _Lines(output, board)
        return
    columns = (TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with RichProgress(*columns, console=output.notes) as bars:
        yield _Bars(bars, board, saving=saving)


class _Lines:
    def __init__(self, output: Output, board: Board) -> None:
        self._output = output
        self._board = board

    def advance(self, finished: Job | None = None) -> None:
        if finished is None:
            return
        state = word(JobState.DESCRIPTOR, finished.state)
        why = f": {finished.failure.message}" if finished.HasField("failure") else ""
        shot = f"{finished.shot.scene_id}-{finished.shot.shot_number}"
        self._output.note(f"[{self._board.finished()}/{self._board.total}] {shot} {state}{why}")


class _Bars:
    def __init__(self, bars: RichProgress, board: Board, *, saving: bool) -> None:
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
