from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from continuity.api.characters.v1.character_service_pb2 import DeleteCharacterRequest
from continuity.api.common.v1 import shot_pb2
from continuity.api.locations.v1.location_service_pb2 import SaveLocationRequest
from continuity.api.prompts.v1.prompt_service_pb2 import GetPromptRequest
from continuity.api.rendering.v1 import job_pb2
from continuity.api.rendering.v1 import render_service_pb2 as pb
from continuity.rpc.channel import open_channel

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAITING, READY = job_pb2.JOB_STATE_WAITING_FOR_CAST, job_pb2.JOB_STATE_READY
FAILED, CANCELLED = job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED


def shot(number: int = 1, **fields: object) -> shot_pb2.Shot:
    wanted = {"scene_id": "1", "shot_number": number, "shot_type": shot_pb2.SHOT_TYPE_MEDIUM, **fields}
    return shot_pb2.Shot(**wanted)


async def test_a_shot_with_its_cast_gets_its_prompt_and_stands_in_the_queue(crew, grey):
    ward = await crew.ready("Ward", grey, description="tall")
    place = SaveLocationRequest(name="Pad Nine", type=shot_pb2.LOCATION_TYPE_EXTERIOR, weather=shot_pb2.WEATHER_RAIN)
    pad = (await crew.call("SaveLocation", place)).location
    (job,) = await crew.submit(shot(character_ids=[ward.id], location_id=pad.id, style="noir"), film="Pad Nine", seed=5)
    job = await crew.job_becomes(job.id, READY)
    assert [(one.name, one.version) for one in job.cast] == [("Ward", ward.version), ("Pad Nine", 1)]
    assert "tall" in job.prompt.text
    assert "wet" in job.prompt.text
    assert "".join(part.text for part in job.prompt.parts) == job.prompt.text
    prompt = await crew.call("GetPrompt", GetPromptRequest(job_id=job.id))
    assert prompt.prompt == job.prompt
    assert (job.film, job.attempts, job.HasField("keyframe")) == ("Pad Nine", 0, False)


async def test_a_shot_submitted_before_its_cast_is_ready_goes_on_when_it_is(crew, hopper):
    made = await crew.create("Grace", hopper, keep_background=True)
    (job,) = await crew.submit(shot(character_ids=[made.id]))
    job = await crew.job_becomes(job.id, READY)
    assert [member.name for member in job.cast] == ["Grace"]


async def test_a_frozen_character_may_be_deleted_without_harm(crew, grey):
    ward = await crew.ready("Ward", grey)
    (job,) = await crew.submit(shot(character_ids=[ward.id]))
    await crew.job_becomes(job.id, READY)
    await crew.call("DeleteCharacter", DeleteCharacterRequest(id=ward.id))
    assert (await crew.job(job.id)).state == READY


@pytest.mark.parametrize(
    ("fields", "field", "nearest"), [({"style": "noirr"}, "style", "noir"), ({"mood": "tence"}, "mood", "tense")]
)
async def test_a_shot_with_an_unknown_word_fails_naming_it_and_the_nearest(crew, fields, field, nearest):
    (job,) = await crew.submit(shot(**fields))
    failure = (await crew.job_becomes(job.id, FAILED)).failure
    assert failure.reason == "UNKNOWN_WORD"
    assert (failure.metadata["field"], failure.metadata["nearest"]) == (field, nearest)
    prompt = await crew.call("GetPrompt", GetPromptRequest(job_id=job.id))
    assert prompt.failure == failure


async def test_jobs_wait_in_the_order_of_priority_then_arrival_then_place(crew):
    batch = await crew.submit(shot(1), shot(2))
    later = await crew.submit(shot(1))
    urgent = await crew.submit(shot(1), shot(2), priority=9)
    wanted = [job.id for job in (*urgent, *batch, *later)]
    for job in wanted:
        await crew.job_becomes(job, READY)
    # Jobs of other projects stand in the same queue: the order counts, not the number.
    places = [(await crew.job(job)).queue_position for job in wanted]
    assert places == sorted(set(places))
    assert (await crew.job(urgent[0].id)).HasField("queue_position")


async def test_a_job_that_is_cancelled_in_the_queue_leaves_it(crew):
    jobs = await crew.submit(shot(1), shot(2), priority=50)
    for job in jobs:
        await crew.job_becomes(job.id, READY)
    before = (await crew.job(jobs[1].id)).queue_position
    cancelled = (await crew.call("CancelJob", pb.CancelJobRequest(job_id=jobs[0].id))).job
    assert cancelled.state == CANCELLED
    assert (await crew.job(jobs[1].id)).queue_position == before - 1
    assert not (await crew.job(jobs[0].id)).HasField("queue_position")
    again = (await crew.call("CancelJob", pb.CancelJobRequest(job_id=jobs[0].id))).job
    assert (again.state, again.update_time) == (CANCELLED, cancelled.update_time)


