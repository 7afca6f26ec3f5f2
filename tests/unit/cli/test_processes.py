"""What only shows in processes of their own: signals, the runtime, the launcher."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.processes import ProcessId
from tests.unit.client.studio import Studio

ROOT = Path(__file__).resolve().parents[3]
LAUNCHER = ROOT / "bin" / "continuity"
END_LIMIT_S = 20

FAKE_RUNTIME = """
import asyncio, fcntl, json, os, sys
from pathlib import Path
from continuity.rpc.runtime import add_runtime
from tests.unit.client.fakes import build_server
from tests.unit.client.studio import Studio

HOME = Path(os.environ["CONTINUITY_HOME"])

class Runtime:
    def __init__(self, ended):
        self.ended = ended
        self.started = False

    async def start_renderer(self):
        self.started = True
        (HOME / "draws").touch()
        return not (HOME / "draws not").exists()

    async def renderer_started(self):
        return self.started

    async def end_if_idle(self):
        idle = "--exit-when-idle" in sys.argv and not (HOME / "busy").exists()
        _ = idle and self.ended.set()
        return idle

async def main():
    server = build_server(Studio())
    ended = asyncio.Event()
    add_runtime(Runtime(ended), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print("the runtime is up", flush=True)
    record = {"address": f"127.0.0.1:{port}", "pid": os.getpid(), "version": "0.1.0"}
    record["settings"] = {"steps": {"value": int(os.environ.get("CONTINUITY_STEPS", "20")), "default": 20}}
    (HOME / "starts").open("a").write(" ".join(sys.argv[1:]) + "\\n")
    (HOME / "runtime.part").write_text(json.dumps(record))
    (HOME / "runtime.part").replace(HOME / "runtime.json")
    import signal
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    asyncio.get_running_loop().add_reader(os.pidfd_open(TESTER), ended.set)
    await ended.wait()
    (HOME / "drained").touch()
    await server.stop(1)

with (HOME / "runtime.lock").open("w") as lock:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(0)
    asyncio.run(main())
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    home.mkdir()
    yield home
    while left := processes_below(tmp_path):
        for process in left:
            process.signal(signal.SIGKILL)
            assert process.ended(END_LIMIT_S), f"process {process.pid} does not die"


def processes_below(folder: Path) -> list[ProcessId]:
    """Return the living processes whose home is in the folder.

    There may be more of them than the one that has the runtime's lock: a second one that is slow to start takes the
    lock, and stays, as soon as the first is dead.
    """
    named = f"CONTINUITY_HOME={folder}/"
    numbers = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if named in variables(entry)]
    return [process for number in numbers if (process := ProcessId.of(number))]


def variables(process: Path) -> str:
    try:
        return (process / "environ").read_text(errors="replace")
    except OSError:  # it is gone, or somebody else's
        return ""


@pytest.fixture
def environment(home: Path, tmp_path: Path) -> dict[str, str]:
    """An environment in which ``services.embedded`` is a runtime of the test."""
    install_runtime(tmp_path, FAKE_RUNTIME)
    path = [str(tmp_path / "fake"), str(ROOT), str(ROOT / "libs"), os.environ.get("PYTHONPATH", "")]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONTINUITY_")}
    return inherited | {"CONTINUITY_HOME": str(home), "PYTHONPATH": os.pathsep.join(path)}


def install_runtime(tmp_path: Path, source: str) -> None:
    package = tmp_path / "fake" / "services" / "embedded"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(f"TESTER = {os.getpid()}  # ends with the tests, however they end\n{source}")


