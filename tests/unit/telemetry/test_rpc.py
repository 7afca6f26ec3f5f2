import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
import pytest
import pytest_asyncio
from opentelemetry.trace import SpanKind, StatusCode

from continuity.api.rendering.v1 import render_service_pb2 as pb
from continuity.api.rendering.v1 import render_service_pb2_grpc as pb_grpc
from continuity.kernel.errors import Absent, Unavailable
from continuity.rpc.channel import open_channel
from continuity.rpc.server import RpcServer
from continuity.telemetry.names import CLIENT_CALLS, REASON, RENDER, RPC_STATUS, SERVER_CALLS
from continuity.telemetry.propagation import current_trace_id, current_traceparent
from continuity.telemetry.tracing import span

SERVICE = pb.DESCRIPTOR.services_by_name["RenderService"].full_name
GET = f"{SERVICE}/GetJob"
WATCH = f"{SERVICE}/WatchJobs"
ELSEWHERE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Servicer(pb_grpc.RenderServiceServicer):
    error: Exception | None = None
    seen: str | None = None

    async def GetJob(self, request: pb.GetJobRequest, context: Any) -> pb.GetJobResponse:
        self.seen = current_traceparent()
        if self.error:
            raise self.error
        return pb.GetJobResponse()

    async def WatchJobs(self, request: pb.WatchJobsRequest, context: Any) -> AsyncIterator[pb.WatchJobsResponse]:
        self.seen = current_traceparent()
        yield pb.WatchJobsResponse()
        if self.error:
            raise self.error
        if "endless" in request.job_ids:
            await asyncio.Event().wait()
        while "pouring" in request.job_ids:
            yield pb.WatchJobsResponse(job={"id": "x" * 100_000})


@pytest_asyncio.fixture
async def servicer() -> AsyncIterator[Any]:
    servicer: Any = Servicer()
    server = RpcServer("127.0.0.1:0")
    server.add(partial(pb_grpc.add_RenderServiceServicer_to_server, servicer), [SERVICE])
    servicer.address = await server.start()
    yield servicer
    await server.stop(0)


async def get(servicer: Any, **options: Any) -> None:
    async with open_channel(servicer.address) as channel:
        await pb_grpc.RenderServiceStub(channel).GetJob(pb.GetJobRequest(job_id="j"), **options)


async def spans_of(kept: Any, name: str, count: int = 2) -> dict[SpanKind, Any]:
    """The finished spans of a call by kind; a server may finish its own after the client."""
    async with asyncio.timeout(10):
        while len(found := [each for each in kept.finished if each.name == name]) < count:
            await asyncio.sleep(0.005)
    return {each.kind: each for each in found}


async def test_a_call_is_one_trace_from_client_to_server(kept: Any, servicer: Any) -> None:
    with span(RENDER):
        await get(servicer)
    spans = await spans_of(kept, GET)
    client, server, outer = spans[SpanKind.CLIENT], spans[SpanKind.SERVER], kept.span("render")
    assert client.parent.span_id == outer.context.span_id
    assert server.parent.span_id == client.context.span_id
    assert servicer.seen.split("-")[2] == f"{server.context.span_id:016x}"
    assert server.attributes[RPC_STATUS] == "OK"


async def test_a_stream_is_a_span_until_it_ends(kept: Any, servicer: Any) -> None:
    async with open_channel(servicer.address) as channel:
        stub = pb_grpc.RenderServiceStub(channel)
        assert len([each async for each in stub.WatchJobs(pb.WatchJobsRequest(job_ids=["j"]))]) == 1
        spans = await spans_of(kept, WATCH)
    assert spans[SpanKind.SERVER].parent.span_id == spans[SpanKind.CLIENT].context.span_id
    assert spans[SpanKind.CLIENT].attributes[RPC_STATUS] == "OK"


async def test_a_stream_that_is_left_is_cancelled_and_not_failed(
    kept: Any, servicer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with open_channel(servicer.address) as channel:
            call = pb_grpc.RenderServiceStub(channel).WatchJobs(pb.WatchJobsRequest(job_ids=["endless"]))
            async for _ in call:
                break
            call.cancel()
            spans = await spans_of(kept, WATCH)
    assert spans[SpanKind.SERVER].attributes[RPC_STATUS] == "CANCELLED"
    assert spans[SpanKind.SERVER].status.status_code is StatusCode.UNSET
    assert not caplog.records


async def test_a_stream_that_is_left_amid_a_write_is_cancelled_and_nothing_is_logged(
    kept: Any, servicer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with open_channel(servicer.address) as channel:
            call = pb_grpc.RenderServiceStub(channel).WatchJobs(pb.WatchJobsRequest(job_ids=["pouring"]))
            async for _ in call:
                break
            call.cancel()
            spans = await spans_of(kept, WATCH)
    assert spans[SpanKind.SERVER].attributes[RPC_STATUS] == "CANCELLED"
    assert not caplog.records


@pytest.mark.parametrize(
    ("error", "status", "reason", "servers_fault"),
    [
        (Absent(), "NOT_FOUND", "ABSENT", False),
        (Unavailable(), "UNAVAILABLE", "UNAVAILABLE", True),
        (ValueError("The Third Man"), "INTERNAL", "ValueError", True),
    ],
)
async def test_a_refusal_is_told_by_status_and_reason(
    kept: Any, servicer: Any, error: Exception, status: str, reason: str, servers_fault: bool
) -> None:
    servicer.error = error
    with pytest.raises(grpc.aio.AioRpcError):
        await get(servicer)
    spans = await spans_of(kept, GET)
    client, server = spans[SpanKind.CLIENT], spans[SpanKind.SERVER]
    assert (server.attributes[RPC_STATUS], server.attributes[REASON]) == (status, reason)
    assert (server.status.status_code is StatusCode.ERROR) == servers_fault
    assert client.status.status_code is StatusCode.ERROR
    assert "Third Man" not in server.to_json() + client.to_json()


async def test_calls_are_measured_on_both_sides(kept: Any, servicer: Any) -> None:
    await get(servicer)
    await spans_of(kept, GET)
    for metric in (CLIENT_CALLS, SERVER_CALLS):
        ((described, number),) = kept.points(metric)
        assert (described["rpc.method"], described[RPC_STATUS], number) == (GET, "OK", 1)


async def test_an_internal_error_is_told_and_logged_under_its_trace(
    kept: Any, servicer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    servicer.error = ValueError("broken")
    with pytest.raises(grpc.aio.AioRpcError) as caught, span(RENDER):
        trace_id = current_trace_id()
        await get(servicer)
    assert trace_id is not None
    assert trace_id in str(caught.value.details())
    assert trace_id in caplog.text


async def test_a_server_that_sends_nothing_passes_the_trace_on(servicer: Any) -> None:
    await get(servicer, metadata=(("traceparent", ELSEWHERE),))
    assert servicer.seen == ELSEWHERE
    await get(servicer)
    assert servicer.seen is None


@pytest.mark.parametrize("garbage", ["nonsense", "00-" + "f" * 4000 + "-1-1"])
async def test_a_malformed_traceparent_harms_no_call(kept: Any, servicer: Any, garbage: str) -> None:
    await get(servicer, metadata=(("traceparent", garbage),))
    assert len(await spans_of(kept, GET)) == 2
