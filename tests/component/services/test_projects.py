from __future__ import annotations

import grpc
import pytest

from continuity.api.characters.v1 import character_service_pb2 as characters_pb
from continuity.api.common.v1 import shot_pb2
from continuity.api.locations.v1 import location_service_pb2 as locations_pb
from continuity.api.matting.v1.matting_service_pb2 import GetMatteRequest
from continuity.api.prompts.v1.prompt_service_pb2 import GetPromptRequest, GetVocabularyRequest
from continuity.api.rendering.v1 import job_pb2
from continuity.api.rendering.v1 import render_service_pb2 as render_pb
from continuity.api.vision.v1.vision_service_pb2 import GetAnalysisRequest
from tests.component.services.conftest import Crew

pytestmark = pytest.mark.asyncio(loop_scope="module")

INTERIOR, EXTERIOR = shot_pb2.LOCATION_TYPE_INTERIOR, shot_pb2.LOCATION_TYPE_EXTERIOR
SHOT = shot_pb2.Shot(scene_id="1", shot_number=1, shot_type=shot_pb2.SHOT_TYPE_WIDE)


async def saved(crew: Crew, name: str = "Pad Nine", **fields: object) -> object:
    request = locations_pb.SaveLocationRequest(**{"name": name, "type": EXTERIOR, **fields})
    return (await crew.call("SaveLocation", request)).location


async def test_what_belongs_to_another_project_is_not_found_in_any_call(crew_of, grey):
    ours, others = crew_of(), crew_of()
    ward = await ours.ready("Ward", grey)
    pad = await saved(ours)
    (job,) = await ours.submit(SHOT)
    await ours.job_becomes(job.id, job_pb2.JOB_STATE_READY)
    calls = [
        ("GetCharacter", characters_pb.GetCharacterRequest(id=ward.id)),
        ("GetCharacter", characters_pb.GetCharacterRequest(id="Ward")),
        ("WatchCharacter", characters_pb.WatchCharacterRequest(id=ward.id)),
        ("DeleteCharacter", characters_pb.DeleteCharacterRequest(id=ward.id)),
        ("GetAnalysis", GetAnalysisRequest(character_id=ward.id)),
        ("GetMatte", GetMatteRequest(character_id=ward.id)),
        ("GetLocation", locations_pb.GetLocationRequest(id=pad.id)),
        ("DeleteLocation", locations_pb.DeleteLocationRequest(id="Pad Nine")),
        ("GetPrompt", GetPromptRequest(job_id=job.id)),
        ("GetJob", render_pb.GetJobRequest(job_id=job.id)),
        ("CancelJob", render_pb.CancelJobRequest(job_id=job.id)),
        ("WatchJobs", render_pb.WatchJobsRequest(job_ids=[job.id])),
        ("WatchJobs", render_pb.WatchJobsRequest(submission_id=job.submission_id)),
        ("DownloadKeyframe", render_pb.DownloadKeyframeRequest(job_id=job.id)),
    ]
    for method, request in calls:
        assert (await others.refused(method, request)).code == grpc.StatusCode.NOT_FOUND, method
    assert not (await others.call("ListCharacters", characters_pb.ListCharactersRequest())).characters
    assert not (await others.call("ListLocations", locations_pb.ListLocationsRequest())).locations
    assert not (await others.call("ListJobs", render_pb.ListJobsRequest(submission_id=job.submission_id))).jobs
    assert (await ours.character(ward.id)).id == ward.id
    assert (await ours.job(job.id)).state == job_pb2.JOB_STATE_READY


async def test_another_projects_character_cannot_be_cast(crew_of, grey):
    ward = await crew_of().ready("Ward", grey)
    shot = shot_pb2.Shot(character_ids=[ward.id])
    shot.MergeFrom(SHOT)
    (job,) = await crew_of().submit(shot)
    assert job.state == job_pb2.JOB_STATE_WAITING_FOR_CAST


async def test_two_projects_may_use_the_same_names_and_request_ids(crew_of, grey):
    ours, others = crew_of(), crew_of()
    first, other = [await crew.create("Ward", grey, request_id="1") for crew in (ours, others)]
    assert first.id != other.id
    assert (await ours.submit(SHOT, request_id="1"))[0].id != (await others.submit(SHOT, request_id="1"))[0].id


