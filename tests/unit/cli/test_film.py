import io
from pathlib import Path

import pytest
from rich.console import Console

from continuity.api.common.v1.shot_pb2 import Shot
from continuity.api.rendering.v1 import job_pb2
from continuity.api.rendering.v1.job_pb2 import Job, JobProgress
from continuity.api.rendering.v1.render_service_pb2 import WatchJobsResponse
from continuity.cli.film.board import Board, Stage
from continuity.cli.film.keyframes import Keyframes
from continuity.cli.film.progress import progress
from continuity.cli.film.submission import frame_size
from continuity.cli.output import Output


def update(id: str, state: job_pb2.JobState.ValueType) -> WatchJobsResponse:
    return WatchJobsResponse(job=Job(id=id, state=state))


def step(id: str, step: int) -> WatchJobsResponse:
    return WatchJobsResponse(progress=JobProgress(job_id=id, state=job_pb2.JOB_STATE_RENDERING, step=step, steps=4))


def test_a_job_finishes_once() -> None:
    board = Board(1)
    assert board.apply(update("a", job_pb2.JOB_STATE_REQUESTED)) is None
    assert board.apply(update("a", job_pb2.JOB_STATE_SUCCEEDED)) is not None
    assert board.apply(update("a", job_pb2.JOB_STATE_SUCCEEDED)) is None


def test_stages_count_the_jobs_that_have_them_behind() -> None:
    board = Board(4)
    states = ["WAITING_FOR_CAST", "REQUESTED", "READY", "SUCCEEDED"]
    for state in states:
        board.apply(update(state, job_pb2.JobState.Value(f"JOB_STATE_{state}")))
    assert [board.passed(stage) for stage in Stage] == [3, 2, 1]
    assert board.summary() == "1 waiting-for-cast, 1 requested, 1 ready, 1 succeeded"


def test_a_frame_that_is_being_drawn_counts_by_its_share() -> None:
    board = Board(1)
    board.apply(update("a", job_pb2.JOB_STATE_RENDERING))
    board.apply(step("a", 3))
    assert board.passed(Stage.FRAME) == 0.75
    board.apply(update("a", job_pb2.JOB_STATE_SUCCEEDED))
    assert board.passed(Stage.FRAME) == 1


def test_a_terminal_has_a_bar_for_each_stage_and_the_total() -> None:
    screen = io.StringIO()
    output, board = Output(as_json=False), Board(2)
    output.notes = Console(file=screen, force_terminal=True, width=100)
    with progress(output, board, saving=True) as seen:
        for each in ("a", "b"):
            seen.advance(board.apply(update(each, job_pb2.JOB_STATE_SUCCEEDED)))
            board.saved += 1
        seen.advance()
    last = screen.getvalue()
    assert all(name in last for name in ("cast", "prompts", "frames", "saved", "total"))
    assert "2/2" in last
    assert "100/100" in last


def test_json_has_lines_for_progress_even_at_a_terminal() -> None:
    screen = io.StringIO()
    output, board = Output(as_json=True), Board(1)
    output.notes = Console(
        file=screen, force_terminal=True, width=100, markup=False, highlight=False, color_system=None
    )
    with progress(output, board) as seen:
        seen.advance(board.apply(update("a", job_pb2.JOB_STATE_CANCELLED)))
    assert screen.getvalue() == "[1/1] -0 cancelled\n"


@pytest.mark.parametrize(
    ("scene", "number", "name"), [("1", 1, "1-01"), ("01", 1, "01-01"), ("1", 100, "1-100"), ("hangar", 3, "hangar-03")]
)
def test_a_file_is_named_after_its_scene_and_shot_alone(scene: str, number: int, name: str) -> None:
    job = Job(shot=Shot(scene_id=scene, shot_number=number))
    assert Keyframes(Path()).file(job) == f"keyframes/{name}.png"


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (None, (1024, 576)),
        ("16:9", (1024, 576)),
        ("1:1", (768, 768)),
        ("2.39:1", (1184, 496)),
        ("9:16", (576, 1024)),
        ("40:1", (2048, 256)),
    ],
)
def test_every_ratio_has_about_as_many_pixels(aspect: str | None, size: tuple[int, int]) -> None:
    assert frame_size(aspect) == size
