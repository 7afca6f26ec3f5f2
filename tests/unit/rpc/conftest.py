"""A server on a free port with one of our services, whose answers each test decides."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from continuity.api.rendering.v1 import render_service_pb2 as pb
from continuity.api.rendering.v1 import render_service_pb2_grpc as pb_grpc
from continuity.rpc.channel import open_channel
from continuity.rpc.server import RpcServer

MAX_CALLS = 20
SERVICE = pb.DESCRIPTOR.services_by_name["RenderService"].full_name


async def answers_nothing(request: Any, context: Any) -> Any:
    return pb.GetJobResponse()


@dataclass
class Refusal:
    """What a caller sees of an error."""

    code: grpc.StatusCode
    text: str
    info: error_details_pb2.ErrorInfo
    fields: list[tuple[str, str]]
    retry: error_details_pb2.RetryInfo | None = None


class Servicer(pb_grpc.RenderServiceServicer):
    """``GetJob`` and ``SubmitShots`` do what ``unary`` says, ``WatchJobs`` what ``streaming`` says."""

    unary: Callable[[Any, Any], Awaitable[Any]]
    streaming: Callable[[Any, Any], AsyncIterator[Any]]

    def __init__(self) -> None:
        self.unary = answers_nothing

    async def GetJob(self, request: pb.GetJobRequest, context: Any) -> Any:
        return await self.unary(request, context)

    async def SubmitShots(self, request: pb.SubmitShotsRequest, context: Any) -> Any:
        await self.unary(request, context)
        return pb.SubmitShotsResponse()

    async def WatchJobs(self, request: pb.WatchJobsRequest, context: Any) -> AsyncIterator[Any]:
        async for response in self.streaming(request, context):
            yield response


@dataclass
class Served:
    """A running server and a client of it."""

    server: RpcServer
    servicer: Servicer
    address: str
    channel: grpc.aio.Channel
    stub: Any = field(init=False)

    def __post_init__(self) -> None:
        self.stub = pb_grpc.RenderServiceStub(self.channel)

    async def get(self, **options: Any) -> pb.GetJobResponse:
        return await self.stub.GetJob(pb.GetJobRequest(job_id="j"), **options)

    async def watch(self, **options: Any) -> list[str]:
        return [each.job.id async for each in self.stub.WatchJobs(pb.WatchJobsRequest(job_ids=["j"]), **options)]

    async def in_flight(self, number: int) -> None:
        """Wait until so many calls are in flight."""
        async with asyncio.timeout(10):
            while self.server.calls.in_flight != number:
                await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    servicer = Servicer()
    server = RpcServer("127.0.0.1:0", max_calls=MAX_CALLS)
    server.add(partial(pb_grpc.add_RenderServiceServicer_to_server, servicer), [SERVICE])
    address = await server.start()
    async with open_channel(address) as channel:
        yield Served(server, servicer, address, channel)
    await server.stop(0)


@pytest.fixture
def refused() -> Callable[[Awaitable[Any]], Awaitable[Refusal]]:
    """Await a call that must fail and return what the caller sees."""

    async def read(call: Awaitable[Any]) -> Refusal:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        status = rpc_status.from_call(caught.value)
        assert status is not None, f"no rich status: {caught.value.details()}"
        info, request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), None
        for detail in status.details:
            detail.Unpack(info)
            detail.Unpack(request)
            if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                retry = error_details_pb2.RetryInfo()
                detail.Unpack(retry)
        fields = [(each.field, each.description) for each in request.field_violations]
        return Refusal(caught.value.code(), caught.value.details(), info, fields, retry)

    return read


def raising(error: Exception) -> Callable[[Any, Any], Awaitable[Any]]:
    async def run(request: Any, context: Any) -> Any:
        raise error

    return run


@pytest.fixture(name="raising")
def raising_fixture() -> Callable[[Exception], Callable[[Any, Any], Awaitable[Any]]]:
    """Make a method that raises."""
    return raising
