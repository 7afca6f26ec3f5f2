"""Options and uploaded pictures on their way in: through the real call, the real stores, without a renderer."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from grpc import StatusCode
from PIL import Image

from continuity.api.common.v1.shot_pb2 import Shot, ShotType
from continuity.api.rendering.v1.render_service_pb2 import (
    ListJobsRequest,
    SubmitShotsRequest,
    UploadSourceRequest,
    UploadSourceResponse,
)
from continuity.documents.port import Document
from continuity.objects.collector import Collector
from continuity.objects.references import DocumentReferences
from services.rendering.adapters.stored_jobs import JOBS
from services.rendering.adapters.stored_sources import FOLDER, SOURCES
from tests.component.services.conftest import Crew, encoded
from tests.component.services.test_bad_photographs import REFUSED, TAKEN
from tests.unit.rendering.fakes import SetClock
from tests.unit.security.pictures import picture

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = {
    "steps": (1, 150),
    "guidance": (0.0, 30.0),
    "rescale": (0.0, 1.0),
    "clip_skip": (0, 12),
    "images": (1, 8),
    "layout_strength": (0.0, 2.0),
    "identity_strength": (0.0, 1.0),
}


def shot(number: int = 1, **fields: Any) -> Shot:
    return Shot(scene_id="1", shot_number=number, shot_type=ShotType.SHOT_TYPE_WIDE, **fields)


def asking(*shots: Shot, **fields: Any) -> SubmitShotsRequest:
    return SubmitShotsRequest(film="W", shots=shots or (shot(),), **fields)


async def upload(crew: Crew, data: bytes) -> UploadSourceResponse:
    answer: UploadSourceResponse = await crew.call("UploadSource", UploadSourceRequest(picture=data))
    return answer


async def jobs_of(crew: Crew) -> int:
    return len((await crew.call("ListJobs", ListJobsRequest())).jobs)


@pytest.mark.parametrize("kind", TAKEN)
async def test_a_picture_is_kept_as_a_png_under_what_it_is_called(crew: Crew, kind: str) -> None:
    taken = await upload(crew, TAKEN[kind])
    (kept,) = await crew.objects()
    assert kept.key == f"{crew.project}/sources/{taken.sha256}.png"
    png = await crew.house.platform.objects.get(kept.key)
    with Image.open(io.BytesIO(png)) as opened:
        assert (opened.format, opened.size) == ("PNG", (taken.width_px, taken.height_px))
    assert await upload(crew, TAKEN[kind]) == taken


async def test_a_large_picture_is_kept_no_larger_than_anything_is_drawn(crew: Crew) -> None:
    taken = await upload(crew, encoded(picture(3000, 1500), "JPEG"))
    assert (taken.width_px, taken.height_px) == (2048, 1024)


@pytest.mark.parametrize("kind", [kind for kind in REFUSED if kind != "empty"])
async def test_a_bad_picture_is_refused_with_field_value_and_limit_and_leaves_nothing(crew: Crew, kind: str) -> None:
    data, reason = REFUSED[kind]
    refusal = await crew.refused("UploadSource", UploadSourceRequest(picture=data))
    assert (refusal.code, refusal.reason) == (StatusCode.INVALID_ARGUMENT, reason)
    assert refusal.values["field"] == "picture"
    assert not await crew.objects()


async def test_what_is_asked_for_is_frozen_in_the_job_and_asking_again_is_the_same(crew: Crew) -> None:
    source = {"image_sha256": (await upload(crew, TAKEN["bmp"])).sha256}
    request = asking(
        shot(1, options={"steps": 8}), shot(2), request_id="r", options={"sampler": "Heun", "source": source}
    )
    made = (await crew.call("SubmitShots", request)).jobs
    assert [(job.shot.options.steps, job.shot.options.sampler) for job in made] == [(8, "Heun"), (0, "Heun")]
    assert all(job.shot.options.source.image_sha256 == source["image_sha256"] for job in made)
    assert [job.id for job in (await crew.call("SubmitShots", request)).jobs] == [job.id for job in made]
    request.options.sampler = "Euler"
    assert (await crew.refused("SubmitShots", request)).code is StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"sampler": "eular"}, "sampler"),
        ({"schedule": "kerras"}, "schedule"),
        ({"source": {"image_sha256": "0" * 64}}, "source.image_sha256"),
    ],
    ids=str,
)
async def test_what_nothing_can_be_drawn_with_is_refused_before_anything_is_accepted(
    crew: Crew, options: dict[str, Any], field: str
) -> None:
    refusal = await crew.refused("SubmitShots", asking(shot(1), shot(2, options=options)))
    assert (refusal.code, refusal.values["field"]) == (StatusCode.INVALID_ARGUMENT, f"shots[1].options.{field}")
    refusal = await crew.refused("SubmitShots", asking(options=options))
    assert refusal.values["field"] == f"options.{field}"
    assert not await jobs_of(crew)


@pytest.mark.parametrize("name", LIMITS)
async def test_numbers_have_the_limits_that_the_engine_has(crew: Crew, name: str) -> None:
    low, high = LIMITS[name]
    layout = {} if name == "layout_strength" else {"layout_strength": 0.0}
    for place, value in enumerate((low, high)):
        await crew.call("SubmitShots", asking(options={**layout, "layout_guide": "depth", name: value}))
        assert await jobs_of(crew) == place + 1
    for value in (low - 1, high + 1):
        refusal = await crew.refused("SubmitShots", asking(options={name: value}))
        assert (refusal.code, refusal.values["field"]) == (StatusCode.INVALID_ARGUMENT, f"options.{name}")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"checkpoint": "../etc"}, "checkpoint"),
        ({"checkpoint": "a/b"}, "checkpoint"),
        ({"refiner": "a..b"}, "refiner"),
        ({"layout_guide": "x" * 201}, "layout_guide"),
        ({"loras": [{"name": ""}]}, "loras[0].name"),
        ({"loras": [{"name": "a", "scale": 4.5}]}, "loras[0].scale"),
        ({"loras": [{"name": "a"}] * 9}, "loras"),
        ({"hires": {"scale": 0.5}}, "hires.scale"),
        ({"hires": {"strength": float("nan")}}, "hires.strength"),
        ({"source": {"image_sha256": "A" * 64}}, "source.image_sha256"),
        ({"source": {"image_sha256": "0" * 64, "mask_sha256": "1"}}, "source.mask_sha256"),
        ({"guidance": float("nan")}, "guidance"),
        ({"guidance": float("inf")}, "guidance"),
    ],
    ids=str,
)
async def test_what_is_no_name_and_no_number_is_refused_by_its_path(
    crew: Crew, options: dict[str, Any], field: str
) -> None:
    refusal = await crew.refused("SubmitShots", asking(shot(options=options)))
    assert (refusal.code, refusal.values["field"]) == (StatusCode.INVALID_ARGUMENT, f"shots[0].options.{field}")


async def test_a_mask_of_another_size_is_refused(crew: Crew) -> None:
    image = await upload(crew, TAKEN["bmp"])
    mask = await upload(crew, encoded(picture(128, 256), "PNG"))
    source = {"image_sha256": image.sha256, "mask_sha256": mask.sha256}
    refusal = await crew.refused("SubmitShots", asking(options={"source": source}))
    assert refusal.values["field"] == "options.source.mask_sha256"
    assert "256×256" in refusal.message


async def test_what_another_project_has_uploaded_is_not_there(crew_of: Any) -> None:
    mine, theirs = crew_of(), crew_of()
    source = {"image_sha256": (await upload(theirs, TAKEN["bmp"])).sha256}
    refusal = await mine.refused("SubmitShots", asking(options={"source": source}))
    assert refusal.values["field"] == "options.source.image_sha256"


async def test_of_uploaded_pictures_those_that_a_shot_has_named_stay(crew: Crew) -> None:
    named = await upload(crew, TAKEN["bmp"])
    await upload(crew, encoded(Image.fromarray(np.full((64, 64, 3), 7, np.uint8)), "PNG"))
    await crew.call("SubmitShots", asking(options={"source": {"image_sha256": named.sha256}}))
    platform = crew.house.platform
    referred, clock = DocumentReferences(platform.documents, (SOURCES, "key")), SetClock(4e9)
    collector = Collector(platform.objects, FOLDER, referred, clock, grace_s=60.0)
    for _ in range(6):
        await collector.collect()
    assert [kept.key for kept in await crew.objects()] == [f"{crew.project}/sources/{named.sha256}.png"]


async def test_a_job_that_a_version_without_options_has_written_is_read(crew: Crew) -> None:
    (made,) = await crew.submit(shot())
    documents = crew.house.platform.documents
    stored = await documents.get(JOBS, crew.project, made.id)
    body = {name: value for name, value in stored.body.items() if name not in ("commercial", "more_takes")}
    body["shot"] = {name: value for name, value in stored.body["shot"].items() if name != "options"}
    await documents.insert(JOBS, Document(crew.project, "older", 0, {**body, "id": "older"}, ()), [], "")
    older = await crew.job("older")
    assert older.shot == made.shot
    assert not older.takes
