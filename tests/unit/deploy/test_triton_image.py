"""The Triton image's own two programs."""

import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from continuity.inference.locate import locate_triton
from continuity.inference.processes import children
from continuity.inference.settings import TritonSettings
from deploy.local.ports import free_port
from tests.unit.deploy.described import ROOT, dockerfile

SERVE = ROOT / "deploy" / "docker" / "triton" / "serve.py"
PROBE = ROOT / "deploy" / "docker" / "triton" / "probe.py"
LIMIT_S = 60

FAKE = """
import signal, subprocess, sys
child = subprocess.Popen([sys.argv[1], "600"])
def end(*_):
    child.kill()
    child.wait()
    sys.exit(7)
signal.signal(signal.SIGTERM, end)
print(child.pid, flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def fake_triton(tmp_path: Path) -> list[str]:
    """A server with one interpreter, whose process id it prints; it answers SIGTERM with exit code 7."""
    stub = tmp_path / "triton_python_backend_stub"
    stub.symlink_to(str(shutil.which("sleep")))
    return [sys.executable, "-c", FAKE, str(stub)]


@contextmanager
def served(*command: str, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    line = [sys.executable, str(SERVE), *command]
    serving = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        yield serving
    finally:
        serving.terminate()
        serving.communicate(timeout=LIMIT_S)


def test_triton_ends_when_a_models_interpreter_dies(fake_triton: list[str]) -> None:
    with served(*fake_triton) as serving:
        assert serving.stdout
        assert serving.stderr
        subprocess.run(["kill", "-KILL", serving.stdout.readline().strip()], check=True)
        assert serving.wait(LIMIT_S) == 1
        assert "the interpreter of a model died" in serving.stderr.read()


def test_a_signal_ends_triton_in_its_own_way(fake_triton: list[str]) -> None:
    with served(*fake_triton) as serving:
        assert serving.stdout
        serving.stdout.readline()
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(LIMIT_S) == 7


def test_the_container_ends_as_triton_does() -> None:
    with served(sys.executable, "-c", "raise SystemExit(3)") as serving:
        assert serving.wait(LIMIT_S) == 3


def test_nobody_there_is_not_healthy() -> None:
    assert not healthy(f"127.0.0.1:{free_port()}")


@pytest.mark.triton
def test_the_images_command_serves_the_model_and_health_is_the_models_own(tmp_path: Path) -> None:
    settings = TritonSettings(
        installation=locate_triton(ROOT),
        model_repository=ROOT / "deploy" / "triton" / "model_repository",
        models=("previz",),
        log_folder=tmp_path,
        python_path=(ROOT / "libs",),
    )
    http = f"127.0.0.1:{free_port()}"
    here = {
        "--model-repository": str(settings.model_repository),
        "--backend-directory": str(settings.installation.backends),
        "--grpc-address": "127.0.0.1",
        "--grpc-port": str(free_port()),
        "--http-port": http.split(":")[1],
    }
    _python, _serve, _server, *options = dockerfile()[1]["triton"].command()
    command = [f"{name}={here.get(name, value)}" for name, _, value in (option.partition("=") for option in options)]
    command = [option.removesuffix("=") for option in command]
    with served(str(settings.installation.server), *command, environment=settings.variables()) as serving:
        until_healthy(serving, http)
        (server,) = children(serving.pid)
        os.kill(children(server)[0], signal.SIGKILL)
        assert serving.wait(LIMIT_S) == 1
    assert not healthy(http)


def healthy(address: str) -> bool:
    return subprocess.run([sys.executable, PROBE, address], check=False).returncode == 0


def until_healthy(serving: subprocess.Popen[str], address: str) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not healthy(address):
        assert serving.poll() is None, "Triton ended"
        assert time.monotonic() < deadline_s, f"{address} was never healthy"


def test_a_child_that_vanishes_while_it_is_looked_at_hides_no_other(tmp_path: Path) -> None:
    tasks = tmp_path / "7" / "task"
    for thread, children_of_it in (("7", "11 12 13 "), ("8", "14 ")):
        (tasks / thread).mkdir(parents=True)
        (tasks / thread / "children").write_text(children_of_it)
    for child, name, state in ((11, "sh", "S"), (13, "triton_python_b", "Z"), (14, "triton_python_b", "S")):
        (tmp_path / f"{child}").mkdir()
        (tmp_path / f"{child}" / "stat").write_text(f"{child} ({name}) {state} 7 7")
    assert runpy.run_path(str(SERVE))["interpreters"](7, tmp_path) == {13: "Z", 14: "S"}
