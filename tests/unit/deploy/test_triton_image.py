"""The Triton image's own two programs."""

import json
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

from continuity.inference.locate import locate_triton, with_engine
from continuity.inference.phases import STATE_BYTES
from continuity.inference.processes import children
from continuity.inference.settings import TritonSettings
from deploy.local.ports import free_port
from engine.crashes import Crashes
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
        stub = int(serving.stdout.readline())
        os.kill(stub, signal.SIGKILL)
        assert serving.wait(LIMIT_S) == 1
        assert f"the interpreter of a model (process {stub}) died" in serving.stderr.read()


def published(state: Path, pid: int, phase: str, limit_s: float, *requests: str) -> None:
    """Have the diffusion engine say what it does."""
    told = {"pid": pid, "phase": phase, "began_s": time.monotonic(), "limit_s": limit_s, "requests": requests}
    state.write_bytes(json.dumps(told).encode().ljust(STATE_BYTES))


def watching(state: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "libs"), "CONTINUITY_ENGINE_STATE": str(state)}


def test_triton_ends_when_a_model_outlives_its_own_limit_and_who_was_on_the_device_is_charged(
    fake_triton: list[str], tmp_path: Path
) -> None:
    state = tmp_path / "engine-state.json"
    with served(*fake_triton, environment=watching(state)) as serving:
        assert serving.stdout
        assert serving.stderr
        stub = int(serving.stdout.readline())
        os.kill(stub, signal.SIGSTOP)
        published(state, stub, "step", 0.1, "a")
        assert serving.wait(LIMIT_S) == 1
        assert f"(process {stub}) hangs: phase step of a (0.1 s) outlived its limit" in serving.stderr.read()
        assert gone(stub)
    assert [Crashes(state).charged(id) for id in "ab"] == [1, 0]


def test_whose_step_ran_when_the_interpreter_died_is_charged(fake_triton: list[str], tmp_path: Path) -> None:
    state = tmp_path / "engine-state.json"
    with served(*fake_triton, environment=watching(state)) as serving:
        assert serving.stdout
        assert serving.stderr
        stub = int(serving.stdout.readline())
        published(state, stub, "decode", 600.0, "a")
        os.kill(stub, signal.SIGKILL)
        assert serving.wait(LIMIT_S) == 1
        assert "died in phase decode of a" in serving.stderr.read()
    assert [Crashes(state).charged(id) for id in "ab"] == [1, 0]


def test_what_the_engine_of_the_last_start_was_at_is_forgotten_and_its_crashes_are_not(
    fake_triton: list[str], tmp_path: Path
) -> None:
    state = tmp_path / "engine-state.json"
    Crashes(state).note(["a"])
    published(state, 1, "step", 0.0, "b")
    with served(*fake_triton, environment=watching(state)) as serving:
        assert serving.stdout
        serving.stdout.readline()
        assert not state.exists()
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(LIMIT_S) == 7
    assert [Crashes(state).charged(id) for id in "ab"] == [1, 0]


def gone(pid: int) -> bool:
    """Dead, or a zombie that only its parent can bury."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


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
    with served(*command_of("triton", settings, http), environment=settings.variables()) as serving:
        until_healthy(serving, http)
        (server,) = children(serving.pid)
        os.kill(children(server)[0], signal.SIGKILL)
        assert serving.wait(LIMIT_S) == 1
    assert not healthy(http)


@pytest.mark.engine
@pytest.mark.timeout(400)
def test_the_images_command_serves_the_engine_beside_the_composer_and_a_hang_of_it_is_seen(tmp_path: Path) -> None:
    settings = TritonSettings(
        installation=with_engine(locate_triton(ROOT), ROOT),
        model_repository=ROOT / "deploy" / "triton" / "model_repository",
        models=("previz", "sdxl"),
        log_folder=tmp_path,
        python_path=(ROOT / "libs",),
    )
    state = tmp_path / "engine-state.json"
    told = dict(line.split("=", 1) for line in environment_of("sdxl"))
    here = {"CONTINUITY_MODELS": str(tmp_path), "CONTINUITY_ENGINE_STATE": str(state)}
    assert told.keys() >= here.keys()
    variables = {**told, **settings.variables(), **here, "OMP_NUM_THREADS": "1"}
    http = f"127.0.0.1:{free_port()}"
    with served(*command_of("sdxl", settings, http), environment=variables) as serving:
        until_healthy(serving, http, "previz", "sdxl")
        assert serving.stderr
        stub = json.loads(state.read_bytes())["pid"]
        os.kill(stub, signal.SIGSTOP)
        published(state, stub, "step", 0.1, "a")
        assert serving.wait(LIMIT_S) == 1
        assert f"(process {stub}) hangs" in serving.stderr.read()
    assert Crashes(state).charged("a") == 1


def command_of(stage: str, settings: TritonSettings, http: str) -> list[str]:
    """What an image starts, with the paths and ports of this machine."""
    here = {
        "--model-repository": str(settings.model_repository),
        "--backend-directory": str(settings.installation.backends),
        "--grpc-address": "127.0.0.1",
        "--grpc-port": str(free_port()),
        "--http-port": http.split(":")[1],
    }
    _python, _serve, _server, *options = dockerfile()[1][stage].command()
    command = [f"{name}={here.get(name, value)}" for name, _, value in (option.partition("=") for option in options)]
    return [str(settings.installation.server), *(option.removesuffix("=") for option in command)]


def environment_of(stage: str) -> list[str]:
    return [pair for each in dockerfile()[1][stage].all("ENV") for pair in each.split()]


def healthy(address: str, *models: str) -> bool:
    return subprocess.run([sys.executable, PROBE, address, *models], check=False).returncode == 0


def until_healthy(serving: subprocess.Popen[str], address: str, *models: str) -> None:
    deadline_s = time.monotonic() + 3 * LIMIT_S
    while not healthy(address, *models):
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
