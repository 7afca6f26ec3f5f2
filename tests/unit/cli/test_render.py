import hashlib
import json
from pathlib import Path

import grpc
import pytest
from PIL import Image

from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.objects.port import ObjectDamaged
from tests.unit.cli.conftest import SHOT_LIST, Run
from tests.unit.client.studio import Studio


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def submitted(studio: Studio) -> list[SubmitShotsRequest]:
    return [request for request in studio.requests if isinstance(request, SubmitShotsRequest)]


def test_a_shot_list_becomes_keyframes_sheet_and_manifest(run: Run, shot_list: Path, out: Path) -> None:
    ended = run("render", shot_list, "--out", out)
    assert ended.code == 0
    assert sorted(path.name for path in (out / "keyframes").iterdir()) == ["1-01.png", "1-02.png", "2-01.png"]
    assert Image.open(out / "contact-sheet.png").width > 1000
    assert ended.out.splitlines()[0] == f"3 of 3 keyframes are in {out / 'keyframes'}"


def test_the_manifest_tells_what_was_rendered_from_what(run: Run, shot_list: Path, out: Path) -> None:
    run("render", shot_list, "--out", out)
    manifest = json.loads((out / "manifest.json").read_text())
    shot = manifest["shots"][1]
    png = (out / shot["file"]).read_bytes()
    assert (shot["scene"], shot["shot"], shot["seed"]) == ("1", 2, 7)
    assert (shot["sha256"], shot["size_bytes"]) == (hashlib.sha256(png).hexdigest(), len(png))
    assert (shot["prompt"], shot["negative_prompt"]) == ("prompt of Ward waits.", "blurry")
    assert shot["renderer"] == {"name": "previz", "version": "1"}
    assert manifest["totals"]["timings"]["render_s"] == pytest.approx(0.75)
    assert manifest["film"] == {"title": "Weather Hold", "style": "cinematic", "seed": 9}


def test_the_json_document_is_the_manifest_with_its_folder(run: Run, shot_list: Path, out: Path) -> None:
    ended = run("render", shot_list, "--out", out, "--json")
    assert ended.json == {"out": str(out), **json.loads((out / "manifest.json").read_text())}


