"""What servers and services are told."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from continuity.cli.health import ASKED
from continuity.client.dead_letters import SERVICE_HEADER
from continuity.hosting.dead_letters import RPC_NAMES as DEAD_LETTERS
from continuity.hosting.settings import PlatformSettings
from deploy.local.distributed import Distributed, Member, service_names
from deploy.local.infra import Infra, InfraSettings, main
from deploy.local.servers.caddy import CADDYFILE
from deploy.local.servers.kafka import Kafka
from services.embedded import runtime


def rpc_names(service: str) -> set[str]:
    return set(import_module(f"services.{service}.entrypoints.servicer").RPC_NAMES)


def routes() -> dict[str, set[str]]:
    """The paths that the proxy sends to each service, by the variable that names its replicas."""
    text = CADDYFILE.read_text()
    matchers = dict(re.findall(r"^\t@(\w+) (.+)$", text, re.MULTILINE))
    handlers = re.findall(r"handle @(\w+) \{\s+import replicas \{\$CONTINUITY_(\w+)_UPSTREAMS:", text)
    found: dict[str, set[str]] = {}
    for matcher, service in handlers:
        found.setdefault(service.lower(), set()).update(re.findall(r"/([\w.]+)/\*", matchers[matcher]))
    return found


def test_the_proxy_knows_every_service_and_no_other() -> None:
    assert set(routes()) == set(service_names())


@pytest.mark.parametrize("service", service_names())
def test_the_proxy_sends_a_services_calls_to_it(service: str) -> None:
    everywhere = {*DEAD_LETTERS, health.SERVICE_NAME, reflection.SERVICE_NAME}
    assert routes()[service] - everywhere == rpc_names(service)


@pytest.mark.parametrize("service", service_names())
def test_the_proxy_sends_dead_letters_and_health_to_the_service_that_the_header_names(service: str) -> None:
    named = f"path('/{DEAD_LETTERS[0]}/*', '/{health.SERVICE_NAME}/*') && header({{'{SERVICE_HEADER}': '{service}'}})"
    (matcher,) = re.findall(rf"^\t@{service} (.+)$", CADDYFILE.read_text(), re.MULTILINE)
    assert named in matcher


def test_every_health_name_that_the_command_line_asks_for_is_of_the_service_that_it_asks() -> None:
    services = {name: service for name, service in ASKED.items() if name.startswith("continuity.api.")}
    assert services == {name: service for service in service_names() for name in rpc_names(service)}


def test_health_and_reflection_are_answered() -> None:
    assert {health.SERVICE_NAME, reflection.SERVICE_NAME} <= set.union(*routes().values())


def test_every_service_that_the_embedded_runtime_hosts_can_run_alone() -> None:
    assert all(hasattr(runtime, name) for name in service_names())


def test_every_variable_that_a_service_is_told_is_a_setting(tmp_path: Path) -> None:
    infra = Infra(InfraSettings(data=tmp_path))
    told = {**infra.variables, **infra.kafka.secured_variables(), **infra.kafka.mutual_variables}
    settings = {f"CONTINUITY_{name.upper()}" for name in PlatformSettings.model_fields}
    assert set(told) <= settings


def test_replicas_share_everything_but_their_port(tmp_path: Path) -> None:
    distributed = Distributed(tmp_path, {"CONTINUITY_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, replicas=3)
    environments = [dict(each.environment()) for each in distributed.replicas["rendering"]]
    assert len({each.pop("CONTINUITY_LISTEN_ADDRESS") for each in environments}) == 3
    assert environments[0] == environments[1] == environments[2]
    assert environments[0]["CONTINUITY_TRITON_ADDRESS"] == distributed.triton.address
    upstreams = distributed.proxy.environment()["CONTINUITY_RENDERING_UPSTREAMS"]
    assert upstreams.split() == [each.address for each in distributed.replicas["rendering"]]


def test_ports_and_folder_of_the_servers_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTINUITY_INFRA_DATA", str(tmp_path))
    monkeypatch.setenv("CONTINUITY_INFRA_KAFKA_PORT", "19092")
    monkeypatch.setenv("CONTINUITY_INFRA_MINIO_SECRET_KEY", "given")
    infra = Infra(InfraSettings())
    assert infra.variables["CONTINUITY_BOOTSTRAP_SERVERS"] == "127.0.0.1:19092"
    assert infra.variables["CONTINUITY_S3_SECRET_KEY"] == "given"
    assert infra.kafka.folder == tmp_path / "kafka"


def test_a_status_with_servers_that_are_away_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONTINUITY_INFRA_DATA", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["infra", "status"])
    assert main() == 1
    assert capsys.readouterr().out.count("not running") == 3
    monkeypatch.setattr("sys.argv", ["infra", "down"])
    assert main() == 0


def test_kafka_listens_in_every_way_and_the_proxied_way_leads_back_to_the_proxy(tmp_path: Path) -> None:
    kafka = Kafka(tmp_path, proxied_address="127.0.0.1:7")
    told = kafka.properties()
    assert f"PLAIN://127.0.0.1:{kafka.port}" in told["listeners"]
    assert f"PROXIED://127.0.0.1:{kafka.proxied_port}" in told["listeners"]
    assert "PROXIED://127.0.0.1:7" in told["advertised.listeners"]
    assert "CONTROLLER" not in told["advertised.listeners"]
    assert told["listener.security.protocol.map"].split(",") == [
        "PLAIN:PLAINTEXT",
        "SECURED:SASL_SSL",
        "MUTUAL:SSL",
        "PROXIED:PLAINTEXT",
        "CONTROLLER:PLAINTEXT",
    ]
    assert "PROXIED" not in Kafka(tmp_path).properties()["listeners"]


class Mortal(Kafka):
    """Is dead after every launch."""

    launches = 0
    ending = ""

    def launch(self) -> None:
        self.launches += 1

    def start(self) -> None:
        self.launch()

    def stop(self, limit_s: float = 0) -> None:
        pass


@pytest.fixture
def mortal(tmp_path: Path) -> Mortal:
    return Mortal(tmp_path)


def look_after(member: Member, now_s: list[float], seconds: float) -> None:
    """Look after a member every tenth of a second."""
    for _ in range(round(seconds * 10)):
        now_s[0] += 0.1
        member.look_after()


def test_what_keeps_dying_is_started_again_later_each_time(mortal: Mortal) -> None:
    now_s = [100.0]
    member = Member(mortal, lambda: now_s[0])
    member.start()
    look_after(member, now_s, 20)
    # At 0.5, 1.6, 3.7, 7.8 and 15.9 s, looked at every 0.1 s.
    assert mortal.launches == 1 + 5


@pytest.mark.parametrize(
    ("ending", "level", "said"),
    [
        ("exit code 0", "INFO", "ended with exit code 0"),
        ("SIGKILL", "WARNING", "died of SIGKILL"),
        ("", "WARNING", "died"),
    ],
)
def test_how_something_ended_is_said(
    mortal: Mortal, caplog: pytest.LogCaptureFixture, ending: str, level: str, said: str
) -> None:
    now_s = [100.0]
    mortal.ending = ending
    member = Member(mortal, lambda: now_s[0])
    with caplog.at_level("INFO", "deploy.local.distributed"):
        member.start()
        look_after(member, now_s, 0.2)
    (record,) = caplog.records
    assert (record.levelname, record.message.split(";")[0]) == (level, f"kafka {said}")


def test_what_was_stopped_stays_down(mortal: Mortal) -> None:
    now_s = [100.0]
    member = Member(mortal, lambda: now_s[0])
    member.start()
    member.stop()
    look_after(member, now_s, 20)
    assert mortal.launches == 1


def test_a_rolling_restart_leaves_down_what_was_stopped(mortal: Mortal) -> None:
    member = Member(mortal)
    member.start()
    member.roll()
    assert mortal.launches == 2
    member.stop()
    member.roll()
    assert mortal.launches == 2


def test_a_rolling_restart_starts_nothing_once_all_is_stopped(tmp_path: Path) -> None:
    distributed = Distributed(tmp_path, {}, replicas=1, services=("prompts",))
    distributed.stop()
    distributed.rolling_restart()
    assert not any(server.alive() for server in distributed.servers)
    assert not (tmp_path / "logs").exists()
