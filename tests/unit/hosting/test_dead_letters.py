from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from continuity.api.events.v1.character_events_pb2 import CharacterIngested
from continuity.client import CallFailed, ContinuityClient
from continuity.client.dead_letters import opened
from continuity.messaging.envelope import MAX_EVENT_BYTES
from continuity.messaging.record import Record
from tests.unit.hosting.letters import AWAY, House, ingested, keeping

GARBAGE = Record("continuity.character.v1", 1, 7, b"\xff\xfe", (("ce_id", b"\xf0\x9f"), ("odd", None)), b"\x00\xffjunk")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with keeping(tmp_path, "vision", "matting") as house:
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[ContinuityClient]:
    async with ContinuityClient(house.address, timeout_s=10) as client:
        yield client


async def test_a_letter_tells_what_the_event_was_and_why_it_is_dead(house: House, client: ContinuityClient) -> None:
    held = house.put_aside("vision", ingested("Ward", 3), stack="Traceback …")
    found = await client.dead_letters.get("vision", held.id)
    letter, content = found.dead_letter, found.content
    assert (letter.consumer, letter.topic, letter.partition, letter.offset) == (
        "vision",
        "continuity.character.v1",
        2,
        3,
    )
    assert (letter.key, letter.project, letter.event_id) == ("c-3", "noir", "e-3")
    assert (letter.event_type, letter.event_source) == ("CharacterIngested", "continuity/characters")
    assert (letter.failure.reason, letter.failure.metadata["field"]) == ("INVALID_VALUE", "picture")
    assert letter.attempts == 1
    assert letter.hold_time.seconds > 1_700_000_000
    assert content.headers["ce_partitionkey"] == "c-3"
    assert (content.stack, content.cut) == ("Traceback …", False)
    event = opened(letter.event_type, content.payload)
    assert isinstance(event, CharacterIngested)
    assert event.name == "Ward"


async def test_every_service_has_letters_of_its_own(house: House, client: ContinuityClient) -> None:
    held = house.put_aside("vision", ingested("Ward", 1))
    assert [letter.id async for letter in client.dead_letters.list("vision")] == [held.id]
    assert [letter.id async for letter in client.dead_letters.list("matting")] == []


async def test_pages_hold_every_letter_once_newest_first(house: House, client: ContinuityClient) -> None:
    held = [house.put_aside("vision", ingested("Ward", number)).id for number in range(7)]
    assert [letter.id async for letter in client.dead_letters.list("vision", page_size=3)] == held[::-1]


async def test_what_waits_for_a_retry_is_no_dead_letter(house: House, client: ContinuityClient) -> None:
    held = house.put_aside("vision", ingested("Ward", 1), AWAY)
    assert [letter async for letter in client.dead_letters.list("vision")] == []
    with pytest.raises(CallFailed) as failed:
        await client.dead_letters.get("vision", held.id)
    assert failed.value.status is grpc.StatusCode.NOT_FOUND


async def test_a_replayed_letter_waits_to_be_handled(house: House, client: ContinuityClient) -> None:
    held = house.put_aside("vision", ingested("Ward", 1))
    await client.dead_letters.replay("vision", held.id)
    assert house.states("vision") == {held.id: "waiting"}
    with pytest.raises(CallFailed) as failed:
        await client.dead_letters.replay("vision", held.id)
    assert failed.value.status is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_dropped_letter_is_gone(house: House, client: ContinuityClient) -> None:
    held = house.put_aside("vision", ingested("Ward", 1))
    await client.dead_letters.drop("vision", held.id)
    assert house.states("vision") == {}
    for again in (client.dead_letters.drop, client.dead_letters.replay):
        with pytest.raises(CallFailed) as failed:
            await again("vision", held.id)
        assert failed.value.status is grpc.StatusCode.NOT_FOUND


async def test_garbage_is_shown_as_far_as_it_can_be_read(house: House, client: ContinuityClient) -> None:
    held = house.put_aside("vision", GARBAGE)
    found = await client.dead_letters.get("vision", held.id)
    assert found.dead_letter.key == "\ufffd\ufffd"
    assert dict(found.content.headers) == {"ce_id": "\ufffd", "odd": ""}
    assert found.content.payload == b"\x00\xffjunk"
    assert (found.dead_letter.project, found.dead_letter.event_type) == ("", "")


async def test_a_letter_that_is_cut_says_so_and_cannot_be_replayed(house: House, client: ContinuityClient) -> None:
    long = Record(GARBAGE.topic, 0, 8, None, (), b"x" * (MAX_EVENT_BYTES + 1))
    held = house.put_aside("vision", long)
    found = await client.dead_letters.get("vision", held.id)
    assert (found.content.cut, len(found.content.payload)) == (True, MAX_EVENT_BYTES)
    with pytest.raises(CallFailed) as failed:
        await client.dead_letters.replay("vision", held.id)
    assert failed.value.reason == "NOT_REPLAYABLE"


async def test_a_service_that_is_not_hosted_here_is_not_found_and_those_that_are_get_named(
    client: ContinuityClient,
) -> None:
    with pytest.raises(CallFailed, match="'rendering' are not kept here, only those of matting, vision") as failed:
        await client.dead_letters.get("rendering", "x")
    assert (failed.value.status, failed.value.reason) == (grpc.StatusCode.NOT_FOUND, "CONSUMER_MISSING")


@pytest.mark.parametrize("consumer", ["", "No Service", "x" * 64])
async def test_a_consumer_must_be_named(client: ContinuityClient, consumer: str) -> None:
    with pytest.raises(CallFailed) as failed:
        await client.dead_letters.get(consumer, "x")
    assert failed.value.status is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("type", "payload"), [("", b""), ("DESCRIPTOR", b""), ("PromptBuilt", b"\xff\xff"), ("X", b"")]
)
def test_what_is_no_event_of_ours_is_not_opened(type: str, payload: bytes) -> None:
    assert opened(type, payload) is None
