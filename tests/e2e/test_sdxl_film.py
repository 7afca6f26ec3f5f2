"""A film by the diffusion engine, as a user makes it, with a model of random weights."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from continuity.api.common.v1.shot_pb2 import Shot, ShotType
from continuity.api.rendering.v1.job_pb2 import (
    JOB_STATE_CANCELLED,
    JOB_STATE_RENDERING,
    JOB_STATE_SUCCEEDED,
    Job,
)
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.api.rendering.v1.verification_pb2 import Verdict
from continuity.cli.runtime import read_record
from continuity.client import ContinuityClient
from engine import VERSION
from tests.e2e.conftest import ROOT, Running, environment, running
from tests.e2e.film import cast, finished, shots, submit

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

ADAPTERS = ("tiny-ip-adapter", "tiny-image-encoder")
MAKE = "import sys; from pathlib import Path; from engine.models.tiny.everything import make_tiny_catalogue as make"
SHOT_LIST = """\
film: {title: Weather Hold, style: cinematic, seed: 9}
locations:
  - {name: Pad Nine, type: exterior, description: a launch pad}
scenes:
  - id: 1
    location: Pad Nine
    shots:
      - {shot: 1, shot_type: wide, description: the pad in the rain}
      - {shot: 2, shot_type: insert, description: a clock that stands still}
"""
MOST_STEPS, MOST_IMAGES = 150, 8
MOST_PREVIEW_PX = 320
SETTINGS = {"renderer": "sdxl-tiny", "steps": "4", "engine_device": "cpu"}


def continuity(home: Path, *arguments: str | Path, expect: int = 0, **variables: str) -> str:
    """Run a command with ``SETTINGS`` and others; empty ones are not set."""
    given = SETTINGS | variables
    done = subprocess.run(
        [ROOT / "bin" / "continuity", *arguments],
        env={**environment(home, **{name: value for name, value in given.items() if value}), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == expect, f"{done.args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def rendered(folder: Path, **variables: str) -> list[dict[str, Any]]:
    """Return the manifest's shots of a film that was made on a home of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "film.yaml").write_text(SHOT_LIST)
    film = continuity(folder / "home", "render", folder / "film.yaml", "--out", folder / "out", "--json", **variables)
    made: list[dict[str, Any]] = json.loads(film)["shots"]
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("film")


@pytest.fixture(scope="module")
def film(folder: Path) -> list[dict[str, Any]]:
    """The first film on a home where nothing was, not even the model."""
    return rendered(folder)


def engine_facts(png: bytes) -> dict[str, Any]:
    """Return what the engine has written into a keyframe."""
    with Image.open(BytesIO(png)) as opened:
        facts: dict[str, Any] = json.loads(opened.text["continuity"])["engine"]
    return facts


def test_the_first_film_generates_the_model_and_every_shot_has_its_keyframe(
    film: list[dict[str, Any]], folder: Path
) -> None:
    assert (folder / "home" / "models" / "sdxl-tiny" / "model.json").is_file()
    assert len({shot["sha256"] for shot in film}) == 2
    for shot in film:
        png = (folder / "out" / shot["file"]).read_bytes()
        assert hashlib.sha256(png).hexdigest() == shot["sha256"]
        assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).shape == (576, 1024, 3)
        request = engine_facts(png)["request"]
        assert (request["prompt"], request["seed"]) == (shot["prompt"], shot["seed"])
        assert request["layout"] == {"kind": "img2img", "scale": 0.5}


def test_a_keyframe_says_what_drew_it(film: list[dict[str, Any]]) -> None:
    assert {shot["renderer"]["name"] for shot in film} == {f"sdxl {VERSION} sdxl-tiny"}


def test_the_same_film_elsewhere_is_the_same_bytes(film: list[dict[str, Any]], folder: Path, tmp_path: Path) -> None:
    again = rendered(tmp_path, models=str(folder / "home" / "models"))
    assert [shot["sha256"] for shot in again] == [shot["sha256"] for shot in film]