def command(environment: dict[str, str], *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "continuity.cli.main", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_command_starts_the_runtime_and_says_so(environment: dict[str, str], home: Path) -> None:
    code, out, err = finished(command(environment, "character", "list", "--json"))
    assert (code, json.loads(out)) == (0, {"characters": []})
    assert "no runtime is running, starting one" in err
    assert (home / "starts").read_text() == "--exit-when-idle\n"
    assert "the runtime is up" in (home / "logs" / "runtime.log").read_text()


def test_the_next_command_joins_it(environment: dict[str, str], home: Path) -> None:
    finished(command(environment, "character", "list"))
    assert finished(command(environment, "jobs", "list")) == (0, "no jobs\n", "")
    assert len((home / "starts").read_text().splitlines()) == 1


def test_a_command_with_other_settings_gets_a_runtime_of_its_own_where_the_running_one_is_idle(
    environment: dict[str, str], home: Path
) -> None:
    finished(command(environment, "character", "list"))
    code, _, err = finished(command(environment | {"CONTINUITY_STEPS": "30"}, "jobs", "list"))
    first, second = err.splitlines()
    assert (code, first) == (
        0,
        "the running runtime had nothing to do and is ended: CONTINUITY_STEPS is 20 there, 30 here",
    )
    assert second.startswith("no runtime is running, starting one")
    assert finished(command(environment | {"CONTINUITY_STEPS": "30.0"}, "jobs", "list")) == (0, "no jobs\n", "")
    assert len((home / "starts").read_text().splitlines()) == 2


def test_a_command_with_other_settings_goes_on_with_a_runtime_that_is_busy_and_says_so(
    environment: dict[str, str], home: Path
) -> None:
    finished(command(environment | {"CONTINUITY_STEPS": "30"}, "character", "list"))
    (home / "busy").touch()
    assert finished(command(environment, "jobs", "list")) == (
        0,
        "no jobs\n",
        "the running runtime is in use and goes on as it is: CONTINUITY_STEPS is 30 there, 20 here; "
        "continuity down ends it\n",
    )
    assert len((home / "starts").read_text().splitlines()) == 1


def test_who_only_reads_does_not_have_started_what_draws(
    environment: dict[str, str], home: Path, shot_list: Path, tmp_path: Path
) -> None:
    for arguments in (("jobs", "list"), ("character", "list"), ("verify", "--help"), ("doctor",)):
        finished(command(environment, *arguments))
    assert not (home / "draws").exists()
    finished(command(environment, "render", shot_list, "--out", tmp_path / "out"))
    assert (home / "draws").exists()


def test_a_runtime_that_cannot_start_what_draws_is_started_anew_once(
    environment: dict[str, str], home: Path, shot_list: Path, tmp_path: Path
) -> None:
    finished(command(environment, "jobs", "list"))
    (home / "draws not").touch()
    code, _, err = finished(command(environment, "render", shot_list, "--out", tmp_path / "out"))
    assert code == 0
    assert "is ended: what draws was not installed when it was started" in err
    assert len((home / "starts").read_text().splitlines()) == 2


def test_down_ends_the_runtime_of_this_home_gently(environment: dict[str, str], home: Path) -> None:
    finished(command(environment, "character", "list"))
    pid = json.loads((home / "runtime.json").read_text())["pid"]
    code, out, err = finished(command(environment, "down", "--json"))
    assert (code, json.loads(out), err) == (0, {"home": str(home), "pid": pid, "killed": False}, "")
    assert (home / "drained").exists()
    assert ProcessId.of(pid) is None


def test_down_now_kills_it(environment: dict[str, str], home: Path) -> None:
    finished(command(environment, "character", "list"))
    code, out, _ = finished(command(environment, "down", "--now"))
    assert code == 0
    assert out.startswith("killed the runtime (process ")
    assert not (home / "drained").exists()
    assert not processes_below(home.parent)


def test_down_says_in_one_line_that_there_is_nothing_to_end(environment: dict[str, str], tmp_path: Path) -> None:
    finished(command(environment, "character", "list"))
    other = tmp_path / "other"
    assert finished(command(environment | {"CONTINUITY_HOME": str(other)}, "down")) == (
        3,
        "",
        f"continuity: no runtime is running on {other}\n",
    )
    assert not other.exists()
    assert len(processes_below(tmp_path)) == 1


def test_down_leaves_alone_who_has_taken_over_the_number_of_a_dead_runtime(
    environment: dict[str, str], home: Path
) -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        record: dict[str, Any] = {"address": "127.0.0.1:1", "pid": other.pid, "version": "0.1.0"}
        (home / "runtime.json").write_text(json.dumps(record))
        try:
            assert finished(command(environment, "down", "--now"))[0] == 3
            assert other.poll() is None
        finally:
            other.kill()


def test_down_does_not_end_services_elsewhere(environment: dict[str, str]) -> None:
    code, _, err = finished(command(environment | {"CONTINUITY_ADDRESS": "127.0.0.1:9"}, "down"))
    assert code == 2
    assert "CONTINUITY_ADDRESS: '127.0.0.1:9' is not acceptable; down ends the runtime of CONTINUITY_HOME" in err


def test_up_ends_when_its_runtime_is_ended_by_down(environment: dict[str, str]) -> None:
    up = command(environment, "up")
    assert up.stdout is not None
    up.stdout.readline()
    assert finished(command(environment, "down"))[0] == 0
    assert finished(up)[0] == 0


def test_a_setting_that_only_the_runtime_knows_to_be_wrong_is_told_in_one_line(
    environment: dict[str, str], tmp_path: Path
) -> None:
    said = "CONTINUITY_STEPS: '0' is not acceptable; 1 is the least"
    install_runtime(tmp_path, f"print('starting'); import sys; print({said!r}); sys.exit(2)")
    code, out, err = finished(command(environment, "jobs", "list", "--json"))
    error = json.loads(out)["error"]
    assert (code, error["reason"], error["message"]) == (2, "SETTINGS_INVALID", said)
    assert err.splitlines()[1:] == [f"continuity: {said}"]
    assert finished(command(environment, "up"))[0] == 2


def test_two_commands_at_once_share_one_runtime(environment: dict[str, str], home: Path) -> None:
    both = [command(environment, "character", "list") for _ in range(2)]
    assert [finished(each)[:2] for each in both] == [(0, "no characters yet\n")] * 2
    assert len((home / "starts").read_text().splitlines()) == 1


def test_what_a_killed_runtime_left_is_not_believed(environment: dict[str, str], home: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    record: dict[str, Any] = {"address": "127.0.0.1:1", "pid": gone.pid, "version": "0.1.0"}
    (home / "runtime.json").write_text(json.dumps(record))
    code, out, _ = finished(command(environment, "character", "list"))
    assert (code, out) == (0, "no characters yet\n")


def test_a_runtime_that_ends_at_once_is_shown_with_its_log(environment: dict[str, str], tmp_path: Path) -> None:
    install_runtime(tmp_path, "raise SystemExit('the disk is full')")
    code, out, err = finished(command(environment, "character", "list"))
    assert (code, out) == (4, "")
    assert "the runtime did not start: it ended with exit code 1" in err
    assert "the disk is full" in err
    assert "Traceback" not in err


def test_up_serves_until_ctrl_c_and_lets_the_runtime_drain(environment: dict[str, str], home: Path) -> None:
    up = command(environment, "up")
    assert up.stdout is not None
    assert up.stdout.readline().startswith("serving at 127.0.0.1:")
    code, _, err = finished(command(environment, "up"))
    assert code == 5
    assert "a runtime is already running" in err
    assert "continuity down ends it" in err
    up.send_signal(signal.SIGINT)
    assert finished(up)[0] == 0
    assert (home / "drained").exists()
    assert (home / "starts").read_text() == "\n"


def test_up_takes_the_place_of_an_idle_runtime_that_a_command_has_started(
    environment: dict[str, str], home: Path
) -> None:
    finished(command(environment, "character", "list"))
    up = command(environment, "up")
    assert up.stdout is not None
    assert up.stdout.readline().startswith("serving at 127.0.0.1:")
    up.send_signal(signal.SIGINT)
    code, _, err = finished(up)
    assert code == 0
    assert "the running runtime had nothing to do and is ended; this one takes its place" in err
    assert (home / "starts").read_text() == "--exit-when-idle\n\n"


def test_up_leaves_a_runtime_that_is_in_use_and_says_what_to_do(environment: dict[str, str], home: Path) -> None:
    finished(command(environment, "character", "list"))
    (home / "busy").touch()
    code, _, err = finished(command(environment, "up"))
    assert code == 5
    assert "in use or kept by another continuity up; continuity down ends it" in err
    assert finished(command(environment, "jobs", "list")) == (0, "no jobs\n", "")
    assert (home / "starts").read_text() == "--exit-when-idle\n"


def test_up_waits_for_a_runtime_that_is_on_its_way_out(environment: dict[str, str], home: Path) -> None:
    draining = f"import fcntl; lock = open({str(home / 'runtime.lock')!r}, 'w'); fcntl.flock(lock, fcntl.LOCK_EX)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{draining}; print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        up = command(environment, "up")
        assert up.stdout is not None
        assert up.stderr is not None
        assert up.stderr.readline() == "another runtime is on its way in or out; waiting for it\n"
        assert not (home / "starts").exists()
        other.communicate("\n")
    assert up.stdout.readline().startswith("serving at 127.0.0.1:")
    up.send_signal(signal.SIGINT)
    assert finished(up)[0] == 0


def test_up_gives_its_address_to_programs(environment: dict[str, str], home: Path) -> None:
    up = command(environment, "up", "--json")
    assert up.stdout is not None
    document = json.loads("".join(iter(up.stdout.readline, "}\n")) + "}")
    assert (document["home"], document["version"]) == (str(home), "0.1.0")
    up.terminate()
    assert finished(up)[:2] == (0, "")


def test_ctrl_c_leaves_the_jobs_running_and_says_how_to_go_on(
    environment: dict[str, str], address: str, studio: Studio, shot_list: Path, tmp_path: Path
) -> None:
    studio.hanging.add("WatchJobs")
    render = command(environment | {"CONTINUITY_ADDRESS": address}, "render", shot_list, "--out", tmp_path / "out")
    assert studio.hung.wait(60)
    render.send_signal(signal.SIGINT)
    code, out, err = finished(render)
    assert (code, out) == (130, "")
    assert "the 3 jobs go on without you" in err
    assert "continuity jobs cancel --submission submission-0" in err
    assert "Traceback" not in err
    assert studio.calls["CancelJob"] == 0


def test_ctrl_c_before_there_are_jobs_says_what_stays(
    environment: dict[str, str], shot_list: Path, tmp_path: Path
) -> None:
    install_runtime(tmp_path, FAKE_RUNTIME.replace("Studio()", 'Studio(hanging={"CreateCharacter"})'))
    render = command(environment, "render", shot_list, "--out", tmp_path / "out")
    assert render.stderr is not None
    assert any("adding the character" in line for line in iter(render.stderr.readline, ""))
    render.send_signal(signal.SIGINT)
    code, out, err = finished(render)
    assert (code, out) == (130, "")
    assert err.splitlines() == [
        "interrupted; what was added stays, and the same command goes on from there",
        "the runtime ends by itself when it is idle",
    ]


@pytest.mark.parametrize("arguments", [("jobs", "list"), ("up",)])
def test_a_home_that_cannot_be_used_is_named_with_the_cause_and_the_check(
    environment: dict[str, str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home"
    code, out, err = finished(command(environment | {"CONTINUITY_HOME": str(home)}, *arguments, "--json"))
    assert (code, json.loads(out)["error"]["reason"]) == (1, "HOME_UNUSABLE")
    assert f"CONTINUITY_HOME: {home} cannot be used (not a directory)" in err
    assert "continuity doctor" in err


def test_doctor_tries_the_home_and_leaves_nothing_in_it(environment: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    checks = json.loads(finished(command(environment | {"CONTINUITY_HOME": str(home)}, "doctor", "--json"))[1])
    assert next(check["ok"] for check in checks["checks"] if check["name"] == "home writable")
    assert list(home.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that nobody can write, root included, is wanted")
def test_doctor_refuses_a_home_that_cannot_be_made(environment: dict[str, str]) -> None:
    code, out, _ = finished(command(environment | {"CONTINUITY_HOME": "/proc/nope"}, "doctor", "--json"))
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == 1
    assert not checks["home writable"]["ok"]
    assert checks["home writable"]["found"].startswith("/proc/nope: ")


def test_doctor_says_what_is_there_and_what_is_not(environment: dict[str, str], home: Path) -> None:
    code, out, _ = finished(command(environment, "doctor", "--json"))
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert code == (0 if all(check["ok"] for check in checks.values() if check["needed"]) else 1)
    assert checks["Python"]["ok"]
    assert checks["home writable"]["found"] == str(home)
    assert not checks["runtime"]["ok"]
    finished(command(environment, "character", "list"))
    assert "127.0.0.1:" in finished(command(environment, "doctor"))[1]


def test_doctor_ends_with_1_and_the_mend_where_something_is_missing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    broken = environment | {"CONTINUITY_HOME": str(tmp_path / "file" / "home")}
    code, out, _ = finished(command(broken, "doctor"))
    assert code == 1
    assert any("MISSING" in line and "set CONTINUITY_HOME" in line for line in out.splitlines())


def test_the_launcher_finds_its_checkout_through_links(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "continuity").symlink_to(LAUNCHER)
    (tmp_path / "c").symlink_to("bin/continuity")
    said = subprocess.run([tmp_path / "c", "--version"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (said.returncode, said.stdout) == (0, "continuity 0.1.0\n")


def test_the_launcher_says_how_to_set_up_a_bare_checkout(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "continuity").write_text(LAUNCHER.read_text())
    said = subprocess.run(["sh", tmp_path / "bin" / "continuity"], capture_output=True, text=True, check=False)
    assert said.returncode == 4
    assert "make -C" in said.stderr
