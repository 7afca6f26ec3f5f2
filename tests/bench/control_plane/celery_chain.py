"""The baseline: five stages on Celery and Redis, each durable before it is acknowledged."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deploy.local.ports import free_port
from deploy.local.servers.base import Server
from tests.bench.control_plane.figures import Amount, Measured
from tests.bench.control_plane.meter import Meter
from tests.bench.control_plane.processes import ROOT, child, environment, running

PYTHON = ROOT / ".venv-bench" / "bin" / "python"
STAGES = "tests.bench.control_plane_celery.stages"
DRIVER = "tests.bench.control_plane_celery.driver"
CONCURRENCIES = (2, 4, 8)
TRIAL_SHOTS = 300
LIMIT_S = 900.0


class Redis(Server):
    """Redis that has every write on the disk before it answers."""

    name = "redis"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, free_port())

    def command(self) -> Sequence[str]:
        """Return the command line."""
        durable = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
        return [
            shutil.which("redis-server") or "",
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--dir",
            str(self.folder),
            *durable,
        ]

    def answers(self) -> bool:
        """Tell whether it answers PING."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def measure(folder: Path, amount: Amount) -> Measured:
    """Measure the chain with the number of worker processes that a short trial shows to be the fastest."""
    require()
    trial = Amount(TRIAL_SHOTS, rounds=1, singles=1)
    trials = {number: _measured(folder / f"trial-{number}", number, trial).shots_per_s for number in CONCURRENCIES}
    best = max(trials, key=lambda number: trials[number])
    return replace(_measured(folder / "best", best, amount), trials=trials)


def require() -> None:
    """Raise ``FileNotFoundError`` with what to do when Celery or Redis is not there."""
    if not PYTHON.exists() or not shutil.which("redis-server"):
        raise FileNotFoundError("Celery or redis-server is missing: run python3 deploy/local/set_up.py bench")


def _measured(folder: Path, workers: int, amount: Amount) -> Measured:
    folder.mkdir(parents=True)
    with running(Redis(folder / "redis")) as redis:
        where = {"BENCH_REDIS_URL": f"redis://{redis.address}/0", "BENCH_DATABASE": str(folder / "shots.sqlite3")}
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
        worker = (PYTHON, "-m", "celery", "-A", STAGES, "worker", "--pool", "prefork", "-c", str(workers), *quiet)
        with child("celery", folder, *worker, **where) as process:
            return _driven(folder, where, {"celery": process.pid, "redis": redis.pid or 0}, amount)


def _driven(folder: Path, where: Mapping[str, str], pids: Mapping[str, int], amount: Amount) -> Measured:
    named = {"--shots": amount.shots, "--rounds": amount.rounds, "--singles": amount.singles}
    command = [str(PYTHON), "-m", DRIVER, *(str(part) for pair in named.items() for part in pair)]
    meter = Meter(folder, pids)
    done = subprocess.run(
        command, cwd=ROOT, env=environment(**where), capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    answer = json.loads(done.stdout)
    load = meter.read(amount.shots * amount.rounds + amount.singles)
    return Measured(amount.shots, answer["batches_s"], answer["latencies_s"], load)
