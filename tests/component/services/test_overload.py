from __future__ import annotations

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status

from continuity.api.common.v1.shot_pb2 import SHOT_TYPE_MEDIUM, Shot
from continuity.api.rendering.v1 import job_pb2
from continuity.api.rendering.v1 import render_service_pb2 as pb
from services.rendering.settings import MAX_SUBMISSION

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"max_unfinished_jobs": 2 * MAX_SUBMISSION}


def shots(number: int, **fields: object) -> list[Shot]:
    return [
        Shot(scene_id="1", shot_number=place, shot_type=SHOT_TYPE_MEDIUM, **fields) for place in range(1, number + 1)
    ]


async def test_a_full_service_refuses_with_a_delay_keeps_what_it_accepted_and_takes_others_shots(crew_of):
    greedy, modest = crew_of("greedy"), crew_of("modest")
    accepted = await greedy.submit(*shots(MAX_SUBMISSION), request_id="take-1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await greedy.submit(*shots(1), request_id="take-2")
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    delay = RetryInfo()
    assert any(detail.Unpack(delay) for detail in rpc_status.from_call(caught.value).details)
    assert 1.0 <= delay.retry_delay.ToMilliseconds() / 1_000 <= 60.0
    again = await greedy.submit(*shots(MAX_SUBMISSION), request_id="take-1")
    assert [job.id for job in again] == [job.id for job in accepted]
    assert len(await modest.submit(*shots(1))) == 1


async def test_shots_that_nobody_draws_in_time_fail_with_the_reason(crew):
    request = pb.SubmitShotsRequest(shots=shots(2), time_to_live=Duration(seconds=1))
    jobs = (await crew.call("SubmitShots", request)).jobs
    assert [job.expire_time.seconds - job.create_time.seconds for job in jobs] == [1, 1]
    for job in jobs:
        failure = (await crew.job_becomes(job.id, job_pb2.JOB_STATE_FAILED)).failure
        assert (failure.reason, failure.metadata["time_to_live_s"]) == ("JOB_EXPIRED", "1.0")


@pytest.mark.parametrize("seconds", [0, 604_801, -1])
async def test_a_time_to_live_is_from_a_second_to_a_week(crew, seconds):
    request = pb.SubmitShotsRequest(shots=shots(1), time_to_live=Duration(seconds=seconds))
    refusal = await crew.refused("SubmitShots", request)
    assert (refusal.code, refusal.values["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, "time_to_live")
