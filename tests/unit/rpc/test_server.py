"""Health, reflection, a taken port, and stopping without breaking running calls."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from continuity.api.rendering.v1 import render_service_pb2 as pb
from continuity.rpc.server import NOT_SERVING, SERVING, PortTaken, RpcServer
from tests.unit.rpc.conftest import MAX_CALLS

SERVICE = "continuity.api.rendering.v1.RenderService"


async def asked(served, name):
    stub = health_pb2_grpc.HealthStub(served.channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status


async def test_health_is_what_was_set_for_each_name(served):
    await served.server.set_health(SERVICE, True)
    await served.server.set_health("continuity.renderer", False)
    assert await asked(served, SERVICE) == SERVING
    assert await asked(served, "continuity.renderer") == NOT_SERVING


async def test_health_of_an_unknown_name_is_not_found(served):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked(served, "nobody")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watcher_of_health_hears_each_change(served):
    await served.server.set_health(SERVICE, True)
    stub = health_pb2_grpc.HealthStub(served.channel)
    watching = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
    assert (await watching.read()).status == SERVING
    await served.server.set_health(SERVICE, False)
    assert (await watching.read()).status == NOT_SERVING
    watching.cancel()
    await served.in_flight(0)


async def test_reflection_lists_our_services_and_the_standard_ones(served):
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    call = stub.ServerReflectionInfo()
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    answer = await call.read()
    names = {service.name for service in answer.list_services_response.service}
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE))
    assert (await call.read()).file_descriptor_response.file_descriptor_proto
    await call.done_writing()


async def test_a_stopping_server_lets_running_calls_finish_and_takes_no_new_ones(served):
    gate = asyncio.Event()

    async def wait(request, context):
        await gate.wait()
        return pb.GetJobResponse(job={"id": "done"})

    served.servicer.unary = wait
    running = asyncio.ensure_future(served.get())
    await served.in_flight(1)
    stopping = asyncio.ensure_future(served.server.stop(30))
    await watch_refused(served)
    assert not stopping.done()
    gate.set()
    assert (await running).job.id == "done"
    await stopping


async def watch_refused(served):
    """Return once a new call is refused."""
    async with grpc.aio.insecure_channel(served.address) as channel:
        call = channel.unary_unary("/grpc.health.v1.Health/Check")
        async with asyncio.timeout(10):
            while True:
                try:
                    await call(b"")
                except grpc.aio.AioRpcError as error:
                    if error.code() is grpc.StatusCode.UNAVAILABLE:
                        return


async def test_a_call_that_outlives_the_grace_is_ended(served):
    ended = asyncio.Event()

    async def forever(request, context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    served.servicer.unary = forever
    running = asyncio.ensure_future(served.get())
    await served.in_flight(1)
    await served.server.stop(0.05)
    with pytest.raises(grpc.aio.AioRpcError):
        await running
    await ended.wait()
    assert served.server.calls.in_flight == 0


async def test_a_stopping_server_tells_watchers_of_its_health(served):
    await served.server.set_health("", True)
    watching = health_pb2_grpc.HealthStub(served.channel).Watch(health_pb2.HealthCheckRequest(service=""))
    assert (await watching.read()).status == SERVING
    stopping = asyncio.ensure_future(served.server.stop(30))
    assert (await watching.read()).status == NOT_SERVING
    watching.cancel()
    await stopping


async def test_a_taken_port_is_named(served):
    with pytest.raises(PortTaken) as caught:
        await RpcServer(served.address).start()
    assert served.address in str(caught.value)


async def test_a_server_that_never_started_can_be_stopped():
    await RpcServer("127.0.0.1:0").stop(1)


async def test_who_watches_the_health_holds_the_server(served):
    await served.server.set_health("", True)
    watching = health_pb2_grpc.HealthStub(served.channel).Watch(health_pb2.HealthCheckRequest(service=""))
    assert (await watching.read()).status == SERVING
    await served.in_flight(1)
    watching.cancel()
    await served.in_flight(0)


async def test_more_calls_than_the_server_takes_on_are_refused_with_a_delay_until_one_ends(served, refused):
    gate = asyncio.Event()

    async def wait(request, context):
        await gate.wait()
        return pb.GetJobResponse()

    served.servicer.unary = wait
    running = [asyncio.ensure_future(served.get()) for _ in range(MAX_CALLS)]
    await served.in_flight(MAX_CALLS)
    refusal = await refused(served.get())
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS")
    assert refusal.retry.retry_delay.seconds == 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.watch()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await served.server.set_health("", True)
    assert await asked(served, "") == SERVING
    gate.set()
    await asyncio.gather(*running)
    await served.in_flight(0)
    await served.get()
