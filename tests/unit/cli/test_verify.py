from pathlib import Path

import pytest

from continuity.api.rendering.v1.render_service_pb2 import VerifyKeyframeRequest
from continuity.api.rendering.v1.verification_pb2 import VERDICT_CANNOT, VERDICT_DIFFERENT
from tests.unit.cli.conftest import Run
from tests.unit.client.studio import Studio


@pytest.fixture
def submission(run: Run, shot_list: Path, tmp_path: Path) -> str:
    return str(run("render", shot_list, "--out", tmp_path / "out", "--json").json["submission_id"])


def test_a_film_that_comes_out_again_ends_with_0(run: Run, submission: str) -> None:
    ended = run("verify", "--film", "Weather Hold")
    assert ended.code == 0
    assert [line.split()[:4] for line in ended.out.splitlines()[1:]] == [
        ["1", "1", "establishing", "same"],
        ["1", "2", "close-up", "same"],
        ["2", "1", "wide", "same"],
    ]


@pytest.mark.parametrize("verdict", [VERDICT_DIFFERENT, VERDICT_CANNOT])
def test_one_that_does_not_ends_with_1_and_names_what_differs(
    run: Run, submission: str, studio: Studio, verdict: int
) -> None:
    studio.verdicts[f"{submission}-job-1"] = {"verdict": verdict, "differences": ["renderer: previz 1 -> previz 2"]}
    ended = run("verify", "--submission", submission)
    assert ended.code == 1
    (line,) = (line for line in ended.out.splitlines() if "previz 1 -> previz 2" in line)
    assert line.split()[:3] == ["1", "2", "close-up"]


def test_jobs_are_verified_alone_and_told_to_programs(run: Run, submission: str, studio: Studio) -> None:
    studio.verdicts[f"{submission}-job-1"] = {"verdict": VERDICT_DIFFERENT, "stored_sha256": "aa"}
    ended = run("verify", f"{submission}-job-0", f"{submission}-job-1", "--json")
    assert ended.code == 1
    told = ended.json["verifications"]
    assert [each["verdict"] for each in told] == ["same", "different"]
    assert [each["job_id"] for each in told] == [f"{submission}-job-0", f"{submission}-job-1"]
    assert told[1]["stored_sha256"] == "aa"
    assert "1-2 different" in ended.err


def test_a_film_without_keyframes_has_none_to_verify(run: Run, shot_list: Path, tmp_path: Path) -> None:
    run("render", shot_list, "--out", tmp_path / "out", "--no-wait")
    ended = run("verify", "--film", "Weather Hold")
    assert (ended.code, ended.out) == (0, "no keyframes\n")


def test_a_film_a_submission_or_a_job_that_is_not_there_ends_with_3(run: Run, submission: str) -> None:
    assert run("verify", "--film", "Weather Helt").code == 3
    assert run("verify", "--submission", "none").code == 3
    assert run("verify", "none").code == 3


def test_a_job_without_a_keyframe_ends_with_5(run: Run, shot_list: Path, tmp_path: Path) -> None:
    left = run("render", shot_list, "--out", tmp_path / "out", "--no-wait", "--json").json
    assert run("verify", left["jobs"][0]["id"]).code == 5


@pytest.mark.parametrize(
    "arguments", [(), ("job", "--film", "A film"), ("--film", "A film", "--submission", "submission")]
)
def test_jobs_a_film_or_a_submission_must_be_given(run: Run, arguments: tuple[str, ...]) -> None:
    ended = run("verify", *arguments)
    assert ended.code == 2
    assert "give either jobs, --film or --submission" in ended.err


def test_every_take_of_a_shot_is_verified(run: Run, shot_list: Path, tmp_path: Path, studio: Studio) -> None:
    run("render", shot_list, "--out", tmp_path / "out", "--images", 2)
    ended = run("verify", "--film", "Weather Hold")
    assert [line.split()[1] for line in ended.out.splitlines()[1:]] == ["1", "1-take2", "2", "2-take2", "1", "1-take2"]
    asked = [
        (request.job_id[-1], request.take) for request in studio.requests if isinstance(request, VerifyKeyframeRequest)
    ]
    assert asked == [(job, take) for job in "012" for take in (0, 1)]
    told = run("verify", "--film", "Weather Hold", "--json").json["verifications"]
    assert [each["take"] for each in told] == [1, 2] * 3
