import asyncio

import grpc
import pytest

from continuity.api.common.v1.shot_pb2 import LOCATION_TYPE_EXTERIOR, Shot
from continuity.api.rendering.v1.job_pb2 import JOB_STATE_CANCELLED, JOB_STATE_SUCCEEDED
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.client import CallFailed, CharacterGone, CharacterNotReady, ContinuityClient, KeyframeDamaged
from continuity.kernel.errors import Unavailable
from tests.unit.client.conftest import IMPATIENT
from tests.unit.client.fakes import READY
from tests.unit.client.studio import Studio

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
SHOTS = SubmitShotsRequest(film="Pilot", shots=[Shot(scene_id="1", shot_number=number) for number in (1, 2, 3)])


class Away(Unavailable):
    template = "the store is away"


async def finished_job(client: ContinuityClient):
    submitted = await client.shots.submit(SHOTS)
    updates = [update async for update in client.shots.watch(submission_id=submitted.submission_id)]
    return updates[-1].job


async def test_a_character_is_made_and_waited_for(client: ContinuityClient) -> None:
    made = await client.characters.create("Ward", b"photo", height_m=1.63)
    ready = await client.characters.until_ready(made.id)
    assert (ready.name, ready.height_m, ready.state) == ("Ward", 1.63, READY)


async def test_calls_carry_the_project(client: ContinuityClient, studio: Studio) -> None:
    await client.characters.create("Ward", b"photo")
    assert studio.projects == {"pilot"}


async def test_lists_go_through_all_pages(client: ContinuityClient, studio: Studio) -> None:
    names = [f"Extra {number}" for number in range(5)]
    for name in names:
        await client.characters.create(name, b"photo")
    assert [each.name async for each in client.characters.list()] == names
    assert studio.calls["ListCharacters"] == 3


async def test_a_deleted_character_is_gone(client: ContinuityClient) -> None:
    await client.characters.create("Ward", b"photo")
    await client.characters.delete("Ward")
    with pytest.raises(CallFailed) as failed:
        await client.characters.get("Ward")
    assert failed.value.status is grpc.StatusCode.NOT_FOUND


async def test_waiting_for_a_character_that_is_deleted_says_so(client: ContinuityClient) -> None:
    with pytest.raises(CharacterGone, match="character-9 was deleted"):
        await client.characters.until_ready("character-9")


async def test_waiting_for_a_character_has_an_end(client: ContinuityClient, studio: Studio) -> None:
    studio.hanging.add("WatchCharacter")
    made = await client.characters.create("Ward", b"photo")
    with pytest.raises(CharacterNotReady, match=r"within 0\.2 s"):
        await client.characters.until_ready(made.id, timeout_s=0.2)


async def test_a_location_is_saved_found_listed_and_deleted(client: ContinuityClient) -> None:
    saved = await client.locations.save("Pad Nine", LOCATION_TYPE_EXTERIOR, description="a launch pad")
    assert (await client.locations.get("Pad Nine")).description == "a launch pad"
    assert [each.id async for each in client.locations.list()] == [saved.id]
    await client.locations.delete(saved.id)
    assert [each async for each in client.locations.list()] == []


async def test_the_vocabulary_comes_as_spellings_by_field(client: ContinuityClient) -> None:
    spellings = await client.vocabulary.spellings()
    assert spellings["shot_type"]["close-up"] == "close-up"
    assert "noir" in spellings["style"]


async def test_shots_are_submitted_watched_and_downloaded(client: ContinuityClient) -> None:
    job = await finished_job(client)
    assert job.state == JOB_STATE_SUCCEEDED
    assert (await client.shots.download(job)).startswith(b"\x89PNG")


async def test_damaged_bytes_are_refused(client: ContinuityClient, studio: Studio) -> None:
    job = await finished_job(client)
    studio.damage = b"not what was rendered"
    with pytest.raises(KeyframeDamaged, match=job.keyframe.object.sha256):
        await client.shots.download(job)


async def test_a_job_is_cancelled_and_a_finished_one_is_not(client: ContinuityClient) -> None:
    submitted = await client.shots.submit(SHOTS)
    assert (await client.shots.cancel(submitted.jobs[0].id)).state == JOB_STATE_CANCELLED
    job = await finished_job(client)
    with pytest.raises(CallFailed) as failed:
        await client.shots.cancel(job.id)
    assert failed.value.status is grpc.StatusCode.FAILED_PRECONDITION


async def test_jobs_are_listed_by_state(client: ContinuityClient) -> None:
    submitted = await client.shots.submit(SHOTS)
    await client.shots.cancel(submitted.jobs[1].id)
    listed = [job.id async for job in client.shots.list(state=JOB_STATE_CANCELLED)]
    assert listed == [submitted.jobs[1].id]


