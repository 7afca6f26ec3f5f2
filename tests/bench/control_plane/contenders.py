"""Who is measured, each alone on a folder of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

from deploy.local.servers.kafka import Kafka
from deploy.local.servers.mongo import MongoStandIn
from tests.bench.control_plane import bare, celery_chain, product
from tests.bench.control_plane.figures import Amount, Measured
from tests.bench.control_plane.meter import Meter
from tests.bench.control_plane.processes import announced, child, running

CELERY = "Celery + Redis"
EMBEDDED = "embedded broker + SQLite"
KAFKA = "Kafka + SQLite"
REPLICAS = "Kafka + SQLite, rendering twice"
MONGODB = "Kafka + MongoDB"
STAND_IN = "Kafka + MongoDB stand-in"
BARE = "bare FastStream"
BARE_BATCHES = "bare FastStream, batches"

Contender = Callable[[Path, Amount], Measured]


def everybody() -> Mapping[str, Contender]:
    """Return everybody by name; a real mongod only where ``CONTINUITY_BENCH_MONGODB_URL`` names one."""
    url = os.environ.get("CONTINUITY_BENCH_MONGODB_URL", "")

    def on_mongodb(folder: Path, amount: Amount) -> Measured:
        database = f"bench-{os.getpid()}"
        return on_kafka(
            folder, amount, variables={"CONTINUITY_MONGODB_URL": url, "CONTINUITY_MONGODB_DATABASE": database}
        )

    named: dict[str, Contender] = {MONGODB: on_mongodb} if url else {}
    return {
        CELERY: celery_chain.measure,
        EMBEDDED: embedded,
        KAFKA: on_kafka,
        REPLICAS: lambda folder, amount: on_kafka(folder, amount, renderings=2),
        **named,
        STAND_IN: _on_stand_in,
        BARE: _bare,
        BARE_BATCHES: lambda folder, amount: _bare(folder, amount, "--batches"),
    }


def embedded(folder: Path, amount: Amount, profile: Path | None = None) -> Measured:
    """Measure what users run by default."""
    with product.in_one_process(folder, profile) as set_up:
        return product.measure(set_up, folder, amount)


def on_kafka(
    folder: Path,
    amount: Amount,
    profile: Path | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
    servers: Mapping[str, int] = MappingProxyType({}),
    renderings: int = 1,
) -> Measured:
    """Measure a process for each service on a real Kafka; documents are where ``variables`` say."""
    with running(Kafka(folder / "kafka")) as kafka:
        counted = {"kafka": kafka.pid or 0, **servers}
        with product.in_processes(folder, counted, {**kafka.variables, **variables}, profile, renderings) as set_up:
            return product.measure(set_up, folder, amount)


def _on_stand_in(folder: Path, amount: Amount) -> Measured:
    """It has no indexes: a tenth of the shots shows that it works."""
    less = Amount(amount.shots // 10, 1, amount.singles // 4)
    with running(MongoStandIn(folder / "mongo")) as mongo:
        return on_kafka(folder, less, variables=mongo.variables, servers={"mongodb": mongo.pid or 0})


def _bare(folder: Path, amount: Amount, *options: str) -> Measured:
    with running(Kafka(folder / "kafka")) as kafka, ExitStack() as stack:
        bare.make_topics(kafka.address)
        pids = {"kafka": kafka.pid or 0}
        for service in bare.SERVICES:
            command = (sys.executable, "-m", "tests.bench.control_plane.bare", service, kafka.address, *options)
            process = stack.enter_context(child(service, folder, *command))
            announced(process)
            pids[service] = process.pid
        return asyncio.run(_bare_measured(kafka.address, folder, pids, amount))


async def _bare_measured(address: str, folder: Path, pids: Mapping[str, int], amount: Amount) -> Measured:
    client = bare.BareClient(address)
    await client.start()
    try:
        await client.batch(amount.shots // 10)
        meter = Meter(folder, pids)
        batches_s = [await client.batch(amount.shots) for _ in range(amount.rounds)]
        load = meter.read(amount.shots * amount.rounds)
        return Measured(amount.shots, batches_s, await client.singles(amount.singles), load)
    finally:
        await client.stop()