async def test_a_job_can_be_cancelled_while_it_waits_for_its_cast(crew):
    (job,) = await crew.submit(shot(character_ids=["nobody"]))
    assert job.state == WAITING
    await crew.call("CancelJob", pb.CancelJobRequest(job_id=job.id))
    assert (await crew.job(job.id)).state == CANCELLED
    refusal = await crew.refused("DownloadKeyframe", pb.DownloadKeyframeRequest(job_id=job.id))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "KEYFRAME_MISSING")


async def test_a_failed_job_cannot_be_cancelled(crew):
    (job,) = await crew.submit(shot(style="noirr"))
    await crew.job_becomes(job.id, FAILED)
    refusal = await crew.refused("CancelJob", pb.CancelJobRequest(job_id=job.id))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_FINISHED")


async def test_a_watch_of_a_submission_ends_when_all_its_jobs_have_ended(crew):
    jobs = await crew.submit(shot(1, style="noirr"), shot(2, character_ids=["nobody"]))
    watch = asyncio.create_task(crew.stream("WatchJobs", pb.WatchJobsRequest(submission_id=jobs[0].submission_id)))
    await crew.job_becomes(jobs[0].id, FAILED)
    assert not watch.done()
    await crew.call("CancelJob", pb.CancelJobRequest(job_id=jobs[1].id))
    states = {update.job.id: update.job.state for update in await watch if update.HasField("job")}
    assert states == {jobs[0].id: FAILED, jobs[1].id: CANCELLED}


async def test_the_same_request_again_returns_the_same_jobs_and_other_content_is_refused(crew):
    first = await crew.submit(shot(2), shot(1), request_id="take-1")
    again = await crew.submit(shot(2), shot(1), request_id="take-1")
    assert [job.id for job in again] == [job.id for job in first]
    assert [job.shot.shot_number for job in again] == [2, 1]
    request = pb.SubmitShotsRequest(shots=[shot(2)], request_id="take-1")
    refusal = await crew.refused("SubmitShots", request)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_REUSED")


async def test_eight_calls_of_one_request_at_once_make_its_jobs_once(crew):
    shots = [shot(number) for number in range(1, 31)]
    made = await asyncio.gather(*(crew.submit(*shots, request_id="take-1") for _ in range(8)))
    assert all([job.id for job in jobs] == [job.id for job in made[0]] for jobs in made)
    listed = await crew.call("ListJobs", pb.ListJobsRequest(page_size=500))
    assert len(listed.jobs) == 30


async def test_jobs_are_listed_newest_first_by_state_and_submission_and_page_by_page(crew):
    first = await crew.submit(shot(1, character_ids=["nobody"]), shot(2, character_ids=["nobody"]))
    newer = await crew.submit(shot(1, style="noirr"))
    await crew.job_becomes(newer[0].id, FAILED)
    seen, token = [], "first"
    while token:
        request = pb.ListJobsRequest(page_size=2, page_token=token if seen else "")
        page = await crew.call("ListJobs", request)
        seen += [job.id for job in page.jobs]
        token = page.next_page_token
    assert seen == [newer[0].id, first[0].id, first[1].id]
    waiting = await crew.call("ListJobs", pb.ListJobsRequest(state=WAITING))
    assert [job.id for job in waiting.jobs] == [first[0].id, first[1].id]
    of_one = await crew.call("ListJobs", pb.ListJobsRequest(submission_id=newer[0].submission_id))
    assert [job.id for job in of_one.jobs] == [newer[0].id]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"shots": []}, "shots"),
        ({"shots": [shot(1), shot(1)]}, "shots[1].shot_number"),
        ({"shots": [shot(0)]}, "shots[0].shot_number"),
        ({"shots": [shot(1, scene_id="a/b")]}, "shots[0].scene_id"),
        ({"shots": [shot(1, shot_type=0)]}, "shots[0].shot_type"),
        ({"shots": [shot(1, shot_type=99)]}, "shots[0].shot_type"),
        ({"shots": [shot(1, character_ids=["a", "a"])]}, "shots[0].character_ids"),
        ({"shots": [shot(1)], "width_px": 1001}, "width_px"),
        ({"shots": [shot(1)], "height_px": 4096}, "height_px"),
        ({"shots": [shot(1)], "priority": 101}, "priority"),
    ],
)
async def test_a_bad_submission_is_refused_by_its_field_and_leaves_no_job(crew, fields, field):
    refusal = await crew.refused("SubmitShots", pb.SubmitShotsRequest(**fields))
    assert (refusal.code, refusal.values["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    assert not (await crew.call("ListJobs", pb.ListJobsRequest())).jobs


async def test_a_renderer_that_is_down_is_said_by_its_own_name_and_stops_no_submission(crew, house):
    async with open_channel(house.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        renderer = await health.Check(health_pb2.HealthCheckRequest(service="continuity.renderer"))
        whole = await health.Check(health_pb2.HealthCheckRequest())
    assert renderer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert whole.status == health_pb2.HealthCheckResponse.SERVING
    assert len(await crew.submit(shot(1))) == 1
