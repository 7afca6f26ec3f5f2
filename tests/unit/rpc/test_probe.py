import asyncio
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from continuity.rpc import probe
from continuity.rpc.server import RpcServer


@pytest_asyncio.fixture
async def server() -> AsyncIterator[tuple[RpcServer, str]]:
    server = RpcServer("127.0.0.1:0")
    address = await server.start()
    yield server, address
    await server.stop(0)


async def told(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["probe", *arguments])
    return await asyncio.to_thread(probe.main)


async def test_a_server_that_serves_is_healthy(
    server: tuple[RpcServer, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await server[0].set_health("", True)
    assert await told(monkeypatch, server[1]) == 0
    assert capsys.readouterr().out == "SERVING\n"


async def test_a_server_whose_store_is_away_is_not(
    server: tuple[RpcServer, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await server[0].set_health("", False)
    assert await told(monkeypatch, server[1]) == 1
    assert capsys.readouterr().out == "NOT_SERVING\n"


async def test_what_a_server_depends_on_is_asked_by_name(
    server: tuple[RpcServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await server[0].set_health("continuity.broker", True)
    assert await told(monkeypatch, server[1], "--name", "continuity.broker") == 0
    assert await told(monkeypatch, server[1], "--name", "continuity.renderer") == 1


async def test_nobody_there_is_said_within_the_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await told(monkeypatch, "127.0.0.1:1", "--timeout-s", "1") == 1
    assert capsys.readouterr().out.strip() in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
