"""True health, background tasks that are kept running, and a stop that drains."""

import asyncio
import logging
from functools import partial

import pytest

from continuity.api.rendering.v1 import render_service_pb2 as pb
from continuity.api.rendering.v1 import render_service_pb2_grpc as pb_grpc
from continuity.documents import DocumentsUnavailable
from continuity.documents.port import DocumentsBusy
from continuity.hosting import hosted
from continuity.hosting.hosted import Host, kept_running
from continuity.rpc.channel import open_channel
from continuity.rpc.server import PortTaken


class Gate(pb_grpc.RenderServiceServicer):
    """Answers when it is opened."""

    def __init__(self, log):
        self.log = log
        self.entered, self.open = asyncio.Event(), asyncio.Event()

    async def GetJob(self, request, context):
        self.entered.set()
        await self.open.wait()
        self.log.append("answered")
        return pb.GetJobResponse(job={"id": "done"})


@pytest.fixture
def gate(stage):
    return Gate(stage.log)


@pytest.fixture
def gated(stage, gate):
    return stage.service(register=partial(pb_grpc.add_RenderServiceServicer_to_server, gate))


async def call(address):
    async with open_channel(address) as channel:
        return await pb_grpc.RenderServiceStub(channel).GetJob(pb.GetJobRequest(job_id="j"))


async def test_a_service_whose_store_takes_writes_is_serving(stage, start):
    _, health = await start(stage.service())
    assert [await health.of(name) for name in ("continuity.screening", "")] == ["SERVING", "SERVING"]


async def test_a_store_that_fails_later_shows_and_so_does_its_recovery(stage, start, unavailable):
    _, health = await start(stage.service())
    stage.store.error = unavailable
    await health.becomes("continuity.screening", "NOT_SERVING")
    await health.becomes("", "NOT_SERVING")
    stage.store.error = None
    await health.becomes("continuity.screening", "SERVING")
    await health.becomes("", "SERVING")


async def test_a_store_that_fails_from_the_start_shows_at_once(stage, start, unavailable):
    stage.store.error = unavailable
    _, health = await start(stage.service())
    assert await health.of("continuity.screening") == "NOT_SERVING"


async def test_a_dependency_that_is_down_has_its_own_name_and_takes_nobody_along(stage, start, unavailable):
    stage.renderer.error = unavailable
    _, health = await start(stage.service())
    names = ("continuity.renderer", "continuity.screening", "")
    assert [await health.of(name) for name in names] == ["NOT_SERVING", "SERVING", "SERVING"]
    stage.renderer.error = None
    await health.becomes("continuity.renderer", "SERVING")


async def test_a_broker_that_is_away_has_its_own_name_and_takes_nobody_along(stage, start):
    service = stage.service()
    service.bus.away = True
    _, health = await start(service)
    assert [await health.of(name) for name in ("continuity.broker", "")] == ["NOT_SERVING", "SERVING"]
    service.bus.away = False
    await health.becomes("continuity.broker", "SERVING")


async def test_the_whole_serves_only_while_every_service_does(stage, start, unavailable):
    async def broken():
        raise unavailable

    _, health = await start(stage.service(), stage.service("cutting", store=broken))
    names = ("continuity.screening", "continuity.cutting", "")
    assert [await health.of(name) for name in names] == ["SERVING", "NOT_SERVING", "NOT_SERVING"]


async def test_a_check_that_hangs_is_a_check_that_fails(stage, start):
    _, health = await start(stage.service(store=asyncio.Event().wait))
    assert await health.of("continuity.screening") == "NOT_SERVING"


async def test_a_check_that_breaks_unforeseen_fails_and_is_logged(stage, start, caplog):
    stage.store.error = KeyError("unforeseen")
    with caplog.at_level(logging.ERROR, "continuity.hosting"):
        _, health = await start(stage.service())
    assert await health.of("continuity.screening") == "NOT_SERVING"
    assert "unforeseen" in caplog.text
    stage.store.error = None
    await health.becomes("continuity.screening", "SERVING")


async def test_a_background_task_that_breaks_is_logged_and_begun_again(stage, start, caplog):
    runs, again = [], asyncio.Event()

    async def relay():
        runs.append(1)
        if len(runs) == 3:
            again.set()
            await asyncio.Event().wait()
        raise RuntimeError("a reel jammed")

    with caplog.at_level(logging.ERROR, "continuity.hosting"):
        await start(stage.service(background={"relay": relay}))
        async with asyncio.timeout(10):
            await again.wait()
    assert "screening.relay broke" in caplog.text
    assert "a reel jammed" in caplog.text


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("continuity.hosting.hosted.FIRST_RESTART_S", 0.1)
    monkeypatch.setattr("continuity.hosting.hosted.MAX_RESTART_S", 0.4)


async def test_a_task_that_breaks_again_and_again_is_begun_later_each_time_until_it_has_run_for_a_while(quick, caplog):
    durations, now = iter([0, 0, 0, 60, 0]), [0.0]

    async def relay():
        for seconds in durations:
            now[0] += seconds
            raise RuntimeError("a reel jammed")

    await kept_running("relay", relay, lambda: now[0])
    said = [f"relay broke; it begins again in {delay} s" for delay in ("0.1", "0.2", "0.4", "0.1", "0.2")]
    assert [message.split(":")[0] for message in caplog.messages] == said
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    assert "Traceback" in caplog.text


