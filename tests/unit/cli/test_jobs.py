import json
from pathlib import Path

import pytest

from continuity.api.rendering.v1.job_pb2 import JOB_STATE_READY
from tests.unit.cli.conftest import Run
from tests.unit.client.fakes import CANCELLED
from tests.unit.client.studio import Studio


@pytest.fixture
def submission(run: Run, shot_list: Path, tmp_path: Path) -> str:
    return str(run("render", shot_list, "--out", tmp_path / "out", "--no-wait", "--json").json["submission_id"])


def test_jobs_are_listed(run: Run, submission: str) -> None:
    lines = run("jobs", "list").out.splitlines()
    assert len(lines) == 4
    assert lines[2].split()[:4] == ["1", "2", "close-up", "requested"]
    jobs = run("jobs", "list", "--submission", submission, "--json").json["jobs"]
    assert [job["shot"]["shot_type"] for job in jobs] == ["establishing", "close-up", "wide"]


def test_the_list_has_a_limit_and_a_state(run: Run, submission: str) -> None:
    assert len(run("jobs", "list", "--limit", 1, "--json").json["jobs"]) == 1
    assert run("jobs", "list", "--state", "failed").out == "no jobs\n"
    assert run("jobs", "list", "--state", "faild").code == 2


def test_watching_ends_when_all_are_finished(run: Run, submission: str) -> None:
    ended = run("jobs", "watch", "--submission", submission)
    assert (ended.code, ended.out) == (0, "3 succeeded\n")
    assert ended.err.splitlines() == ["[1/3] 1-1 succeeded", "[2/3] 1-2 succeeded", "[3/3] 2-1 succeeded"]


