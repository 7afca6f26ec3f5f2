"""What ``continuity doctor`` says of services that run elsewhere, or here."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from continuity.cli.health import ASKED
from deploy.local.ports import free_port
from tests.unit.cli.conftest import Run

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class BehindAProxy(health.HealthServicer):
    """Answers as a process of the service that the header names would: for its own names and its broker."""

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        service = dict(context.invocation_metadata()).get("x-continuity-service")
        if ASKED[request.service] != service:
            context.abort(grpc.StatusCode.NOT_FOUND, "")
        return super().Check(request, context)


@pytest.fixture
def told() -> BehindAProxy:
    made = BehindAProxy()
    for name in ASKED:
        made.set(name, SERVING)
    return made


@pytest.fixture
def doctor(run: Run, told: BehindAProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(told, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("CONTINUITY_ADDRESS", f"127.0.0.1:{port}")
    yield lambda *arguments: run("doctor", *arguments)
    server.stop(0)


def of(ended: Any) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in ended.json["checks"]}


def test_every_service_and_what_they_depend_on_is_asked(doctor: Run) -> None:
    ended = doctor("--json")
    assert ended.code == 0
    assert {name: of(ended)[name]["found"] for name in ASKED} == dict.fromkeys(ASKED, "SERVING")


@pytest.mark.parametrize("name", ["continuity.api.characters.v1.CharacterService", "continuity.renderer"])
def test_one_that_does_not_serve_is_named_and_ends_it_with_1(doctor: Run, told: BehindAProxy, name: str) -> None:
    told.set(name, NOT_SERVING)
    ended = doctor("--json")
    assert ended.code == 1
    assert [name for name, check in of(ended).items() if check["needed"] and not check["ok"]] == [name]
    assert any(name in line and "NOT_SERVING" in line for line in doctor().out.splitlines())


def test_an_address_at_which_nobody_answers_ends_it_with_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("CONTINUITY_ADDRESS", address)
    ended = run("doctor", "--json")
    assert ended.code == 1
    assert of(ended)["services"]["found"] == f"nobody answers at {address} (UNAVAILABLE)"
    assert "CONTINUITY_ADDRESS" in of(ended)["services"]["mend"]