async def test_what_a_task_waits_for_is_said_once_and_when_it_changes(quick, caplog):
    away, full = DocumentsUnavailable(cause="no answer"), DocumentsBusy(1_000, 1_000)
    breaks, now = iter([(0, away), (0, away), (0, full), (0, away), (60, away), (0, away)]), [0.0]

    async def relay():
        for seconds, error in breaks:
            now[0] += seconds
            raise error

    await kept_running("relay", relay, lambda: now[0])
    assert [message.partition(": ")[2] for message in caplog.messages] == [*map(str, (away, full, away, away))]
    assert all(message.startswith("relay waits") for message in caplog.messages)
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert "Traceback" not in caplog.text, "what is away is no fault of the task"


async def test_a_background_task_that_ends_is_not_begun_again():
    runs = []

    async def warm_up():
        runs.append(1)

    async with asyncio.timeout(10):
        await kept_running("warm-up", warm_up)
    assert runs == [1]


async def test_a_background_task_that_breaks_leaves_the_others_alone(stage, start):
    steady, cancelled = asyncio.Event(), asyncio.Event()

    async def broken():
        raise RuntimeError

    async def worker():
        steady.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    host, _ = await start(stage.service(background={"broken": broken, "worker": worker}))
    await steady.wait()
    assert not cancelled.is_set()
    await host.stop(0)
    assert cancelled.is_set()


async def test_stopping_lets_a_call_finish_before_anything_below_it_goes(stage, start, gated, gate):
    host, health = await start(gated)
    calling = asyncio.ensure_future(call(health.address))
    await gate.entered.wait()
    stopping = asyncio.ensure_future(host.stop(30))
    await asyncio.sleep(0)
    assert "bus stopped" not in stage.log
    gate.open.set()
    assert (await calling).job.id == "done"
    await stopping
    assert stage.log == ["bus started", "answered", "consuming stopped", "bus stopped", "closed"]


async def test_a_host_is_busy_while_a_call_is_in_flight(start, gated, gate):
    host, health = await start(gated)
    assert await host.idle()
    calling = asyncio.ensure_future(call(health.address))
    await gate.entered.wait()
    assert not await host.idle()
    gate.open.set()
    await calling
    assert await host.idle()


async def test_a_host_is_busy_while_any_service_has_unfinished_work(stage, start):
    working = True

    async def no_work():
        return not working

    async def never_any():
        return True

    host, _ = await start(stage.service(idle=no_work), stage.service("cutting", idle=never_any))
    assert not await host.idle()
    working = False
    assert await host.idle()


async def test_a_host_that_finds_its_port_taken_can_still_be_stopped(stage, start):
    _, health = await start(stage.service())
    second = Host(health.address, [stage.service("late")])
    with pytest.raises(PortTaken):
        await second.start()
    await second.stop(1)
    assert stage.log[-2:] == ["bus stopped", "closed"]


async def test_a_stop_ends_though_nothing_else_does(stage, start, monkeypatch, caplog):
    for limit in ("CONSUMING_END_S", "TASKS_END_S", "RELAYS_END_S", "BUSES_END_S", "CLOSE_S"):
        monkeypatch.setattr(hosted, limit, 0.01)
    forever, ended = asyncio.Event(), []

    async def hang():
        while not forever.is_set():
            try:
                await forever.wait()
            except asyncio.CancelledError:
                ended.append("told to end")

    service = stage.service(background={"worker": hang}, relay=hang, close=hang)
    service.bus.stop_consuming = service.bus.stop = hang
    host, _ = await start(service, stage.service("cutting"))
    async with asyncio.timeout(10):
        await host.stop(0)
    assert "could not be ended within" in caplog.text
    assert stage.log[-3:] == ["consuming stopped", "bus stopped", "closed"]
    forever.set()


async def test_workers_hand_back_while_consuming_is_still_being_stopped(stage, start):
    handed_back = asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            handed_back.set()

    async def stop_consuming():
        await handed_back.wait()
        stage.log.append("consuming stopped")

    service = stage.service(background={"worker": work})
    service.bus.stop_consuming = stop_consuming
    host, _ = await start(service)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await host.stop(0)
    assert "consuming stopped" in stage.log


async def test_a_relay_ends_only_after_everything_that_may_leave_it_something(stage, start):
    async def ends(name, lets_go):
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(lets_go):
                await asyncio.sleep(0)
            stage.log.append(f"{name} ended")

    service = stage.service(background={"worker": lambda: ends("worker", 5)}, relay=lambda: ends("relay", 0))
    host, _ = await start(service)
    await host.stop(0)
    assert stage.log[-4:] == ["worker ended", "relay ended", "bus stopped", "closed"]


async def test_a_close_that_fails_keeps_nothing_else_open(stage, start):
    async def broken():
        raise RuntimeError("cannot let go")

    host, _ = await start(stage.service(close=broken), stage.service("cutting"))
    await host.stop(0)
    assert "closed" in stage.log
