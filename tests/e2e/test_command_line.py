"""The command line as a user runs it, against the real runtime."""

from __future__ import annotations

import hashlib
import json
import subprocess
import uuid
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from PIL import Image

from tests.e2e import film
from tests.e2e.conftest import ROOT, Running, environment

pytestmark = [pytest.mark.triton, pytest.mark.slow]

PHOTOGRAPHS = ROOT / "examples" / "photographs"


def continuity(
    home: Path, *arguments: str | Path, expect: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [ROOT / "bin" / "continuity", *arguments],
        env={**environment(home, **variables), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == expect, f"{done.args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


class Joined(Protocol):
    """Runs a command against the running runtime, in a project of its own."""

    def __call__(self, *arguments: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def joined(embedded: Running, tmp_path: Path) -> Joined:
    project = f"cli-{uuid.uuid4().hex[:12]}"
    return partial(continuity, tmp_path / "home", address=embedded.address, project=project)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's output, from a home where nothing was."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "work").mkdir()
    done = subprocess.run(
        [ROOT / "bin" / "continuity", "demo"],
        env=environment(folder / "home"),
        cwd=folder / "work",
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "work" / "out" / "demo"


def test_the_demo_leaves_a_keyframe_for_every_shot_a_sheet_and_a_manifest(demo: Path) -> None:
    manifest = json.loads((demo / "manifest.json").read_text())
    assert len(manifest["shots"]) == 12
    for shot in manifest["shots"]:
        picture = demo / shot["file"]
        assert hashlib.sha256(picture.read_bytes()).hexdigest() == shot["sha256"]
        with Image.open(picture) as opened:
            assert opened.size == (1024, 576)
            assert opened.text["parameters"].startswith(shot["prompt"])
            assert json.loads(opened.text["continuity"])["seed"] == shot["seed"]
        assert shot["object_key"].endswith(f"{shot['sha256']}.png")
        assert shot["negative_prompt"]
        assert shot["renderer"]["name"] == "previz"
        assert shot["renderer"]["version"]
        assert shot["timings"]["render_s"] > 0
    with Image.open(demo / "contact-sheet.png") as sheet:
        assert sheet.width > 1000


def test_no_two_shots_of_the_film_are_the_same_picture(demo: Path) -> None:
    manifest = json.loads((demo / "manifest.json").read_text())
    assert len({shot["sha256"] for shot in manifest["shots"]}) == 12


def test_rendering_the_same_list_again_returns_the_same_jobs(joined: Joined, tmp_path: Path) -> None:
    shot_list = film.first_scene(".csv", tmp_path)
    first, second = (
        json.loads(joined("render", shot_list, "--out", tmp_path / "out", "--json").stdout) for _ in range(2)
    )
    assert len(first["shots"]) == 4
    assert [shot["job_id"] for shot in first["shots"]] == [shot["job_id"] for shot in second["shots"]]
    assert [shot["sha256"] for shot in first["shots"]] == [shot["sha256"] for shot in second["shots"]]


def test_a_style_on_the_command_line_changes_every_picture(joined: Joined, tmp_path: Path) -> None:
    shot_list = film.first_scene(".json", tmp_path)
    plain, noir = (
        json.loads(joined("render", shot_list, "--out", tmp_path / "out", "--json", *extra).stdout)
        for extra in ((), ("--style", "noir"))
    )
    assert not {shot["sha256"] for shot in plain["shots"]} & {shot["sha256"] for shot in noir["shots"]}


def test_a_shot_list_with_mistakes_is_refused_as_a_whole_with_places_and_suggestions(
    joined: Joined, tmp_path: Path
) -> None:
    wrong = tmp_path / "film.yaml"
    wrong.write_text(
        "film: {title: Wrong}\n"
        "locations:\n"
        "  - {name: Room, type: interior, description: an office}\n"
        "scenes:\n"
        "  - id: '1'\n"
        "    location: Rom\n"
        "    shots:\n"
        "      - {shot: 1, shot_type: close-upp, description: x, characters: [Nobody]}\n"
        "      - {shot: 1, shot_type: wide, description: y, mood: happyish}\n"
    )
    done = joined("render", wrong, "--out", tmp_path / "out", expect=2)
    for expected in ("film.yaml:6:15", "Room", "film.yaml:8:", "close-up", "Nobody", "film.yaml:9:"):
        assert expected in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_characters_are_added_shown_listed_and_deleted(joined: Joined) -> None:
    added = json.loads(joined("character", "add", "Ward", PHOTOGRAPHS / "grace_hopper.jpg", "--json").stdout)
    assert added["state"] == "ready"
    assert "Ward" in joined("character", "list").stdout
    joined("character", "add", "ward", PHOTOGRAPHS / "grace_hopper.jpg", expect=5)
    joined("character", "delete", "Ward")
    joined("character", "show", "Ward", expect=3)


def test_a_file_that_is_no_photograph_is_refused_naming_field_and_limit(joined: Joined, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    refused = joined("character", "add", "Ghost", tmp_path / "notes.png", expect=2)
    assert "photo" in refused.stderr
    assert "JPEG" in refused.stderr


def test_a_photograph_and_a_shot_list_nobody_wrote_code_for_render(joined: Joined, tmp_path: Path) -> None:
    """A location with a photograph, a figure that keeps its background, every time of day."""
    with Image.open(PHOTOGRAPHS / "eileen_collins.png") as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).convert("CMYK").save(tmp_path / "cmyk.jpg")
        picture.crop((300, 0, 512, 180)).resize((1272, 1080)).convert("RGB").save(tmp_path / "place.webp")
    times = ("dawn", "morning", "noon", "afternoon", "golden-hour", "dusk", "night")
    rows = "\n".join(
        f"      - {{shot: {number}, shot_type: medium, description: d, characters: [Flipped], time_of_day: {time}}}"
        for number, time in enumerate(times, start=1)
    )
    (tmp_path / "film.yaml").write_text(
        "film: {title: Other}\n"
        "characters: [{name: Flipped, photo: cmyk.jpg}]\n"
        "locations: [{name: Hall, type: interior, description: a museum hall, photo: place.webp}]\n"
        f"scenes:\n  - id: day\n    location: Hall\n    shots:\n{rows}\n"
    )
    done = json.loads(joined("render", tmp_path / "film.yaml", "--out", tmp_path / "out", "--json").stdout)
    assert len({shot["sha256"] for shot in done["shots"]}) == len(times)


def test_without_a_runtime_at_the_address_a_command_says_so_and_ends_with_four(tmp_path: Path) -> None:
    refused = continuity(tmp_path, "jobs", "list", expect=4, address="127.0.0.1:9")
    assert "127.0.0.1:9" in refused.stderr
    assert "Traceback" not in refused.stderr