def test_steps_are_told_without_a_terminal(run: Run, submission: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("continuity.cli.film.progress.EVERY_S", 0)
    ended = run("jobs", "watch", f"{submission}-job-1")
    assert ended.err.splitlines() == ["[0/1] 1-2 step 1/2", "[1/1] 1-2 succeeded"]


def test_watching_what_has_finished_counts_all_of_it(run: Run, submission: str) -> None:
    run("jobs", "watch", f"{submission}-job-1")
    ended = run("jobs", "watch", "--submission", submission)
    assert [line.split()[0] for line in ended.err.splitlines()] == ["[1/3]", "[2/3]", "[3/3]"]


def test_watching_a_failure_ends_with_1(run: Run, submission: str, studio: Studio) -> None:
    studio.failing_shots.add(("1", 2))
    ended = run("jobs", "watch", f"{submission}-job-1", "--json")
    assert ended.code == 1
    assert [job["failure"]["reason"] for job in ended.json["jobs"]] == ["RENDERER_FAILED"]
    *steps, end = map(json.loads, ended.err.splitlines())
    assert [(line["step"], line["steps"]) for line in steps] == [(1, 2)]
    assert (end["state"], end["failure"], end["finished"], end["total"]) == ("failed", "the renderer gave up", 1, 1)


def test_a_failed_job_is_shown_with_the_reason(run: Run, submission: str, studio: Studio) -> None:
    studio.failing_shots.add(("1", 2))
    run("jobs", "watch", "--submission", submission)
    shown = run("jobs", "show", f"{submission}-job-1").out
    assert "RENDERER_FAILED: the renderer gave up" in shown


def test_no_line_of_a_table_ends_with_blanks(run: Run, submission: str) -> None:
    for out in (run("jobs", "list").out, run("jobs", "show", f"{submission}-job-1").out):
        assert out == "".join(f"{line.rstrip()}\n" for line in out.splitlines())


def test_a_slip_in_the_name_of_a_variable_is_told(run: Run, submission: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTINUITY_PROJET", "noir")
    ended = run("jobs", "list", "--json")
    assert "did you mean CONTINUITY_PROJECT?" in ended.err
    assert len(ended.json["jobs"]) == 3


def test_a_finished_job_is_shown_with_prompt_and_keyframe(run: Run, submission: str) -> None:
    run("jobs", "watch", "--submission", submission)
    shown = run("jobs", "show", f"{submission}-job-1")
    assert "prompt of Ward waits." in shown.out
    assert "previz 1" in shown.out
    assert "render 0.25 s" in shown.out
    assert run("jobs", "show", f"{submission}-job-1", "--json").json["keyframe"]["seed"] == 7


def test_a_shown_job_tells_where_its_keyframe_is_once_it_is_rendered(run: Run, submission: str) -> None:
    assert run("jobs", "show", f"{submission}-job-1", "--json").json["image_url"] is None
    run("jobs", "watch", "--submission", submission)
    url = run("jobs", "show", f"{submission}-job-1", "--json").json["image_url"]
    assert url == f"https://cdn/{submission}-job-1.png"
    assert url in run("jobs", "show", f"{submission}-job-1").out


def test_a_job_is_cancelled(run: Run, submission: str, studio: Studio) -> None:
    ended = run("jobs", "cancel", f"{submission}-job-0", "--json")
    assert [job["state"] for job in ended.json["jobs"]] == ["cancelled"]
    assert studio.jobs[f"{submission}-job-0"].state == CANCELLED


def test_cancelling_a_finished_job_ends_with_5(run: Run, submission: str) -> None:
    run("jobs", "watch", "--submission", submission)
    assert run("jobs", "cancel", f"{submission}-job-0").code == 5


def test_cancelling_a_submission_leaves_finished_jobs_alone(run: Run, submission: str) -> None:
    run("jobs", "watch", f"{submission}-job-0")
    assert run("jobs", "cancel", "--submission", submission).out == "cancelled 2\n"


def test_cancelling_again_counts_no_job_twice(run: Run, submission: str) -> None:
    run("jobs", "cancel", f"{submission}-job-0")
    again = run("jobs", "cancel", f"{submission}-job-0", f"{submission}-job-1")
    assert (again.code, again.out) == (0, "cancelled 1, 1 had been before\n")


def test_a_job_that_is_not_there_ends_with_3(run: Run) -> None:
    assert run("jobs", "show", "none").code == 3


@pytest.mark.parametrize("command", ["list", "cancel", "watch"])
def test_a_submission_that_is_not_there_ends_with_3(run: Run, command: str) -> None:
    ended = run("jobs", command, "--submission", "nope", "--json")
    assert (ended.code, ended.json["error"]["reason"]) == (3, "SUBMISSION_MISSING")
    assert ended.json["error"]["metadata"] == {"submission_id": "nope"}


def test_a_submission_without_jobs_in_the_state_is_no_error(run: Run, submission: str) -> None:
    ended = run("jobs", "list", "--submission", submission, "--state", "failed")
    assert (ended.code, ended.out) == (0, "no jobs\n")


@pytest.mark.parametrize("arguments", [(), ("job", "--submission", "submission")])
@pytest.mark.parametrize("command", ["watch", "cancel"])
def test_jobs_or_a_submission_must_be_given(run: Run, command: str, arguments: tuple[str, ...]) -> None:
    ended = run("jobs", command, *arguments)
    assert ended.code == 2
    assert "give either jobs or --submission" in ended.err


def test_a_job_shows_its_place_its_deadline_and_why_its_last_attempt_failed(
    run: Run, submission: str, studio: Studio
) -> None:
    job = studio.jobs[f"{submission}-job-0"]
    job.state, job.queue_position, job.attempts = JOB_STATE_READY, 1_000, 1
    job.expire_time.FromJsonString("2030-01-02T03:04:05Z")
    job.last_failure.message = "no space left"
    shown = run("jobs", "show", job.id).out
    assert "ready (1000 or more ahead)" in shown
    assert "no space left" in shown
    assert "2030-01-02T03:04:05Z" in shown


def test_a_job_that_is_not_drawn_yet_tells_for_which_renderer_it_stands_in_line(
    run: Run, submission: str, studio: Studio
) -> None:
    job = studio.jobs[f"{submission}-job-0"]
    job.state, job.renderer = JOB_STATE_READY, "sdxl"
    assert "ready for sdxl" in run("jobs", "show", job.id).out


def test_the_reason_of_a_failure_is_shown_once(run: Run, submission: str, studio: Studio) -> None:
    job = studio.jobs[f"{submission}-job-0"]
    job.failure.message = job.last_failure.message = "no space left"
    assert run("jobs", "show", job.id).out.count("no space left") == 1
