"""What a render leaves as it was: characters of a refused list, the newest keyframes, work that was handed in."""

import asyncio
from pathlib import Path

import grpc
import pytest
from PIL import Image

from continuity.api.characters.v1.character_service_pb2 import CreateCharacterRequest
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.cli.film.cast import bring_in
from continuity.client import ContinuityClient
from continuity.client.shotlist import Character, Film, ShotList
from tests.unit.cli.conftest import SHOT_LIST, Run
from tests.unit.client.studio import Studio

WARD = "{name: Ward, photo: ward.png, description: launch director}"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def keyframes(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "keyframes").iterdir())


@pytest.mark.parametrize(("content", "why"), [(b"film: {}", "of an unknown kind"), (b"", "is empty")])
def test_a_photo_that_is_none_costs_no_character(
    run: Run, shot_list: Path, photo: Path, out: Path, studio: Studio, content: bytes, why: str
) -> None:
    run("render", shot_list, "--out", out)
    photo.write_bytes(content)
    ended = run("render", shot_list, "--out", out)
    assert (ended.code, list(studio.characters), studio.calls["DeleteCharacter"]) == (2, ["character-1"], 0)
    column = SHOT_LIST.splitlines()[2].index("ward.png") + 1
    assert f"{shot_list}:3:{column}: characters[0].photo: photo" in ended.err
    assert why in ended.err


def test_a_photo_of_one_character_that_is_none_leaves_all_others_as_they_are(
    run: Run, shot_list: Path, photo: Path, tmp_path: Path, out: Path, studio: Studio
) -> None:
    run("render", shot_list, "--out", out)
    Image.new("RGB", (64, 64), (1, 2, 3)).save(photo)
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:60])
    shot_list.write_text(SHOT_LIST.replace(WARD, f"{WARD}\n  - {{name: Odile, photo: cut.png}}"))
    ended = run("render", shot_list, "--out", out)
    assert (ended.code, studio.calls["DeleteCharacter"], studio.calls["CreateCharacter"]) == (2, 0, 1)
    assert "characters[1].photo: photo is cut off" in ended.err


def test_every_picture_that_is_none_is_told_with_the_lists_other_mistakes(
    run: Run, shot_list: Path, photo: Path, tmp_path: Path, out: Path, studio: Studio
) -> None:
    photo.write_text("none")
    (tmp_path / "sketch.png").write_text("none")
    shots = SHOT_LIST.replace("close-up", "close-upp").replace("a launch pad", "a launch pad, photo: sketch.png")
    shot_list.write_text(shots.replace("duration_s: 4", "render: {sampler: eulr, source: {image: sketch.png}}"))
    problems = run("render", shot_list, "--out", out, "--json").json["error"]["problems"]
    assert [each["path"] for each in problems] == [
        "characters[0].photo",
        "locations[0].photo",
        "scenes[0].shots[0].render.sampler",
        "scenes[0].shots[1].shot_type",
    ]
    assert not studio.characters


def test_who_makes_a_character_anew_is_told_what_that_means_for_other_films(
    run: Run, shot_list: Path, photo: Path, out: Path
) -> None:
    run("render", shot_list, "--out", out)
    Image.new("RGB", (64, 64), (1, 2, 3)).save(photo)
    said = run("render", shot_list, "--out", out).err
    assert "every film of this project that names Ward has the new one from now on (CONTINUITY_PROJECT" in said


def test_a_character_that_cannot_be_made_leaves_no_other_amid_being_made_anew(
    run: Run, shot_list: Path, tmp_path: Path, out: Path, studio: Studio
) -> None:
    for number in range(4):
        Image.new("RGB", (64, 64), (number, 2, 3)).save(tmp_path / f"{number}.png")
    more = "".join(f"\n  - {{name: N{number}, photo: {number}.png}}" for number in range(4))
    shot_list.write_text(SHOT_LIST.replace(WARD, WARD + more))
    studio.faults["CreateCharacter"] = [grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT]
    run("render", shot_list, "--out", out)
    asked = [each for each in studio.requests if isinstance(each, CreateCharacterRequest)]
    assert {each.name for each in asked} == {"Ward", "N0", "N1", "N2", "N3"}


async def test_who_interrupts_while_a_character_is_made_anew_loses_none(address: str, photo: Path) -> None:
    def film(description: str) -> ShotList:
        return ShotList(Film("f", "noir"), (Character("Ward", photo, description=description),), (), ())

    async with ContinuityClient(address) as client:
        await bring_in(client, film("young"), lambda _: None)
        deleted, delete = asyncio.Event(), client.characters.delete

        async def deleting(id: str) -> None:
            await delete(id)
            deleted.set()

        client.characters.delete = deleting  # type: ignore[method-assign]
        work = asyncio.create_task(bring_in(client, film("old"), lambda _: None))
        await deleted.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert (await client.characters.get("Ward")).description == "old"


