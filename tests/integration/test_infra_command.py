"""The servers as a developer starts and stops them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.infra import Infra, InfraSettings
from deploy.local.ports import free_port

pytestmark = [pytest.mark.infra, pytest.mark.slow]

PORTS = ("kafka", "kafka_secured", "kafka_mutual", "kafka_controller", "minio", "mongo")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InfraSettings]:
    monkeypatch.setenv("CONTINUITY_INFRA_DATA", str(tmp_path))
    for name in PORTS:
        monkeypatch.setenv(f"CONTINUITY_INFRA_{name.upper()}_PORT", str(free_port()))
    settings = InfraSettings()
    yield settings
    Infra(settings).stop()


def infra(command: str, expect: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local.infra", command],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_servers_outlive_the_command_until_they_are_told_to_end(settings: InfraSettings) -> None:
    told = infra("up")
    servers = Infra(settings).servers
    pids = [server.pid for server in servers]
    assert all(pids)
    for name, value in Infra(settings).variables.items():
        assert name in told
        assert name == "CONTINUITY_S3_SECRET_KEY" or value in told
    assert Infra(settings).minio.secret_key not in told
    written = (settings.data / "environment").read_text()
    assert f"CONTINUITY_S3_SECRET_KEY={Infra(settings).minio.secret_key}" in written

    infra("up")
    assert [server.pid for server in servers] == pids
    assert infra("status").count("answers at") == 3

    Infra(settings).kafka.kill()
    assert "kafka  not running" in infra("status", expect=1)

    infra("down")
    assert infra("down").count("not running") == 3
    assert not any(server.alive() for server in servers)


def test_a_server_that_cannot_start_is_named_with_its_reason_and_the_setting(settings: InfraSettings) -> None:
    (settings.data / "minio").mkdir()
    (settings.data / "minio" / "objects").write_text("no folder")
    told = infra("up", expect=1)
    assert "minio" in told
    assert "CONTINUITY_INFRA_" in told
    assert "Traceback" not in told
