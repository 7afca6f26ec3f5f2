"""The services as a developer starts and ends them, from nothing to a film and back to nothing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.local.infra import Infra, InfraSettings
from deploy.local.ports import free_port
from deploy.local.processes import ProcessId, children
from deploy.local.supervisor import DistributedSettings, Supervisor
from tests.e2e.conftest import environment
from tests.e2e.test_command_line import continuity
from tests.integration.test_infra_command import PORTS

pytestmark = [pytest.mark.infra, pytest.mark.triton, pytest.mark.slow]

LIMIT_S = 170
FILM = {
    "film": {"title": "Two Shots", "seed": 9},
    "locations": [{"name": "Pad Nine", "type": "exterior", "description": "a launch pad on a flat coast"}],
    "scenes": [
        {
            "id": 1,
            "location": "Pad Nine",
            "shots": [
                {"shot": number, "shot_type": shot_type, "description": "The front comes in."}
                for number, shot_type in ((1, "establishing"), (2, "wide"))
            ],
        }
    ],
}


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Where everything is to run; what a failed test leaves running ends here."""
    named = {
        "CONTINUITY_INFRA_DATA": str(tmp_path / "infra"),
        "CONTINUITY_DISTRIBUTED_DATA": str(tmp_path / "distributed"),
        "CONTINUITY_DISTRIBUTED_REPLICAS": "1",
        "CONTINUITY_DISTRIBUTED_PORT": str(free_port()),
        **{f"CONTINUITY_INFRA_{name.upper()}_PORT": str(free_port()) for name in PORTS},
    }
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    yield named
    Supervisor(DistributedSettings()).stop()
    Infra(InfraSettings()).stop()


def command(module: str, word: str, folder: Path, variables: dict[str, str]) -> str:
    told = {name: value for name, value in environment(folder).items() if name != "CONTINUITY_HOME"}
    done = subprocess.run(
        [sys.executable, "-m", module, word],
        env={**told, **variables},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def processes_of(folder: Path) -> list[str]:
    """Return what runs with the folder in its command line or variables."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            command_line, said = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
            if str(folder).encode() in command_line + said:
                found.append(command_line.replace(b"\0", b" ").decode())
    return found


def all_below(pid: int) -> list[int]:
    """Return what a process has started, and what that has: some of them clear their variables."""
    return [each for child in children(pid) for each in (child, *all_below(child))]


@pytest.mark.timeout(LIMIT_S * 2)
def test_a_film_is_made_by_what_one_command_starts_and_another_ends(tmp_path: Path, variables: dict[str, str]) -> None:
    def services(word: str) -> str:
        return command("deploy.local.supervisor", word, tmp_path, variables)

    assert "do not run" in services("status")
    address = f"127.0.0.1:{variables['CONTINUITY_DISTRIBUTED_PORT']}"
    assert f"CONTINUITY_ADDRESS={address}" in services("up").splitlines()
    assert f"# services run at {address}" in services("status")

    (tmp_path / "film.json").write_text(json.dumps(FILM))
    out = tmp_path / "out"
    told = continuity(
        tmp_path / "home", "render", tmp_path / "film.json", "--out", out, "--json", address=address
    ).stdout
    frames = json.loads((out / "manifest.json").read_text())["shots"]
    assert len(frames) == 2, told
    for frame in frames:
        assert hashlib.sha256((out / frame["file"]).read_bytes()).hexdigest() == frame["sha256"]

    supervisor = Supervisor(DistributedSettings()).pid
    assert supervisor
    tree = [supervisor, *all_below(supervisor)]
    assert any(b"python_backend_stub" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in tree)
    assert "do not run" in services("down")
    assert "do not run" in services("down"), "a second time is no fault"
    assert [pid for pid in tree if ProcessId.of(pid)] == []
    left = processes_of(tmp_path)
    assert len(left) == len(Infra(InfraSettings()).servers), left
    command("deploy.local.infra", "down", tmp_path, variables)
    assert processes_of(tmp_path) == []
