"""One table from errors to what a caller sees."""

import logging
from dataclasses import dataclass

import grpc
import pytest

from continuity.api.common.v1 import shot_pb2
from continuity.api.rendering.v1 import render_service_pb2 as pb
from continuity.kernel import errors
from continuity.kernel.errors import ContinuityError, InvalidValue
from continuity.rpc.errors import STATUS, invalid_request, rich_status

SECRET = "mongodb://root:hunter2@store"
CATEGORIES = {
    errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Absent: grpc.StatusCode.NOT_FOUND,
    errors.Exists: grpc.StatusCode.ALREADY_EXISTS,
    errors.WrongState: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.Full: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Late: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.NotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    errors.Damaged: grpc.StatusCode.DATA_LOSS,
}


def shot(**changes):
    good = {"scene_id": "1", "shot_number": 1, "shot_type": shot_pb2.SHOT_TYPE_MEDIUM}
    return shot_pb2.Shot(**(good | changes))


def test_every_category_has_a_status_and_every_status_is_used_once():
    assert set(CATEGORIES) == {kind for kind in ContinuityError.__subclasses__() if kind.__module__ == errors.__name__}
    assert STATUS == CATEGORIES


@pytest.mark.parametrize(("category", "code"), CATEGORIES.items(), ids=[each.__name__ for each in CATEGORIES])
async def test_an_error_reaches_the_caller_with_its_status_reason_and_values(served, refused, raising, category, code):
    @dataclass(eq=False)
    class HTTPReelJammed2x(category):
        template = "reel {reel} jammed at {frame}"
        reel: str
        frame: int

    served.servicer.unary = raising(HTTPReelJammed2x(reel="B", frame=7))
    refusal = await refused(served.get())
    assert refusal.code is code
    assert refusal.text == "reel B jammed at 7"
    assert refusal.info.domain == "continuity"
    assert refusal.info.reason == "HTTP_REEL_JAMMED2X"
    assert dict(refusal.info.metadata) == {"reel": "B", "frame": "7"}


async def test_a_full_service_says_when_to_come_again(served, refused, raising):
    served.servicer.unary = raising(errors.Full())
    assert (await refused(served.get())).retry.retry_delay.seconds == 1


async def test_a_full_service_that_knows_better_says_so(served, refused, raising):
    error = errors.Full()
    error.retry_after_s = 17.25
    served.servicer.unary = raising(error)
    assert (await refused(served.get())).retry.retry_delay.ToMilliseconds() == 17_250


async def test_an_invalid_value_names_its_field(served, refused, raising):
    served.servicer.unary = raising(InvalidValue(field="shots[3].style", value="noire", limit="did you mean noir?"))
    refusal = await refused(served.get())
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == [("shots[3].style", "shots[3].style: 'noire' is not acceptable; did you mean noir?")]


async def test_rules_of_the_proto_are_named_by_path_all_at_once(served, refused):
    request = pb.SubmitShotsRequest(
        shots=[
            shot(scene_id="", shot_number=0),
            shot(),
            shot(character_ids=["a", "b" * 65]),
        ],
        priority=101,
        width_px=100,
    )
    refusal = await refused(served.stub.SubmitShots(request))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert {field for field, _ in refusal.fields} == {
        "shots[0].scene_id",
        "shots[0].shot_number",
        "shots[2].character_ids[1]",
        "priority",
        "width_px",
    }
    assert ("width_px", "must be 0 or a multiple of 8 from 256 to 2048") in refusal.fields
    assert refusal.info.reason == "INVALID_VALUE"
    assert refusal.info.metadata["field"] == refusal.fields[0][0]


async def test_an_unknown_enum_number_is_refused(served, refused):
    refusal = await refused(served.stub.SubmitShots(pb.SubmitShotsRequest(shots=[shot(shot_type=999)])))
    assert [field for field, _ in refusal.fields] == ["shots[0].shot_type"]


async def test_two_thousand_bad_shots_are_still_an_invalid_argument(served, refused):
    request = pb.SubmitShotsRequest(shots=[shot(scene_id="", shot_number=0) for _ in range(2_000)])
    refusal = await refused(served.stub.SubmitShots(request))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields[0][0] == "shots[0].scene_id"
    assert "more" in refusal.text