def test_a_runtime_that_has_only_just_started_verifies_it(film: list[dict[str, Any]], folder: Path) -> None:
    while read_record(folder / "home"):
        time.sleep(0.1)
    told = json.loads(continuity(folder / "home", "verify", "--film", "Weather Hold", "--json"))
    assert [each["verdict"] for each in told["verifications"]] == ["same"] * len(film)


def test_another_number_of_steps_is_another_renderer(film: list[dict[str, Any]], folder: Path, tmp_path: Path) -> None:
    again = rendered(tmp_path, models=str(folder / "home" / "models"), steps="6")
    assert not {shot["sha256"] for shot in again} & {shot["sha256"] for shot in film}
    assert again[0]["renderer"]["version"] != film[0]["renderer"]["version"]


def test_a_checkpoint_of_few_steps_is_drawn_with_as_it_comes_and_the_layout_holds(tmp_path: Path) -> None:
    models = tmp_path / "models"
    make = (ROOT / ".venv-engine/bin/python", "-m", "engine.models")
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "libs"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([*make, "tiny", models / "sdxl-tiny"], env=env, check=True)
    subprocess.run([*make, "adopt", models / "sdxl-tiny", "sdxl-turbo", "--folder", models], env=env, check=True)
    film = rendered(tmp_path, renderer="sdxl", checkpoint="sdxl-turbo", models=str(models), steps="")
    for shot in film:
        request = engine_facts((tmp_path / "out" / shot["file"]).read_bytes())["request"]
        assert (request["sampler"], request["schedule"]) == ("euler-ancestral", "sgm-uniform")
        assert (request["steps"], request["guidance"]) == (2, 0.0)
        assert request["layout"] == {"kind": "img2img", "scale": 0.5}


