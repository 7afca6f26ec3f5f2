"""The product in its set-ups: one process on the embedded broker, or a process for each service on real servers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.control_plane.client import Target, batch, location, singles, warm_up
from tests.bench.control_plane.figures import Amount, Measured
from tests.bench.control_plane.meter import Meter
from tests.bench.control_plane.processes import announced, child

HOSTS = "tests.bench.control_plane.hosts"
ALL = ("characters", "vision", "matting", "prompts", "rendering")
OF_A_SHOT = ("characters", "prompts", "rendering")
"""Each a process of its own; characters gives the location and then has nothing to do."""
RENDER_SLOTS = 8


@dataclass(frozen=True)
class SetUp:
    """Where the running services listen, and the processes that belong to it."""

    shots_addresses: Sequence[str]
    locations_address: str
    processes: Mapping[str, int]


@contextmanager
def in_one_process(folder: Path, profile: Path | None = None) -> Iterator[SetUp]:
    """Run what ``services.embedded`` runs, Triton aside."""
    with _service("embedded", folder, ALL, "--embedded", profile=profile) as process:
        address = announced(process)
        yield SetUp([address], address, {"embedded": process.pid})


@contextmanager
def in_processes(
    folder: Path,
    servers: Mapping[str, int],
    variables: Mapping[str, str],
    profile: Path | None = None,
    renderings: int = 1,
) -> Iterator[SetUp]:
    """Run each service that a shot meets against real servers, whose processes count as well."""
    more = {f"rendering-{number}": "rendering" for number in range(2, renderings + 1)}
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(
                _service(name, folder, [service], profile=profile and profile.with_suffix(f".{name}"), **variables)
            )
            for name, service in {**{service: service for service in OF_A_SHOT}, **more}.items()
        }
        addresses = {name: announced(process) for name, process in running.items()}
        pids = {name: process.pid for name, process in running.items()}
        shots = [addresses[name] for name in ("rendering", *more)]
        yield SetUp(shots, addresses["characters"], {**pids, **servers})


def measure(set_up: SetUp, folder: Path, amount: Amount) -> Measured:
    """Hand in batches and single shots; the first few are not counted."""
    return asyncio.run(_measure(set_up, folder, amount))


async def _measure(set_up: SetUp, folder: Path, amount: Amount) -> Measured:
    target = Target(set_up.shots_addresses, await location(set_up.locations_address))
    await warm_up(target)
    meter = Meter(folder, set_up.processes)
    batches_s = [await batch(target, amount.shots) for _ in range(amount.rounds)]
    load = meter.read(amount.shots * amount.rounds)
    await warm_up(target)
    return Measured(amount.shots, batches_s, await singles(target, amount.singles), load)


@contextmanager
def _service(
    name: str, folder: Path, services: Sequence[str], *options: str, profile: Path | None = None, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    own = {"CONTINUITY_HOME": str(folder / "home"), "CONTINUITY_RENDER_SLOTS": str(RENDER_SLOTS)}
    profiling = ("--profile", profile) if profile else ()
    command = (sys.executable, "-m", HOSTS, *services, *options, *profiling)
    with child(name, folder, *command, **own, **variables) as process:
        yield process