@pytest.mark.parametrize("text", ["x" * 100_000, "演员" * 50_000, "\n\0\r" * 1_000])
async def test_a_huge_value_does_not_hide_the_error(served, refused, raising, text):
    served.servicer.unary = raising(InvalidValue(field="film", value=text, limit="200 characters"))
    refusal = await refused(served.get())
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields[0][0] == "film"


def weight(status):
    """Return how many bytes of headers a status takes: text is percent-encoded, details are in base64."""
    text = sum(1 if 0x20 <= byte < 0x7F and byte != ord("%") else 3 for byte in status.message.encode())
    return text + status.ByteSize() * 4 / 3


@pytest.mark.parametrize("letter", ["x", "演", "🎬", "\n", "\udfff"])
async def test_whatever_is_said_of_an_error_fits_into_headers(served, refused, raising, letter):
    long = letter * 100_000

    @dataclass(eq=False)
    class ManyValues(InvalidValue):
        one: str = long
        two: str = long
        three: str = long
        four: str = long
        five: str = long

    error = ManyValues(field=long, value=long, limit=long)
    assert weight(rich_status(error)) < 7_500
    assert weight(invalid_request([(long, long)] * 100, long)) < 7_500
    served.servicer.unary = raising(error)
    refusal = await refused(served.get())
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MANY_VALUES")
    assert refusal.fields
    assert set(refusal.info.metadata) == {"field", "value", "limit", "one", "two", "three", "four", "five"}


async def test_what_nobody_foresaw_is_opaque_and_logged_under_its_trace_id(served, refused, raising, caplog):
    served.servicer.unary = raising(RuntimeError(SECRET))
    with caplog.at_level(logging.ERROR, "continuity"):
        refusal = await refused(served.get())
    trace_id = refusal.info.metadata["trace_id"]
    assert refusal.code is grpc.StatusCode.INTERNAL
    assert refusal.info.reason == "INTERNAL"
    assert SECRET not in refusal.text + str(refusal.info)
    (record,) = caplog.records
    assert trace_id in record.getMessage()
    assert SECRET in str(record.exc_info[1])


async def test_two_unforeseen_errors_have_two_trace_ids(served, refused, raising):
    served.servicer.unary = raising(KeyError("x"))
    ids = {(await refused(served.get())).info.metadata["trace_id"] for _ in range(2)}
    assert len(ids) == 2


async def test_a_stream_that_breaks_midway_delivers_what_it_had_and_the_error(served, refused):
    async def two_then_error(request, context):
        yield pb.WatchJobsResponse(job={"id": "1"})
        yield pb.WatchJobsResponse(job={"id": "2"})
        raise errors.WrongState

    served.servicer.streaming = two_then_error
    call = served.stub.WatchJobs(pb.WatchJobsRequest(job_ids=["j"]))
    assert [(await call.read()).job.id for _ in range(2)] == ["1", "2"]
    refusal = await refused(call.read())
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE")


async def test_a_time_limit_of_the_handlers_own_is_not_the_calls(served, refused, raising):
    async def too_late(request, context):
        yield pb.WatchJobsResponse()
        raise TimeoutError

    served.servicer.streaming, served.servicer.unary = too_late, raising(TimeoutError())
    for call in (served.watch(), served.get()):
        refusal = await refused(call)
        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")


async def test_a_stream_that_breaks_unforeseen_is_opaque(served, refused):
    async def broken(request, context):
        yield pb.WatchJobsResponse()
        raise RuntimeError(SECRET)

    served.servicer.streaming = broken
    refusal = await refused(served.watch())
    assert refusal.code is grpc.StatusCode.INTERNAL
    assert SECRET not in refusal.text + str(refusal.info)


async def test_a_stream_is_validated_before_it_begins(served, refused):
    refusal = await refused(served.stub.WatchJobs(pb.WatchJobsRequest(job_ids=["a", ""])).read())
    assert [field for field, _ in refusal.fields] == ["job_ids[1]"]


async def test_a_watch_of_nothing_is_refused(served, refused):
    refusal = await refused(served.stub.WatchJobs(pb.WatchJobsRequest()).read())
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "job_ids" in refusal.text


async def test_a_broken_rule_names_field_value_and_limit(served, refused):
    refusal = await refused(served.stub.SubmitShots(pb.SubmitShotsRequest(width_px=13, shots=[{}])))
    assert refusal.info.metadata["field"]
    assert {"field", "value", "limit"} <= set(refusal.info.metadata)
