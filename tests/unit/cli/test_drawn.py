from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from continuity.api.rendering.v1.job_pb2 import Job
from continuity.cli.film.drawn import described, drawn
from continuity.cli.film.keyframes import Keyframes
from continuity.cli.film.manifest import manifest
from continuity.client.shotlist import Film
from tests.unit.cli.conftest import Run
from tests.unit.client.studio import Studio

PICTURE, MASK, WEIGHTS = "ab" * 32, "cd" * 32, "ef" * 32
OWN = {
    "renderer": "sdxl 2 sdxl 1234",
    "prompt": "Ward",
    "negative_prompt": "blurry",
    "seed": 7,
    "width_px": 64,
    "height_px": 36,
}
REQUEST = {
    "checkpoint": "sdxl",
    "prompt": "Ward, (red scarf:1.3)",
    "negative": "blurry, crowd",
    "steps": 12,
    "guidance": 6.0,
    "sampler": "dpmpp-2m",
    "schedule": "karras",
    "rescale": 0.0,
    "clip_skip": 0,
    "loras": [{"name": "film-grain", "scale": 0.5}],
    "hires": None,
    "refiner": None,
    "layout": {"kind": "img2img", "scale": 0.5},
    "references": [],
    "has_image": True,
    "strength": 0.6,
}
ENGINE = {
    "request": REQUEST,
    "weights": {"checkpoint": {"name": "sdxl", "sha256": WEIGHTS}},
    "pictures": {"image": PICTURE, "mask": MASK},
}


def keyframe(path: Path, text: str | None) -> Path:
    texts = PngImagePlugin.PngInfo()
    if text is not None:
        texts.add_itxt("continuity", text)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 36)).save(path, pnginfo=texts)
    return path


def told(tmp_path: Path, settings: Any) -> dict[str, Any] | None:
    return drawn(keyframe(tmp_path / "1-01.png", json.dumps(settings)))


def test_what_the_engine_was_asked_for_is_told_with_the_hashes_of_what_it_was_given(tmp_path: Path) -> None:
    found = told(tmp_path, OWN | {"engine": ENGINE})
    assert found
    assert (found["prompt"], found["negative_prompt"]) == ("Ward, (red scarf:1.3)", "blurry, crowd")
    assert found["checkpoint"] == {"name": "sdxl", "sha256": WEIGHTS}
    assert found["source"] == {"image_sha256": PICTURE, "mask_sha256": MASK, "strength": 0.6}
    assert (found["seed"], found["width_px"], found["height_px"]) == (7, 64, 36)
    for name in ("steps", "sampler", "schedule", "guidance", "clip_skip", "loras", "hires", "refiner", "layout"):
        assert found[name] == REQUEST[name]


def test_a_strength_without_a_picture_to_begin_with_is_no_source(tmp_path: Path) -> None:
    found = told(tmp_path, OWN | {"engine": {**ENGINE, "request": REQUEST | {"has_image": False}}})
    assert found
    assert found["source"] is None


def test_a_keyframe_of_previz_has_neither_steps_nor_sampler(tmp_path: Path) -> None:
    assert told(tmp_path, OWN | {"shot": {}}) == OWN


def test_a_person_reads_it_in_a_few_lines(tmp_path: Path) -> None:
    assert described(told(tmp_path, OWN | {"engine": ENGINE})) == {
        "prompt drawn": "Ward, (red scarf:1.3)",
        "negative drawn": "blurry, crowd",
        "drawn": "12 steps, dpmpp-2m karras, guidance 6.0, 64x36 px",
        "checkpoint": f"sdxl {WEIGHTS}",
        "loras": "film-grain 0.5",
        "layout": "img2img 0.5",
        "source": f"{PICTURE}, strength 0.6",
        "mask": MASK,
    }
    assert described(told(tmp_path, OWN)) == described(None) == {}


def test_a_shown_job_tells_it(
    run: Run, shot_list: Path, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    png = keyframe(tmp_path / "told.png", json.dumps(OWN | {"engine": ENGINE})).read_bytes()
    monkeypatch.setattr("tests.unit.client.fakes.keyframe_png", lambda *_: png)
    run("render", shot_list, "--out", tmp_path / "out")
    job = next(iter(studio.jobs))
    assert "12 steps, dpmpp-2m karras" in run("jobs", "show", job).out
    assert run("jobs", "show", job, "--json").json["drawn"]["checkpoint"]["sha256"] == WEIGHTS
    studio.damage = b"something else"
    assert run("jobs", "show", job, "--json").json["drawn"] is None


@pytest.mark.parametrize("text", [None, "", "[1]", "null", "{", "7"])
def test_a_file_that_does_not_tell_is_no_error(tmp_path: Path, text: str | None) -> None:
    assert drawn(keyframe(tmp_path / "1-01.png", text)) is None


def test_a_file_that_is_no_picture_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "1-01.png").write_bytes(b"no picture")
    assert drawn(tmp_path / "1-01.png") is None
    assert drawn(tmp_path / "none.png") is None


def test_the_films_manifest_tells_it_of_each_take(tmp_path: Path) -> None:
    job = Job(id="j")
    job.shot.scene_id, job.shot.shot_number = "1", 1
    for seed, name in enumerate(("1-01.png", "1-01-take2.png"), start=7):
        path = keyframe(tmp_path / "keyframes" / name, json.dumps(OWN | {"seed": seed}))
        take = job.takes.add(seed=seed)
        take.object.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    job.keyframe.CopyFrom(job.takes[0])
    (shot,) = manifest(Film("W", "cinematic"), "s", [job], Keyframes(tmp_path))["shots"]
    assert [take["drawn"] for take in shot["takes"]] == [OWN | {"seed": 7}, OWN | {"seed": 8}]
