"""What servers do with their process, tried with a program that is none."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from deploy.local.ports import accepts, free_port
from deploy.local.servers import base
from deploy.local.servers.base import Server, ServerFailed, at_once
from deploy.local.servers.secrets import kept_secret, write_private


def test_a_port_is_given_once():
    assert len({free_port() for _ in range(300)}) == 300


class Sleeper(Server):
    name = "sleeper"
    line = "echo up; exec sleep 60"
    healthy = True

    def command(self) -> Sequence[str]:
        return ["/bin/sh", "-c", self.line]

    def answers(self) -> bool:
        return self.healthy and self.alive()


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Callable[..., Sleeper]]:
    made: list[Sleeper] = []

    def make(*, detached: bool = False) -> Sleeper:
        made.append(Sleeper(tmp_path / "sleeper", free_port(), detached=detached))
        return made[-1]

    yield make
    for server in made:
        server.kill()


def test_starting_what_runs_changes_nothing(sleeper: Callable[..., Sleeper]) -> None:
    server = sleeper()
    server.start()
    pid = server.pid
    server.start()
    assert server.pid == pid
    server.restart()
    assert server.pid != pid


@pytest.mark.parametrize("end", [Server.stop, Server.kill])
def test_an_ended_server_has_no_process_and_can_be_ended_again(
    sleeper: Callable[..., Sleeper], end: Callable[[Server], None]
) -> None:
    server = sleeper()
    server.start()
    end(server)
    end(server)
    assert not server.alive()
    assert server.pid is None


def test_a_detached_server_is_stopped_by_whoever_opens_its_folder(sleeper: Callable[..., Sleeper]) -> None:
    started, stranger = sleeper(detached=True), sleeper(detached=True)
    started.start()
    assert stranger.pid == started.pid
    stranger.stop()
    assert not started.alive()


def test_a_record_that_is_torn_or_of_another_process_is_nobody(sleeper: Callable[..., Sleeper]) -> None:
    server = sleeper(detached=True)
    server.folder.mkdir()
    for record in ("", "{", '{"pid": 1}', '{"pid": 1, "began": "long ago"}'):
        (server.folder / "sleeper.pid").write_text(record)
        assert not server.alive()
        server.stop()


@pytest.mark.parametrize(
    ("line", "ended"), [("exit 0", "exit code 0"), ("exit 3", "exit code 3"), ("kill -KILL $$", "SIGKILL")]
)
def test_it_is_known_how_a_server_ended(sleeper: Callable[..., Sleeper], line: str, ended: str) -> None:
    server = sleeper()
    assert server.ending == ""
    server.line = f"read -r _ < {server.folder / 'gate'}; {line}"
    server.folder.mkdir()
    os.mkfifo(server.folder / "gate")
    server.launch()
    assert server.ending == ""
    (server.folder / "gate").write_text("\n")
    while server.alive():
        time.sleep(0.01)
    assert server.ending == ended
    server.stop()
    assert server.ending == ""


def test_a_server_that_ends_while_it_starts_is_reported_with_its_log(sleeper: Callable[..., Sleeper]) -> None:
    server = sleeper()
    server.line, server.healthy = "echo the disk is full; exit 3", False
    with pytest.raises(ServerFailed, match=r"(?s)sleeper ended.*the disk is full"):
        server.start()


def test_a_server_that_never_answers_is_ended_at_the_limit(
    sleeper: Callable[..., Sleeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sleeper, "start_limit_s", 0.2)
    server = sleeper()
    server.healthy = False
    with pytest.raises(ServerFailed, match="does not answer"):
        server.start()
    assert not server.alive()


def test_a_port_that_another_program_has_is_named(
    sleeper: Callable[..., Sleeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "PORT_LIMIT_S", 0.0)
    server = sleeper()
    with socket.create_server(("127.0.0.1", server.port)):
        assert accepts(server.port)
        with pytest.raises(ServerFailed, match=f"another program listens on port {server.port}"):
            server.start()
    assert not accepts(server.port)


def test_a_held_up_server_goes_on_when_it_is_let(sleeper: Callable[..., Sleeper]) -> None:
    server = sleeper()
    server.start()
    server.signal(signal.SIGSTOP)
    assert server.alive()
    server.signal(signal.SIGCONT)
    server.stop()
    assert not server.alive()


def test_a_secret_is_made_once_for_a_folder_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    made = kept_secret(tmp_path, "kafka")
    assert len(made) >= 32
    assert kept_secret(tmp_path, "minio") != made
    assert kept_secret(tmp_path, "kafka") == made
    assert kept_secret(tmp_path / "other", "kafka") != made
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_a_private_file_that_others_could_read_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "environment"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_as_many_things_are_done_at_once_as_there_are() -> None:
    together = threading.Barrier(40)
    at_once([lambda: together.wait(60)] * 40)


def test_when_one_of_several_things_fails_the_others_are_done_and_it_is_told() -> None:
    done: list[int] = []
    with pytest.raises(ZeroDivisionError):
        at_once([lambda: done.append(1), lambda: 1 / 0, lambda: done.append(3)])
    assert sorted(done) == [1, 3]
