"""Every service as processes of its own behind one address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from continuity.api.rendering.v1.job_pb2 import Job, JobState
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsResponse
from continuity.cli.health import ASKED, healths
from continuity.client import CallFailed, ContinuityClient
from deploy.local.distributed import Distributed
from deploy.local.servers.kafka import Kafka
from deploy.local.servers.minio import Minio
from deploy.local.servers.mongo import MongoStandIn
from tests.e2e import film

pytestmark = [pytest.mark.infra, pytest.mark.triton, pytest.mark.slow]


@pytest.fixture(scope="module")
def distributed(
    kafka: Kafka, minio: Minio, mongo: MongoStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Distributed]:
    variables = {**kafka.variables, **minio.variables, **mongo.variables, "CONTINUITY_S3_BUCKET": "distributed"}
    minio.create_bucket("distributed")
    processes = Distributed(tmp_path_factory.mktemp("distributed"), variables, replicas=2)
    processes.start()
    yield processes
    processes.stop()
    assert not any(server.alive() for server in processes.servers)


@pytest.fixture
async def client(distributed: Distributed, request: pytest.FixtureRequest) -> AsyncIterator[ContinuityClient]:
    async with ContinuityClient(distributed.address, project=request.node.name[:40].replace("_", "-")) as opened:
        yield opened


async def test_a_film_renders_behind_the_proxy_and_progress_arrives_live(client: ContinuityClient) -> None:
    character_id, location_id = await film.cast(client)
    submission = await film.submit(client, film.shots(character_id, location_id, 6), "live")
    ends: dict[str, int] = {}
    steps_before_the_first_end = 0
    async for update in client.shots.watch(submission_id=submission.submission_id):
        if update.HasField("progress") and not ends:
            steps_before_the_first_end += 1
        if update.HasField("job") and update.job.state == JobState.JOB_STATE_SUCCEEDED:
            ends[update.job.id] = update.job.state
            assert (await client.shots.download(update.job)).startswith(b"\x89PNG")
    assert len(ends) == 6
    assert steps_before_the_first_end, "progress came only after the pictures: the proxy holds the stream back"


async def test_an_answer_that_is_only_a_status_comes_through_unharmed(client: ContinuityClient) -> None:
    for _ in range(50):
        with pytest.raises(CallFailed) as failed:
            await client.shots.get("00000000-0000-5000-8000-000000000000")
        assert failed.value.status is grpc.StatusCode.NOT_FOUND


async def test_every_service_tells_its_health_through_the_proxy(distributed: Distributed) -> None:
    told = await healths(distributed.address)
    assert {name for name, health in told.items() if health == "SERVING"} >= {each for each in ASKED if ".api." in each}
    async with asyncio.timeout(60):  # broker and renderer are looked at again and again
        while await healths(distributed.address) != dict.fromkeys(ASKED, "SERVING"):
            await asyncio.sleep(0.1)


async def test_calls_go_on_while_one_replica_of_each_service_is_dead(
    distributed: Distributed, client: ContinuityClient
) -> None:
    pids = [distributed.kill(f"{name}-1") for name in distributed.replicas]
    character_id, location_id = await film.cast(client)
    submission = await film.submit(client, film.shots(character_id, location_id, 2), "killed")
    jobs = await film.finished(client, submission.submission_id)
    assert {job.state for job in jobs.values()} == {JobState.JOB_STATE_SUCCEEDED}
    async with asyncio.timeout(60):
        while not all(replicas[0].answers() for replicas in distributed.replicas.values()):
            await asyncio.sleep(0.1)
    assert not set(pids) & {replicas[0].pid for replicas in distributed.replicas.values()}


async def test_a_film_under_way_survives_a_restart_of_every_process(
    distributed: Distributed, client: ContinuityClient
) -> None:
    character_id, location_id = await film.cast(client)
    watching: list[asyncio.Task[dict[str, Job]]] = []
    for name, program in ((name, program) for name, replicas in distributed.replicas.items() for program in replicas):
        shots = film.shots(character_id, location_id, 12 if name == "rendering" else 4)
        take = await film.submit(client, shots, f"take of {program.name}")
        watching.append(asyncio.create_task(film.finished(client, take.submission_id)))
        if name == "rendering":
            await until_one_is_drawn(client, take.submission_id)
            assert await open_jobs(client, take) > 1, "nothing is left for the restart to interrupt"
        await asyncio.to_thread(distributed.restart, program.name)
    takes = await asyncio.wait_for(asyncio.gather(*watching), 180)
    assert sum(map(len, takes)) == 2 * (12 + 4 * (len(distributed.replicas) - 1))
    assert {(job.state, job.attempts) for jobs in takes for job in jobs.values()} == {(JobState.JOB_STATE_SUCCEEDED, 1)}


async def until_one_is_drawn(client: ContinuityClient, submission_id: str) -> None:
    async with asyncio.timeout(60):
        async for update in client.shots.watch(submission_id=submission_id):
            if update.HasField("job") and update.job.state == JobState.JOB_STATE_RENDERING:
                return


async def open_jobs(client: ContinuityClient, take: SubmitShotsResponse) -> int:
    found = [await client.shots.get(job.id) for job in take.jobs]
    return sum(job.state not in (JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED) for job in found)


async def test_health_is_answered_through_the_proxy(distributed: Distributed) -> None:
    async with grpc.aio.insecure_channel(distributed.address) as channel:
        asked = health_pb2.HealthCheckRequest(service="")
        answer = await health_pb2_grpc.HealthStub(channel).Check(asked, timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_dead_letters_of_every_service_are_asked_for_at_the_one_address(
    distributed: Distributed, client: ContinuityClient
) -> None:
    for name in distributed.replicas:
        assert [letter async for letter in client.dead_letters.list(name)] == []