async def test_a_refusal_keeps_status_reason_message_and_values(client: ContinuityClient) -> None:
    with pytest.raises(CallFailed) as failed:
        await client.characters.create("Ward", b"")
    assert failed.value.status is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.reason == "INVALID_VALUE"
    assert str(failed.value) == "photo: '0 bytes' is not acceptable; a picture is wanted"
    assert failed.value.metadata["field"] == "photo"


async def test_an_error_of_the_network_has_its_status_as_reason(client: ContinuityClient, studio: Studio) -> None:
    studio.faults["GetJob"] = [grpc.StatusCode.UNKNOWN]
    with pytest.raises(CallFailed) as failed:
        await client.shots.get("any")
    assert (failed.value.reason, failed.value.metadata) == ("UNKNOWN", {})


async def test_a_service_that_is_away_for_a_moment_is_called_again(client: ContinuityClient, studio: Studio) -> None:
    studio.faults["CreateCharacter"] = [UNAVAILABLE, UNAVAILABLE]
    await client.characters.create("Ward", b"photo")
    assert studio.calls["CreateCharacter"] == 3


async def test_repetitions_have_the_same_request_id(client: ContinuityClient, studio: Studio) -> None:
    studio.faults["SubmitShots"] = [UNAVAILABLE]
    await client.shots.submit(SHOTS)
    first, second = (request.request_id for request in studio.requests)
    assert first
    assert first == second


async def test_two_submissions_have_two_request_ids(client: ContinuityClient, studio: Studio) -> None:
    first, second = await client.shots.submit(SHOTS), await client.shots.submit(SHOTS)
    assert first.submission_id != second.submission_id


async def test_patience_has_an_end(client: ContinuityClient, studio: Studio) -> None:
    studio.faults["GetJob"] = [UNAVAILABLE] * 9
    with pytest.raises(CallFailed) as failed:
        await client.shots.get("any")
    assert failed.value.status is UNAVAILABLE
    assert studio.calls["GetJob"] == IMPATIENT.attempts


async def test_a_deletion_is_not_repeated(client: ContinuityClient, studio: Studio) -> None:
    studio.faults["DeleteCharacter"] = [UNAVAILABLE]
    with pytest.raises(CallFailed):
        await client.characters.delete("Ward")
    assert studio.calls["DeleteCharacter"] == 1


async def test_a_refusal_is_not_repeated(client: ContinuityClient, studio: Studio) -> None:
    with pytest.raises(CallFailed):
        await client.shots.get("nobody's")
    assert studio.calls["GetJob"] == 1


async def test_a_call_has_a_deadline(address: str, studio: Studio) -> None:
    studio.hanging.add("GetJob")
    async with ContinuityClient(address, timeout_s=0.2) as client:
        with pytest.raises(CallFailed) as failed:
            await client.shots.get("any")
    assert failed.value.status is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_when_the_time_is_over_amid_a_repetition_the_reason_for_it_is_told(address: str, studio: Studio) -> None:
    studio.refusals["GetJob"] = [Away()]
    studio.hanging.add("GetJob")
    async with ContinuityClient(address, timeout_s=0.5, backoff=IMPATIENT) as client:
        with pytest.raises(CallFailed, match="the store is away") as failed:
            await client.shots.get("any")
    assert failed.value.status is UNAVAILABLE
    assert studio.calls["GetJob"] == 2


async def test_a_watch_goes_on_after_an_interruption(client: ContinuityClient, studio: Studio) -> None:
    studio.faults["WatchJobs"] = [UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE]
    assert (await finished_job(client)).state == JOB_STATE_SUCCEEDED
    assert studio.calls["WatchJobs"] == 5


async def test_a_download_is_begun_anew_after_an_interruption(client: ContinuityClient, studio: Studio) -> None:
    job = await finished_job(client)
    studio.faults["DownloadKeyframe"] = [UNAVAILABLE]
    assert (await client.shots.download(job)).startswith(b"\x89PNG")


async def test_a_watcher_that_stops_early_ends_the_call(client: ContinuityClient, studio: Studio) -> None:
    studio.hanging.add("WatchJobs")
    submitted = await client.shots.submit(SHOTS)
    watch = client.shots.watch(submission_id=submitted.submission_id)
    for _ in submitted.jobs:
        await anext(watch)
    task = asyncio.create_task(anext(watch))
    await asyncio.to_thread(studio.hung.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(studio.released.wait, 10)


async def test_nobody_at_the_address_is_unavailable() -> None:
    async with ContinuityClient("127.0.0.1:1", timeout_s=10, backoff=IMPATIENT) as client:
        with pytest.raises(CallFailed) as failed:
            await client.shots.get("any")
    assert failed.value.status is UNAVAILABLE


def test_waits_between_attempts_double_up_to_a_limit_and_are_random() -> None:
    waits = [[IMPATIENT.wait_s(failures) for _ in range(200)] for failures in (1, 2, 9)]
    assert max(waits[0]) <= 0.001 < max(waits[1]) <= 0.002
    assert max(waits[2]) <= 0.002
    assert len(set(waits[0])) > 100
