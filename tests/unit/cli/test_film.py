import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from continuity.api.common.v1.shot_pb2 import Shot
from continuity.api.rendering.v1 import job_pb2
from continuity.api.rendering.v1.job_pb2 import Job, JobProgress
from continuity.api.rendering.v1.render_service_pb2 import WatchJobsResponse
from continuity.cli.film.board import Board, Stage
from continuity.cli.film.keyframes import Keyframes
from continuity.cli.film.progress import EVERY_S, progress
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


def console(screen: io.StringIO) -> Console:
    return Console(file=screen, force_terminal=True, width=100, markup=False, highlight=False, color_system=None)


def test_programs_get_a_line_for_each_step_and_each_end_even_at_a_terminal() -> None:
    screen = io.StringIO()
    output, board = Output(as_json=True), Board(2)
    output.notes = console(screen)
    with progress(output, board) as seen:
        for each in (
            update("a", job_pb2.JOB_STATE_RENDERING),
            step("a", 1),
            update("b", job_pb2.JOB_STATE_READY),
            step("a", 2),
            update("a", job_pb2.JOB_STATE_SUCCEEDED),
            update("b", job_pb2.JOB_STATE_CANCELLED),
        ):
            seen.advance(board.apply(each))
    told = [json.loads(line) for line in screen.getvalue().splitlines()]
    assert [(line["job_id"], line["state"], line["step"], line["steps"], line["finished"]) for line in told] == [
        ("a", "rendering", 1, 4, 0),
        ("a", "rendering", 2, 4, 0),
        ("a", "succeeded", None, None, 1),
        ("b", "cancelled", None, None, 2),
    ]
    assert {line["total"] for line in told} == {2}


def test_without_a_terminal_steps_are_told_every_few_seconds_and_no_more_often() -> None:
    heard, now_s = io.StringIO(), 0.0
    output, board = Output(as_json=False), Board(2)
    output.notes = Console(file=heard)

    def at(time_s: float, change: WatchJobsResponse) -> None:
        nonlocal now_s
        now_s = time_s
        seen.advance(board.apply(change))

    with progress(output, board, now=lambda: now_s) as seen:
        third = Shot(scene_id="1", shot_number=3)
        at(100, WatchJobsResponse(job=Job(id="a", shot=third)))
        for taken in (1, 2, 3):
            at(100 + taken * EVERY_S / 2, step("a", taken))
        at(103 + 2 * EVERY_S, step("a", 4))
        done = WatchJobsResponse(
            job=Job(id="a", shot=Shot(scene_id="1", shot_number=3), state=job_pb2.JOB_STATE_SUCCEEDED)
        )
        at(104 + 2 * EVERY_S, done)
        at(200, WatchJobsResponse(job=Job(id="b")))
    assert heard.getvalue().splitlines() == ["[0/2] 1-3 step 1/4", "[0/2] 1-3 step 3/4", "[1/2] 1-3 succeeded"]


def test_a_terminal_shows_the_steps_of_what_is_being_drawn() -> None:
    screen = io.StringIO()
    output, board = Output(as_json=False), Board(6)
    output.notes = console(screen)
    with progress(output, board) as seen:

        def shown(*updates: WatchJobsResponse) -> str:
            for each in updates:
                seen.advance(board.apply(each))
            begin = screen.tell()
            seen._bars.refresh()  # type: ignore[attr-defined]  # else ten times a second
            return screen.getvalue()[begin:]

        for id in "abcdef":
            shot = Shot(scene_id=id, shot_number=3)
            board.apply(WatchJobsResponse(job=Job(id=id, shot=shot, state=job_pb2.JOB_STATE_RENDERING)))
        assert "step" not in shown()
        assert "\na-3 step 3/4" in shown(step("a", 3))
        most = "a-3 step 3/4, b-3 step 1/4, c-3 step 1/4, d-3 step 1/4 and 2 more"
        assert most in shown(*(step(id, 1) for id in "bcdef"))
        assert "step" not in shown(*(update(id, job_pb2.JOB_STATE_SUCCEEDED) for id in "abcdef"))


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