def test_cast_and_words_reach_the_service(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    run("render", shot_list, "--out", out, "--priority", 7)
    request = submitted(studio)[0]
    assert (request.film, request.seed, request.priority) == ("Weather Hold", 9, 7)
    assert (request.width_px, request.height_px) == (1024, 576)
    shot = request.shots[1]
    assert list(shot.character_ids) == ["character-1"]
    assert shot.location_id == "location-0"
    assert (shot.shot_type, shot.camera_angle, shot.style) == (2, 3, "cinematic")


def test_style_and_seed_of_the_command_line_win(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    run("render", shot_list, "--out", out, "--style", "noir", "--seed", 11)
    request = submitted(studio)[0]
    assert {shot.style for shot in request.shots} == {"noir"}
    assert request.seed == 11


def test_an_unknown_style_is_refused_before_anything_is_made(
    run: Run, shot_list: Path, out: Path, studio: Studio
) -> None:
    ended = run("render", shot_list, "--out", out, "--style", "cinematik")
    assert ended.code == 2
    assert "did you mean 'cinematic'? the styles are cinematic, noir, " in ended.err
    assert ended.err.count("oil") == 1
    assert not studio.characters


def test_a_style_is_understood_however_it_is_spelled(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    run("render", shot_list, "--out", out, "--style", "Oil Painting")
    assert {shot.style for shot in submitted(studio)[0].shots} == {"oil_painting"}


def test_the_same_list_again_is_the_same_submission(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    first, second = (run("render", shot_list, "--out", out, "--json") for _ in range(2))
    assert first.json == second.json
    assert studio.calls["CreateCharacter"] == 1
    assert studio.calls["DownloadKeyframe"] == 3


def test_what_was_rendered_before_is_said_to_be_with_what_drew_it(run: Run, shot_list: Path, out: Path) -> None:
    first, second = (run("render", shot_list, "--out", out) for _ in range(2))
    assert "as rendered before" not in first.err
    assert "3 of 3 as rendered before, with previz 1; --again renders them anew" in second.err


def test_again_renders_anew(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    for _ in range(2):
        run("render", shot_list, "--out", out, "--again")
    assert len(studio.submissions) == 2


@pytest.mark.parametrize(
    "change", [("a launch pad", "a burnt pad"), ("The pad.", "The dark pad."), ("seed: 9", "seed: 8")]
)
def test_a_changed_list_is_another_submission(
    run: Run, shot_list: Path, out: Path, studio: Studio, change: tuple[str, str]
) -> None:
    run("render", shot_list, "--out", out)
    shot_list.write_text(SHOT_LIST.replace(*change))
    run("render", shot_list, "--out", out)
    assert len(studio.submissions) == 2


def test_a_changed_photograph_makes_the_character_anew_and_says_so(
    run: Run, shot_list: Path, photo: Path, out: Path, studio: Studio
) -> None:
    run("render", shot_list, "--out", out)
    Image.new("RGB", (64, 64), (1, 2, 3)).save(photo)
    ended = run("render", shot_list, "--out", out)
    assert "Ward: photograph changed, making the character anew" in ended.err
    assert (studio.calls["DeleteCharacter"], studio.calls["CreateCharacter"]) == (1, 2)
    assert len(studio.submissions) == 2


def test_a_character_of_another_command_is_taken_where_it_is_the_same(
    run: Run, shot_list: Path, photo: Path, out: Path, studio: Studio
) -> None:
    run("character", "add", "Ward", photo, "--description", "launch director")
    run("render", shot_list, "--out", out)
    assert studio.calls["CreateCharacter"] == 1


def test_a_failed_job_is_listed_with_its_reason_and_ends_with_1(
    run: Run, shot_list: Path, out: Path, studio: Studio
) -> None:
    studio.failing_shots.add(("1", 2))
    ended = run("render", shot_list, "--out", out)
    assert ended.code == 1
    assert ended.out.splitlines()[:2] == [
        f"2 of 3 keyframes are in {out / 'keyframes'}",
        "  1-2 failed: the renderer gave up  (job submission-0-job-1)",
    ]
    failed = json.loads((out / "manifest.json").read_text())["shots"][1]
    assert (failed["file"], failed["failure"]["reason"]) == (None, "RENDERER_FAILED")
    assert (out / "contact-sheet.png").is_file()


def test_only_what_failed_before_is_rendered_anew(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    studio.failing_shots.add(("1", 2))
    first = run("render", shot_list, "--out", out, "--json").json
    studio.failing_shots.clear()
    ended = run("render", shot_list, "--out", out, "--json")
    assert ended.code == 0
    assert "only what failed or was cancelled is rendered anew: 1-2" in ended.err
    kept, renewed, last = ended.json["shots"]
    assert [kept["job_id"], last["job_id"]] == [first["shots"][0]["job_id"], first["shots"][2]["job_id"]]
    assert (renewed["file"], renewed["submission_id"]) == ("keyframes/1-02.png", "submission-1")
    assert [shot.description for shot in submitted(studio)[-1].shots] == ["Ward waits."]


def test_what_was_rendered_anew_is_found_again(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    studio.failing_shots |= {("1", 2), ("2", 1)}
    run("render", shot_list, "--out", out)
    studio.failing_shots.remove(("1", 2))
    assert run("render", shot_list, "--out", out).code == 1
    studio.failing_shots.clear()
    third, fourth = (run("render", shot_list, "--out", out, "--json") for _ in range(2))
    assert third.json == fourth.json
    assert third.json["totals"]["succeeded"] == 3
    assert "rendered anew" not in fourth.err
    assert [len(each.jobs) for each in studio.submissions.values()] == [3, 2, 1]


def test_of_many_shots_that_are_rendered_anew_the_first_are_named(
    run: Run, shot_list: Path, out: Path, studio: Studio
) -> None:
    more = "".join(f"      - {{shot: {number}, shot_type: wide, description: d}}\n" for number in range(2, 13))
    shot_list.write_text(SHOT_LIST + more)
    run("render", shot_list, "--out", out, "--no-wait")
    run("jobs", "cancel", "--submission", "submission-0")
    said = run("render", shot_list, "--out", out, "--no-wait").err
    assert said.endswith("rendered anew: 1-1, 1-2, 2-1, 2-2, 2-3, 2-4, 2-5, 2-6, 2-7, 2-8 and 4 more\n")


def test_a_cancelled_shot_is_handed_in_anew_and_named_by_its_submission(
    run: Run, shot_list: Path, out: Path, studio: Studio
) -> None:
    run("render", shot_list, "--out", out, "--no-wait")
    run("jobs", "cancel", "submission-0-job-2")
    ended = run("render", shot_list, "--out", out, "--no-wait")
    assert "jobs cancel --submission submission-0" in ended.out
    assert "jobs cancel --submission submission-1" in ended.out


def test_a_character_that_another_command_adds_at_the_same_moment_is_taken(
    run: Run, shot_list: Path, photo: Path, out: Path, studio: Studio
) -> None:
    run("character", "add", "Ward", photo, "--description", "launch director")
    studio.faults["GetCharacter"] = [grpc.StatusCode.NOT_FOUND]
    assert run("render", shot_list, "--out", out).code == 0
    assert list(studio.characters) == ["character-1"]


def test_a_character_that_another_command_deletes_at_the_same_moment_is_made_anew(
    run: Run, shot_list: Path, photo: Path, out: Path, studio: Studio
) -> None:
    run("character", "add", "Ward", photo, "--description", "somebody else")
    studio.faults["DeleteCharacter"] = [grpc.StatusCode.NOT_FOUND]
    assert run("render", shot_list, "--out", out).code == 0
    assert [each.description for each in studio.characters.values()] == ["launch director"]


def test_a_name_that_stays_taken_ends_with_5(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    studio.faults["CreateCharacter"] = [grpc.StatusCode.ALREADY_EXISTS] * 9
    assert run("render", shot_list, "--out", out).code == 5
    assert studio.calls["CreateCharacter"] == 3


def test_without_waiting_the_jobs_are_handed_in_and_left(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    studio.hanging |= {"WatchJobs", "WatchCharacter"}
    ended = run("render", shot_list, "--out", out, "--no-wait")
    assert ended.code == 0
    assert "continuity jobs watch --submission submission-0" in ended.out
    assert not out.exists()


def test_all_problems_of_a_shot_list_come_with_file_line_and_column(run: Run, shot_list: Path, out: Path) -> None:
    shot_list.write_text(SHOT_LIST.replace("close-up", "close-upp").replace("[Ward]", "[Word]"))
    ended = run("render", shot_list, "--out", out)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 2
    assert all(line.startswith(f"{shot_list}:11:") for line in ended.err.splitlines())
    assert "did you mean 'close-up'?" in ended.err


def test_programs_get_the_problems_of_a_shot_list(run: Run, shot_list: Path, out: Path) -> None:
    shot_list.write_text(SHOT_LIST.replace("close-up", "close-upp").replace("[Ward]", "[Word]"))
    error = run("render", shot_list, "--out", out, "--json").json["error"]
    assert error["reason"] == "SHOT_LIST_INVALID"
    first, second = error["problems"]
    assert first == {
        "file": str(shot_list),
        "line": 11,
        "column": first["column"],
        "path": "scenes[0].shots[1].shot_type",
        "message": "unknown shot_type 'close-upp'",
        "suggestion": "close-up",
    }
    assert first["column"] == SHOT_LIST.splitlines()[10].index("close-up") + 1
    assert second["suggestion"] == "Ward"


def test_programs_get_the_file_that_cannot_be_written(run: Run, shot_list: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = run("render", shot_list, "--out", tmp_path / "file" / "out", "--json").json["error"]
    assert error["reason"] == "FILE_UNUSABLE"
    assert error["metadata"]["file"].startswith(str(tmp_path / "file"))


def test_a_shot_list_that_is_not_there_is_wrong_usage(run: Run, tmp_path: Path, out: Path) -> None:
    assert run("render", tmp_path / "none.yaml", "--out", out).code == 2


def test_a_folder_that_cannot_be_written_is_named(run: Run, shot_list: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run("render", shot_list, "--out", tmp_path / "file" / "out")
    assert ended.code == 2
    assert str(tmp_path / "file") in ended.err


def test_damaged_bytes_are_not_written(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    studio.damage = b"something else"
    ended = run("render", shot_list, "--out", out, "--json")
    assert ended.code == 1
    assert {shot["failure"]["reason"] for shot in ended.json["shots"]} == {"KEYFRAME_DAMAGED"}
    assert not (out / "keyframes").exists()


def test_a_keyframe_that_is_damaged_in_the_store_costs_no_other(
    run: Run, shot_list: Path, out: Path, studio: Studio
) -> None:
    studio.refusals = {"DownloadKeyframe": [ObjectDamaged("default/keyframes/ab.png")]}
    ended = run("render", shot_list, "--out", out)
    assert ended.code == 1
    manifest = json.loads((out / "manifest.json").read_text())
    (lost,) = (shot for shot in manifest["shots"] if shot["file"] is None)
    assert (lost["state"], lost["failure"]["reason"]) == ("damaged", "OBJECT_DAMAGED")
    kept = sorted(shot["file"] for shot in manifest["shots"] if shot is not lost)
    assert sorted(f"keyframes/{path.name}" for path in (out / "keyframes").iterdir()) == kept
    assert (manifest["totals"]["succeeded"], manifest["totals"]["damaged"]) == (2, 1)
    assert (out / "contact-sheet.png").is_file()
    name = f"{lost['scene']}-{lost['shot']}"
    first, told, hint, *_ = ended.out.splitlines()
    assert first == f"2 of 3 keyframes are in {out / 'keyframes'}"
    assert told == f"  {name} damaged: object default/keyframes/ab.png is damaged  (job {lost['job_id']})"
    assert hint == f"  the same command with --again renders every shot anew, {name} with them"


def test_progress_is_a_line_for_each_job_without_a_terminal(run: Run, shot_list: Path, out: Path) -> None:
    lines = run("render", shot_list, "--out", out).err.splitlines()
    assert lines[-3:] == ["[1/3] 1-1 succeeded", "[2/3] 1-2 succeeded", "[3/3] 2-1 succeeded"]
    assert "\x1b" not in "".join(lines)


def test_nobody_at_the_address_ends_with_4(
    run: Run, shot_list: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTINUITY_ADDRESS", "127.0.0.1:1")
    ended = run("render", shot_list, "--out", out)
    assert ended.code == 4
    assert ended.err.startswith("continuity: no service answers")


def test_an_interruption_of_the_network_is_sat_out(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    studio.faults = {"WatchJobs": [grpc.StatusCode.UNAVAILABLE], "SubmitShots": [grpc.StatusCode.UNAVAILABLE]}
    assert run("render", shot_list, "--out", out).code == 0
    assert len(studio.submissions) == 1


def test_the_demo_renders_the_example_and_says_what_to_try_next(
    run: Run, shot_list: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("continuity.cli.commands.demo.FILM", shot_list)
    ended = run("demo", "--out", out)
    assert ended.code == 0
    assert (out / "manifest.json").is_file()
    assert "continuity character list" in ended.err
    assert run("demo", "--out", out, "--json").json["totals"]["succeeded"] == 3


def test_a_demo_without_the_repository_ends_with_3(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("continuity.cli.commands.demo.FILM", tmp_path / "none.yaml")
    assert run("demo").code == 3


def test_shots_can_be_given_a_time_within_which_they_are_wanted(
    run: Run, shot_list: Path, tmp_path: Path, studio: Studio
) -> None:
    run("render", shot_list, "--out", tmp_path / "out", "--within", "30m", "--no-wait")
    run("render", shot_list, "--out", tmp_path / "out", "--no-wait")
    within, at_any_time = (each for each in studio.requests if isinstance(each, SubmitShotsRequest))
    assert within.time_to_live.seconds == 1_800
    assert not at_any_time.HasField("time_to_live")
    assert within.request_id != at_any_time.request_id


def test_a_time_that_is_none_ends_with_2_naming_it(run: Run, shot_list: Path, tmp_path: Path) -> None:
    ended = run("render", shot_list, "--out", tmp_path / "out", "--within", "soon")
    assert ended.code == 2
    assert "'soon' is no time from 1s to 7d" in ended.err