@pytest.mark.parametrize("also", [(), ("--priority", 3), ("--within", "30m")])
def test_a_plain_render_answers_with_the_newest_of_a_list(
    run: Run, shot_list: Path, out: Path, studio: Studio, also: tuple[object, ...]
) -> None:
    run("render", shot_list, "--out", out)
    run("render", shot_list, "--out", out, "--again", *also)
    newest = run("render", shot_list, "--out", out, "--again", *also, "--json").json
    assert run("render", shot_list, "--out", out, "--json").json == newest
    assert {shot["submission_id"] for shot in newest["shots"]} == {"submission-2"}


def test_what_failed_when_rendered_anew_is_rendered_by_a_plain_command(
    run: Run, shot_list: Path, out: Path, studio: Studio
) -> None:
    run("render", shot_list, "--out", out)
    studio.failing_shots.add(("1", 2))
    assert run("render", shot_list, "--out", out, "--again", "--within", "5m").code == 1
    studio.failing_shots.clear()
    ended = run("render", shot_list, "--out", out, "--json")
    assert [shot["submission_id"] for shot in ended.json["shots"]] == ["submission-1", "submission-2", "submission-1"]
    last = [each for each in studio.requests if isinstance(each, SubmitShotsRequest)][-1]
    assert not last.HasField("time_to_live")


def test_another_projects_list_is_not_answered_with_the_newest_of_this_one(
    run: Run, shot_list: Path, out: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run("render", shot_list, "--out", out, "--no-wait", "--json").json
    run("render", shot_list, "--out", out, "--again")
    monkeypatch.setenv("CONTINUITY_PROJECT", "other")
    assert run("render", shot_list, "--out", out, "--no-wait", "--json").json["submission_id"] == first["submission_id"]


def test_a_note_of_the_newest_that_is_damaged_is_none(
    run: Run, shot_list: Path, out: Path, tmp_path: Path, studio: Studio
) -> None:
    run("render", shot_list, "--out", out)
    run("render", shot_list, "--out", out, "--again")
    (note,) = (tmp_path / "home" / "renewed").iterdir()
    note.write_bytes(b"\xff\xff")
    assert run("render", shot_list, "--out", out, "--json").json["submission_id"] == "submission-0"


def test_a_home_that_cannot_be_written_costs_no_keyframe(run: Run, shot_list: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    ended = run("render", shot_list, "--out", out, "--again")
    assert ended.code == 0
    assert f"a plain render of this list will answer with an earlier submission ({tmp_path / 'home'}" in ended.err


def test_the_keyframe_of_an_earlier_run_is_put_aside_when_its_shot_fails(
    run: Run, shot_list: Path, out: Path, studio: Studio
) -> None:
    run("render", shot_list, "--out", out, "--images", 2)
    assert len(keyframes(out)) == 6
    (out / "keyframes" / "mine.png").touch()
    studio.failing_shots.add(("1", 2))
    ended = run("render", shot_list, "--out", out, "--again")
    assert keyframes(out) == ["1-01.png", "2-01.png", "mine.png"]
    aside = ["1-01-take2.png", "1-02-take2.png", "1-02.png", "2-01-take2.png"]
    assert sorted(path.name for path in (out / "earlier").iterdir()) == aside
    assert f"put aside in {out / 'earlier'}: " in ended.err


def test_nothing_is_put_aside_when_every_shot_succeeds(run: Run, shot_list: Path, out: Path) -> None:
    for _ in range(2):
        assert "put aside" not in run("render", shot_list, "--out", out, "--again").err
    assert not (out / "earlier").exists()


@pytest.mark.parametrize(
    ("also", "said"), [((), "and the same command goes"), (("--again",), "and the same command without --again goes")]
)
def test_when_the_services_go_it_is_said_that_nothing_is_lost(
    run: Run, shot_list: Path, out: Path, studio: Studio, also: tuple[str, ...], said: str
) -> None:
    studio.faults = {"DownloadKeyframe": [grpc.StatusCode.UNAVAILABLE] * 15}
    ended = run("render", shot_list, "--out", out, *also)
    assert ended.code == 4
    assert f"what was handed in is kept, {said} on from there" in ended.err
    studio.faults.clear()
    assert run("render", shot_list, "--out", out).code == 0
    assert len(studio.submissions) == 1


def test_only_jobs_that_are_not_finished_are_said_to_be_on_their_way(
    run: Run, shot_list: Path, out: Path, studio: Studio
) -> None:
    run("render", shot_list, "--out", out, "--no-wait")
    run("jobs", "watch", "submission-0-job-0")
    said = run("render", shot_list, "--out", out, "--no-wait").out
    assert said.startswith("2 of 3 jobs are on their way, the others are finished\n")