@pytest.mark.parametrize("project", ["", "Film", "a_b", "../etc", "x" * 64])
async def test_a_project_that_is_no_name_is_refused(house, project):
    refusal = await Crew(house, project).refused("ListJobs", render_pb.ListJobsRequest())
    assert (refusal.code, refusal.values["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "x-continuity-project")


async def test_a_list_of_characters_is_read_page_by_page_in_the_order_of_ids(crew, grey):
    made = [await crew.create(f"Ward {number}", grey, keep_background=True) for number in range(7)]
    await crew.call("DeleteCharacter", characters_pb.DeleteCharacterRequest(id=made[3].id))
    wanted = sorted(one.id for one in made if one.id != made[3].id)
    seen, sizes, token = [], [], ""
    while not sizes or token:
        request = characters_pb.ListCharactersRequest(page_size=4, page_token=token)
        page = await crew.call("ListCharacters", request)
        seen += [one.id for one in page.characters]
        sizes.append(len(page.characters))
        token = page.next_page_token
    assert (seen, sizes) == (wanted, [4, 2])


async def test_pages_of_locations_are_full_though_some_were_deleted(crew):
    made = [await saved(crew, f"Pad {number}") for number in range(6)]
    ordered = sorted(one.id for one in made)
    for gone in ordered[:2]:
        await crew.call("DeleteLocation", locations_pb.DeleteLocationRequest(id=gone))
    page = await crew.call("ListLocations", locations_pb.ListLocationsRequest(page_size=3))
    assert [one.id for one in page.locations] == ordered[2:5]
    rest = await crew.call("ListLocations", locations_pb.ListLocationsRequest(page_token=page.next_page_token))
    assert ([one.id for one in rest.locations], rest.next_page_token) == (ordered[5:], "")


@pytest.mark.parametrize("method", ["ListCharacters", "ListLocations", "ListJobs"])
@pytest.mark.parametrize(
    ("fields", "field"),
    [({"page_token": "not ours"}, "page_token"), ({"page_size": -1}, "page_size"), ({"page_size": 501}, "page_size")],
)
async def test_a_bad_page_is_refused_by_its_field(crew, method, fields, field):
    module = {"ListCharacters": characters_pb, "ListLocations": locations_pb, "ListJobs": render_pb}[method]
    refusal = await crew.refused(method, getattr(module, f"{method}Request")(**fields))
    assert (refusal.code, refusal.values["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, field)


async def test_a_location_is_saved_changed_and_deleted(crew, grey):
    first = await saved(crew, time_of_day=shot_pb2.TIME_OF_DAY_DUSK, weather=shot_pb2.WEATHER_RAIN)
    assert (first.version, first.time_of_day, first.HasField("picture")) == (1, shot_pb2.TIME_OF_DAY_DUSK, False)
    changed = await saved(crew, "PAD NINE", type=INTERIOR, photo=grey)
    assert (changed.id, changed.version, changed.type) == (first.id, 2, INTERIOR)
    assert changed.HasField("picture")
    assert changed.create_time == first.create_time
    assert (await crew.call("GetLocation", locations_pb.GetLocationRequest(id="pad nine"))).location == changed
    await crew.call("DeleteLocation", locations_pb.DeleteLocationRequest(id=first.id))
    refusal = await crew.refused("GetLocation", locations_pb.GetLocationRequest(id=first.id))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "LOCATION_MISSING")
    again = await saved(crew)
    assert (again.id, again.version) == (first.id, 4)


async def test_the_vocabulary_is_the_same_for_everybody_and_says_what_words_mean(crew):
    words = (await crew.call("GetVocabulary", GetVocabularyRequest())).words
    fields = {one.field for one in words}
    assert {"shot_type", "camera_angle", "composition", "lighting", "mood", "style", "weather"} <= fields
    assert {"close-up", "over-the-shoulder"} <= {one.word for one in words if one.field == "shot_type"}
    assert "ots" in next(one.aliases for one in words if one.word == "over-the-shoulder")
    assert len([one for one in words if one.field == "style"]) >= 14
