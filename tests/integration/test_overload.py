"""More than there is room for, and what is not done in time, as clients and commands behind the proxy see it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from continuity.api.common.v1.shot_pb2 import Shot, ShotType
from continuity.api.rendering.v1.job_pb2 import Job
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.api.rendering.v1.render_service_pb2_grpc import RenderServiceStub
from continuity.client import ContinuityClient
from continuity.kernel.ids import new_id
from continuity.rpc.calls import PROJECT_HEADER
from continuity.telemetry.names import JOB_ID, RENDER, RPC_STATUS
from deploy.local.distributed import Distributed
from deploy.local.servers.kafka import Kafka
from services.rendering.domain.job import UNFINISHED
from services.rendering.handlers.admission import LONGEST_WAIT_S, SHORTEST_WAIT_S
from tests.component.telemetry.receiver import SUBMIT, Collector, attributes, receiving
from tests.e2e import film
from tests.e2e.conftest import ROOT, environment
from tests.integration.conftest import observing
from tests.integration.topics import Letter, everything, lag

pytestmark = [pytest.mark.infra, pytest.mark.triton, pytest.mark.slow]

LIMIT_S = 60.0
UNFINISHED_LIMIT = 4_000
"""The least that a service can be told to take on; one project may have half of it."""
ROOM = UNFINISHED_LIMIT // 2
RENDERS, PROMPTS = "continuity.render.v1", "continuity.prompt.v1"


@dataclass(frozen=True)
class House:
    """A small house: where it keeps its documents, and what its services tell."""

    services: Distributed
    home: Path
    kafka: Kafka
    collector: Collector

    def unfinished(self, project: str) -> int:
        """Return how many jobs of the project the store has that are not finished."""
        states = ", ".join(f"'{state}'" for state in UNFINISHED)
        counted = f"SELECT count(*) FROM c_jobs WHERE project = ? AND json_extract(body, '$.state') IN ({states})"
        with closing(sqlite3.connect(self.home / "documents.sqlite3")) as database:
            return int(database.execute(counted, [project]).fetchone()[0])

    def prompts(self, project: str) -> int:
        """Return how many prompts the project has."""
        with closing(sqlite3.connect(self.home / "documents.sqlite3")) as database:
            counted = "SELECT count(*) FROM c_prompts WHERE project = ?"
            return int(database.execute(counted, [project]).fetchone()[0])

    def submissions(self) -> list[Span]:
        """Return the calls that were served, one after the other."""
        calls = [span for span in self.collector.spans if span.name == SUBMIT and span.kind == Span.SPAN_KIND_SERVER]
        return sorted(calls, key=lambda span: span.start_time_unix_nano)

    async def refuses_again(self, before: int) -> None:
        """Return when more submissions than before were refused because the service is full."""
        async with asyncio.timeout(LIMIT_S):
            while sum(map(is_refused, self.submissions())) <= before:
                await asyncio.sleep(0.05)

    async def told_of(self, jobs: set[str]) -> list[Letter]:
        """Return the events of these jobs, when everybody has acknowledged all events."""
        async with asyncio.timeout(LIMIT_S):
            for group, topic in (("prompts", RENDERS), ("rendering", PROMPTS)):
                while await asyncio.to_thread(lag, self.kafka.address, group, [topic]):
                    await asyncio.sleep(0.1)
        every = await asyncio.to_thread(everything, self.kafka.address, [RENDERS, PROMPTS])
        return [each for each in every if each.said("ce_subject") in jobs]

    async def begun(self, project: str, *arguments: str | Path) -> Process:
        """Begin a command, as a user does who knows the one address."""
        variables = environment(self.home.parent, address=self.services.address, project=project)
        command = ROOT / "bin" / "continuity"
        return await asyncio.create_subprocess_exec(command, *arguments, env=variables, stdout=PIPE, stderr=PIPE)


def is_refused(call: Span) -> bool:
    return bool(attributes(call)[RPC_STATUS] == "RESOURCE_EXHAUSTED")


@pytest.fixture(scope="module")
def house(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Submissions, prompts and Triton, with room for few shots and their documents in SQLite, which is quick."""
    folder = tmp_path_factory.mktemp("house")
    with ExitStack() as stack:
        collector = stack.enter_context(receiving())
        variables = {
            **kafka.variables,
            **observing(collector),
            "CONTINUITY_MAX_UNFINISHED_JOBS": str(UNFINISHED_LIMIT),
            "CONTINUITY_HOME": str(folder / "home"),
        }
        services = Distributed(folder, variables, replicas=1, services=["characters", "prompts", "rendering"])
        services.start()
        stack.callback(services.stop)
        yield House(services, folder / "home", kafka, collector)


@pytest.fixture
def project(request: pytest.FixtureRequest) -> str:
    return request.node.name.replace("_", "-")[:40]


@pytest.fixture
async def client(house: House, project: str) -> AsyncIterator[ContinuityClient]:
    patient_s = 2 * LONGEST_WAIT_S  # as long as a service that has not seen its queue move may tell it to wait
    async with ContinuityClient(house.services.address, project=project, timeout_s=patient_s) as opened:
        yield opened


def of_nobody(count: int) -> SubmitShotsRequest:
    """Return shots that wait for somebody who never comes."""
    nobody = new_id()
    shots = [
        Shot(scene_id="1", shot_number=number, shot_type=ShotType.SHOT_TYPE_WIDE, character_ids=[nobody])
        for number in range(1, count + 1)
    ]
    return SubmitShotsRequest(film="Backlog", shots=shots)


