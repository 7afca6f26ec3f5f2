"""Project, time limit, size limit, and the count of what is in flight."""

import asyncio

import grpc
import pytest

from continuity.api.rendering.v1 import render_service_pb2 as pb
from continuity.rpc import calls
from continuity.rpc.calls import current_project
from continuity.rpc.server import MAX_MESSAGE_BYTES


@pytest.fixture
def projects(served):
    """Record the project of every call, across an await, as handlers see it."""
    seen = []

    async def note(request, context):
        await asyncio.sleep(0)
        seen.append(current_project())
        return pb.GetJobResponse()

    served.servicer.unary = note
    return seen


async def test_a_call_without_a_project_belongs_to_the_default_one(served, projects):
    await served.get()
    assert projects == ["default"]


async def test_a_call_belongs_to_the_project_that_it_names(served, projects):
    await asyncio.gather(*(served.get(metadata=[("x-continuity-project", f"film-{n}")]) for n in range(20)))
    assert sorted(projects) == sorted(f"film-{number}" for number in range(20))
    await served.get()
    assert projects[-1] == "default"


@pytest.mark.parametrize("project", ["", "Film", "a/b", "-a", "a" * 64, "a b", "../x"])
async def test_a_project_that_is_no_name_is_refused(served, projects, refused, project):
    refusal = await refused(served.get(metadata=[("x-continuity-project", project)]))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields[0][0] == "x-continuity-project"
    assert projects == []


async def test_a_stream_belongs_to_its_project_from_beginning_to_end(served):
    async def name_project(request, context):
        for _ in range(3):
            await asyncio.sleep(0)
            yield pb.WatchJobsResponse(job={"id": current_project()})

    served.servicer.streaming = name_project
    assert await served.watch(metadata=[("x-continuity-project", "noir")]) == ["noir"] * 3


async def test_a_unary_call_has_a_longest_time(served, refused, monkeypatch):
    monkeypatch.setattr(calls, "MAX_UNARY_S", 0.05)
    ended = asyncio.Event()

    async def forever(request, context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    served.servicer.unary = forever
    refusal = await refused(served.get())
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "CALL_TOO_LONG")
    await ended.wait()
    await served.in_flight(0)


async def test_the_callers_deadline_ends_the_handler(served):
    ended = asyncio.Event()

    async def forever(request, context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    served.servicer.unary = forever
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.get(timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await ended.wait()
    await served.in_flight(0)


async def test_calls_are_counted_while_they_run(served):
    gate = asyncio.Event()

    async def wait(request, context):
        await gate.wait()
        return pb.GetJobResponse()

    served.servicer.unary = wait
    running = [asyncio.ensure_future(served.get()) for _ in range(5)]
    await served.in_flight(5)
    gate.set()
    await asyncio.gather(*running)
    await served.in_flight(0)


async def test_failed_calls_are_no_longer_counted(served, refused, raising):
    served.servicer.unary = raising(RuntimeError())
    await refused(served.get())
    await refused(served.get(metadata=[("x-continuity-project", "!")]))
    await served.in_flight(0)


async def test_a_stream_that_waits_is_not_counted_once_its_caller_is_gone(served):
    ended = asyncio.Event()

    async def wait(request, context):
        try:
            yield pb.WatchJobsResponse()
            await asyncio.Event().wait()
        finally:
            ended.set()

    served.servicer.streaming = wait
    call = served.stub.WatchJobs(pb.WatchJobsRequest(job_ids=["j"]))
    await call.read()
    await served.in_flight(1)
    call.cancel()
    await ended.wait()
    await served.in_flight(0)


async def test_a_stream_that_sends_is_not_counted_once_its_caller_is_gone(served):
    ended = asyncio.Event()

    async def pour(request, context):
        try:
            while True:
                yield pb.WatchJobsResponse(job={"id": "x" * 100_000})
        finally:
            ended.set()

    served.servicer.streaming = pour
    call = served.stub.WatchJobs(pb.WatchJobsRequest(job_ids=["j"]))
    await call.read()
    await served.in_flight(1)
    call.cancel()
    async with asyncio.timeout(10):
        await ended.wait()
    await served.in_flight(0)


async def test_a_message_over_the_limit_is_refused_and_the_next_call_works(served):
    async def too_much(request, context):
        return pb.GetJobResponse(job={"id": "x" * (MAX_MESSAGE_BYTES + 1)})

    request = pb.SubmitShotsRequest(film="x" * (MAX_MESSAGE_BYTES + 1))
    small_channel = grpc.aio.insecure_channel(served.address)
    call = small_channel.unary_unary(
        "/continuity.api.rendering.v1.RenderService/SubmitShots",
        request_serializer=pb.SubmitShotsRequest.SerializeToString,
        response_deserializer=pb.SubmitShotsResponse.FromString,
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await small_channel.close()
    served.servicer.unary = too_much
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.get()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await served.in_flight(0)


async def test_a_method_that_nobody_serves_is_unimplemented(served):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.channel.unary_unary("/continuity.api.rendering.v1.RenderService/Nothing")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
