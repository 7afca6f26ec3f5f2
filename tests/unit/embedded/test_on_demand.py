"""What draws is started once it is needed, and no sooner."""

from __future__ import annotations

import asyncio

import pytest

from continuity.documents.port import DocumentsUnavailable
from continuity.inference.errors import TritonMissing
from services.embedded import on_demand as module
from services.embedded.on_demand import NOBODY, RendererOnDemand
from services.embedded.settings import Settings


class Watchdog:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.began = asyncio.Event()

    def start(self) -> None:
        self.log.append("started")
        self.began.set()

    async def stop(self) -> None:
        self.log.append("stopped")


class Server:
    address = "127.0.0.1:7"
    has_port = True

    async def stop(self) -> None:
        self.has_port = False


class Work:
    """Whether there is nothing to do; ``asked`` is set whenever that is asked."""

    def __init__(self) -> None:
        self.none: bool | Exception = True
        self.asked = asyncio.Event()

    async def __call__(self) -> bool:
        self.asked.set()
        if isinstance(self.none, Exception):
            raise self.none
        return self.none


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def watchdog(monkeypatch, server):
    made = Watchdog()
    monkeypatch.setattr(module, "embedded_triton", lambda _settings: (server, made))
    return made


@pytest.fixture
async def running(watchdog, tmp_path):
    """A renderer that runs on a ``Work``."""
    renderer, work = RendererOnDemand(Settings(home=tmp_path)), Work()
    task = asyncio.create_task(renderer.run(work, look_s=0.01))
    yield renderer, work
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_while_there_is_nothing_to_do_it_is_not_started_and_its_address_is_known(running, watchdog):
    renderer, work = running
    for _ in range(3):
        work.asked.clear()
        await work.asked.wait()
    assert (watchdog.log, renderer.started, renderer.address) == ([], False, "127.0.0.1:7")


async def test_one_that_nobody_wanted_gives_its_port_back_and_is_not_said_to_end(watchdog, server, tmp_path):
    await RendererOnDemand(Settings(home=tmp_path)).stop()
    assert not server.has_port
    assert watchdog.log == []


@pytest.mark.parametrize("answer", [False, DocumentsUnavailable(cause="the disk is full")])
async def test_where_there_is_or_may_be_accepted_work_it_is_started(running, watchdog, answer):
    renderer, work = running
    work.none = answer
    async with asyncio.timeout(10):
        await watchdog.began.wait()
    assert renderer.started


async def test_who_wants_it_has_it_started_once(running, watchdog):
    renderer, _ = running
    assert renderer.start()
    assert renderer.start()
    async with asyncio.timeout(10):
        await watchdog.began.wait()
    await renderer.stop()
    assert watchdog.log == ["started", "stopped"]


async def test_what_is_not_installed_cannot_be_started_and_ends_well(monkeypatch, tmp_path):
    def missing(_settings):
        raise TritonMissing("nothing there")

    monkeypatch.setattr(module, "embedded_triton", missing)
    renderer = RendererOnDemand(Settings(home=tmp_path))
    assert not renderer.start()
    await renderer.run(Work())
    await renderer.stop()
    assert renderer.address == NOBODY