def test_the_doctor_tells_what_draws(film: list[dict[str, Any]], folder: Path) -> None:
    told = {check["name"]: check for check in json.loads(continuity(folder / "home", "doctor", "--json"))["checks"]}
    assert told["renderer"]["found"] == "sdxl-tiny"
    assert told["diffusion engine"]["ok"]
    assert told["model sdxl-tiny"]["ok"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where ``runtime`` is at home."""
    return tmp_path_factory.mktemp("runtime")


@pytest.fixture(scope="module")
def runtime(film: list[dict[str, Any]], folder: Path, home: Path) -> Iterator[Running]:
    """A runtime whose models have an adapter for faces, and that tells a preview of every step."""
    models = folder / "home" / "models"
    subprocess.run(
        [ROOT / ".venv-engine/bin/python", "-c", f"{MAKE}; make(Path(sys.argv[1]), {ADAPTERS})", models],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "libs"), "HF_HUB_OFFLINE": "1"},
        check=True,
    )
    with running("services.embedded", home, **SETTINGS, models=str(models), preview_every="1") as runtime:
        yield runtime


async def test_a_persons_photograph_goes_along_with_where_the_person_stands(runtime: Running) -> None:
    async with ContinuityClient(runtime.address, f"film-{uuid.uuid4().hex[:8]}") as client:
        submitted = await submit(client, shots(*await cast(client), 2), "two")
        jobs = await finished(client, submitted.submission_id)
        for job in jobs.values():
            facts = engine_facts(await client.shots.download(job))
            (reference,) = facts["request"]["references"]
            assert (reference["adapter"], reference["mask"]) == ("tiny-ip-adapter", 0)


async def asked(client: ContinuityClient, name: str, priority: int = 0, **options: int) -> Job:
    """Hand in one shot without people; return its job."""
    shot = Shot(scene_id="1", shot_number=1, shot_type=ShotType.SHOT_TYPE_WIDE, description="an empty pad")
    request = SubmitShotsRequest(request_id=name, film=name, shots=[shot], priority=priority, options=options)
    (job,) = (await client.shots.submit(request)).jobs
    return job


async def drawing(client: ContinuityClient) -> Job:
    """Return the job of a shot of which steps are drawn, and of which many more are to be."""
    job = await asked(client, "long", steps=MOST_STEPS, images=MOST_IMAGES)
    async for update in client.shots.watch([job.id]):
        if update.progress.step:
            break
    return job


async def test_steps_and_previews_are_told_while_a_shot_is_drawn(runtime: Running) -> None:
    async with ContinuityClient(runtime.address, f"film-{uuid.uuid4().hex[:8]}") as client:
        job = await asked(client, "one", steps=20)
        told = [each.progress async for each in client.shots.watch([job.id], include_previews=True)]
    steps = [each.step for each in told if each.step]
    previews = [each.preview_jpeg for each in told if each.preview_jpeg]
    assert steps == sorted(steps)
    assert len(set(steps)) > 1
    assert previews
    for each in previews:
        with Image.open(BytesIO(each)) as opened:
            assert opened.format == "JPEG"
            assert 0 < opened.width <= MOST_PREVIEW_PX


async def test_an_urgent_shot_is_done_while_one_that_began_earlier_is_still_drawn(runtime: Running) -> None:
    async with ContinuityClient(runtime.address, f"film-{uuid.uuid4().hex[:8]}") as client:
        long = await drawing(client)
        urgent = await asked(client, "urgent", priority=90)
        assert [each async for each in client.shots.watch([urgent.id])][-1].job.state == JOB_STATE_SUCCEEDED
        assert (await client.shots.get(long.id)).state == JOB_STATE_RENDERING
        await client.shots.cancel(long.id)


async def test_a_shot_that_is_cancelled_at_the_terminal_is_drawn_no_further(runtime: Running, home: Path) -> None:
    project = f"film-{uuid.uuid4().hex[:8]}"
    async with ContinuityClient(runtime.address, project) as client:
        long = await drawing(client)
        cancel = partial(continuity, home, "jobs", "cancel", long.id, address=runtime.address, project=project)
        await asyncio.to_thread(cancel)
        urgent = await asked(client, "urgent", priority=90)
        assert [each async for each in client.shots.watch([urgent.id])][-1].job.state == JOB_STATE_SUCCEEDED
        assert json.loads((home / "engine-state.json").read_bytes())["requests"] == []
        assert (await client.shots.get(long.id)).state == JOB_STATE_CANCELLED


async def test_a_keyframe_that_is_drawn_anew_is_the_same_file(runtime: Running) -> None:
    async with ContinuityClient(runtime.address, f"film-{uuid.uuid4().hex[:8]}") as client:
        submitted = await submit(client, shots(*await cast(client), 1), "one")
        (job_id,) = await finished(client, submitted.submission_id)
        (verdict,) = [each.verification async for each in client.shots.verify(job_id) if each.HasField("verification")]
        assert verdict.verdict == Verdict.VERDICT_SAME, list(verdict.differences)


async def test_triton_and_the_services_draw_it_also_as_processes_of_their_own(
    film: list[dict[str, Any]], folder: Path, tmp_path: Path, processes: ExitStack
) -> None:
    settings = SETTINGS | {"models": str(folder / "home" / "models"), "identity": "off", "render_replicas": "2"}
    triton = processes.enter_context(running("services.embedded.triton", tmp_path, **settings))
    broker = processes.enter_context(running("services.embedded.broker", tmp_path))
    where = {"bootstrap_servers": broker.address, "triton_address": triton.address}
    processes.enter_context(running("services.prompts", tmp_path, **where))
    rendering = processes.enter_context(running("services.rendering", tmp_path, **settings, **where))
    async with ContinuityClient(rendering.address) as client:
        shot = Shot(
            scene_id="1", shot_number=1, shot_type=ShotType.SHOT_TYPE_WIDE, description="the clock stands still"
        )
        submitted = await submit(client, [shot], "one")
        (job,) = (await finished(client, submitted.submission_id)).values()
        png = await client.shots.download(job)
    assert job.keyframe.renderer == f"{film[0]['renderer']['name']} {film[0]['renderer']['version']}"
    assert engine_facts(png)["request"]["checkpoint"] == "sdxl-tiny"