def within(seconds: int, count: int) -> SubmitShotsRequest:
    """Return shots in which nobody is seen."""
    shots = [
        Shot(scene_id="1", shot_number=number, shot_type=ShotType.SHOT_TYPE_WIDE) for number in range(1, count + 1)
    ]
    return SubmitShotsRequest(film="Empty Rooms", shots=shots, time_to_live=Duration(seconds=seconds))


def shot_list(folder: Path, count: int) -> Path:
    """Write a list of such shots."""
    shot = "      - {{shot: {}, shot_type: wide, description: Nobody is there.}}\n"
    shots = "".join(shot.format(number) for number in range(1, count + 1))
    path = folder / "film.yaml"
    path.write_text(
        "film: {title: Empty Rooms}\n"
        "locations:\n  - {name: Hangar, type: interior, description: a bare hangar}\n"
        f"scenes:\n  - id: 1\n    location: Hangar\n    shots:\n{shots}"
    )
    return path


async def ended(command: Process, expect: int) -> Any:
    """Return what a command has shown."""
    async with asyncio.timeout(LIMIT_S):
        out, err = await command.communicate()
    assert command.returncode == expect, err.decode()
    return json.loads(out)


async def cancelled(client: ContinuityClient, jobs: Iterator[Job], count: int) -> None:
    for _ in range(count):
        await client.shots.cancel(next(jobs).id)


@pytest.mark.timeout(400)
async def test_who_finds_a_service_full_comes_again_when_it_was_told_to_and_is_taken_on(
    house: House, client: ContinuityClient, project: str, tmp_path: Path
) -> None:
    jobs = iter((await client.shots.submit(of_nobody(ROOM))).jobs)
    async with grpc.aio.insecure_channel(house.services.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            call = RenderServiceStub(channel).SubmitShots
            await call(of_nobody(1), metadata=((PROJECT_HEADER, project),), timeout=LIMIT_S)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    asked = RetryInfo()
    assert any(detail.Unpack(asked) for detail in rpc_status.from_call(caught.value).details)
    assert SHORTEST_WAIT_S <= asked.retry_delay.ToTimedelta().total_seconds() <= LONGEST_WAIT_S
    await house.refuses_again(0)

    await cancelled(client, jobs, 50)
    waiting = asyncio.create_task(client.shots.submit(of_nobody(60)))
    await house.refuses_again(1)
    assert house.unfinished(project) == ROOM - 50
    await cancelled(client, jobs, 10)
    assert len((await waiting).jobs) == 60
    assert house.unfinished(project) == ROOM

    before = sum(map(is_refused, house.submissions()))
    await cancelled(client, jobs, 5)
    listed = shot_list(tmp_path, 8)
    command = await house.begun(project, "render", listed, "--out", tmp_path / "out", "--no-wait", "--json")
    await house.refuses_again(before)
    await cancelled(client, jobs, 3)
    assert len((await ended(command, 0))["jobs"]) == 8
    assert house.unfinished(project) <= ROOM

    _, _by_hand, *patient = house.submissions()
    for call, following in pairwise(patient):
        if is_refused(call):
            assert following.start_time_unix_nano - call.end_time_unix_nano >= SHORTEST_WAIT_S * 1e9


async def test_a_prompt_that_comes_too_late_is_not_built_and_nothing_follows(
    house: House, client: ContinuityClient, project: str
) -> None:
    await asyncio.to_thread(house.services.halt, "prompts-1")
    try:
        submission = await client.shots.submit(within(2, 2))
        jobs = await film.finished(client, submission.submission_id)
    finally:
        await asyncio.to_thread(house.services.restart, "prompts-1")
    assert {job.failure.reason for job in jobs.values()} == {"JOB_EXPIRED"}
    sent = await house.told_of(set(jobs))
    types = sorted(each.said("ce_type").removeprefix("film.continuity.") for each in sent)
    assert types == ["KeyframeFailed"] * 2 + ["RenderRequested"] * 2
    assert all(each.said("ce_expirytime") for each in sent if each.said("ce_type").endswith("RenderRequested"))
    assert house.prompts(project) == 0


async def test_a_list_that_is_to_be_rendered_within_a_time_ends_then_and_nobody_draws_it_later(
    house: House, client: ContinuityClient, project: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(house.services.halt, "triton")
    try:
        listed, out = shot_list(tmp_path, 2), tmp_path / "out"
        told = await ended(await house.begun(project, "render", listed, "--within", "3s", "--out", out, "--json"), 1)
    finally:
        await asyncio.to_thread(house.services.restart, "triton")
    assert [shot["failure"]["reason"] for shot in told["shots"]] == ["JOB_EXPIRED"] * 2
    lost = {shot["job_id"] for shot in told["shots"]}
    expired = {id: (await client.shots.get(id)).expire_time.ToNanoseconds() for id in lost}
    later = await client.shots.submit(within(60, 1))
    (drawn,) = (await film.finished(client, later.submission_id)).values()
    assert drawn.HasField("keyframe"), drawn
    async with asyncio.timeout(LIMIT_S):
        while drawn.id not in (begun := attempts(house.collector)):
            await asyncio.sleep(0.1)
    assert [id for id in lost & begun.keys() if begun[id] >= expired[id]] == []


def attempts(collector: Collector) -> dict[str, int]:
    """Return when the last attempt at each job began, in nanoseconds since 1970."""
    begun: dict[str, int] = {}
    for span in collector.spans:
        if span.name == RENDER.name:
            job = attributes(span)[JOB_ID]
            begun[job] = max(begun.get(job, 0), span.start_time_unix_nano)
    return begun
