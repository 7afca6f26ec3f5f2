from __future__ import annotations

from continuity.api.events.v1.render_events_pb2 import RenderRequested as RequestedMessage
from services.rendering.domain.job import REQUESTED, requested
from services.rendering.entrypoints.mapping import CODEC
from tests.unit.rendering.builders import job_in


def test_a_request_for_a_prompt_carries_the_jobs_deadline_in_its_payload_and_in_its_envelope():
    (event,) = CODEC.encode("film", [requested(job_in(REQUESTED, time_to_live=50.0))])
    assert RequestedMessage.FromString(event.payload).expire_time.ToJsonString() == "1970-01-01T00:02:30Z"
    assert event.headers["expirytime"] == "1970-01-01T00:02:30+00:00"


def test_a_job_that_may_take_for_ever_says_nothing_of_a_deadline():
    (event,) = CODEC.encode("film", [requested(job_in(REQUESTED))])
    assert not RequestedMessage.FromString(event.payload).HasField("expire_time")
    assert "expirytime" not in event.headers
