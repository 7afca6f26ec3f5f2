"""Consuming from the real embedded broker: retries, dead letters, poison, strangers."""

import asyncio
from dataclasses import dataclass

import pytest

from continuity.kernel.errors import Conflict, Unavailable, WrongState
from continuity.messaging.cause import current_cause
from continuity.messaging.consumer import MAX_ATTEMPTS
from continuity.messaging.envelope import headers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(eq=False)
class ReelAway(Unavailable):
    """Something that may be mended by waiting."""

    template = "reel {reel} is away"
    reel: str


def failing(error, times=1_000_000):
    """Return a handler that raises ``error`` so many times."""
    left = iter(range(times))

    async def handle(project, message):
        if next(left, None) is not None:
            raise error

    return handle


def said(record):
    return {name: value.decode() for name, value in record.headers}


async def test_an_event_reaches_its_handler_with_project_and_payload(lane, event):
    seen = []

    async def handle(project, message):
        seen.append((project, message.character_id, message.version))

    lane.handle = handle
    await lane.publish(event("reyes", 3, project="noir"))
    await lane.until(lambda: lane.done)
    assert seen == [("noir", "reyes", 3)]
    assert lane.consumer.outcomes == {"handled": 1}


async def test_a_retryable_error_is_retried_until_it_passes(lane, event):
    lane.handle = failing(ReelAway(reel="B"), times=MAX_ATTEMPTS - 1)
    await lane.publish(event())
    await lane.until(lambda: lane.done)
    assert len(lane.causes) == MAX_ATTEMPTS
    assert lane.dead == []


async def test_a_retryable_error_that_stays_ends_in_the_dead_letters(lane, event):
    lane.handle = failing(ReelAway(reel="B"))
    sent = event("reyes")
    await lane.publish(sent)
    await lane.until(lambda: lane.dead)
    assert len(lane.causes) == MAX_ATTEMPTS
    (record,) = lane.dead
    assert (record.key, record.value) == (b"reyes", sent.payload)
    told = said(record)
    assert headers(sent).items() <= told.items()
    assert told["dead-reason"] == "REEL_AWAY"
    assert told["dead-message"] == "reel B is away"
    assert told["dead-group"] == "screening"
    assert "in handle" in told["dead-stack"]
    assert lane.consumer.outcomes == {"dead": 1}


async def test_an_error_for_good_is_not_retried(lane, event):
    lane.handle = failing(WrongState())
    await lane.publish(event())
    await lane.until(lambda: lane.dead)
    assert len(lane.causes) == 1


async def test_a_handler_that_breaks_unforeseen_is_put_aside_once(lane, event):
    lane.handle = failing(ZeroDivisionError("secret"))
    await lane.publish(event())
    await lane.until(lambda: lane.dead)
    told = said(lane.dead[0])
    assert (len(lane.causes), told["dead-reason"]) == (1, "HANDLER_FAILED")
    assert "ZeroDivisionError" in told["dead-message"]
    assert "ZeroDivisionError" in told["dead-stack"], "the stack tells where it broke"


def changed(event, **changes):
    """Return the headers of an event as a broker has them, with some changed or (None) left out."""
    told = {**headers(event), **changes}
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in told.items() if value != ""]


POISON = {
    "no headers": lambda good: (b"\xff\xfe\x00garbage", []),
    "a tombstone": lambda good: (None, []),
    "a payload that does not parse": lambda good: (b"\xff\xff\xff", changed(good)),
    "no id": lambda good: (good.payload, changed(good, ce_id="")),
    "no project": lambda good: (good.payload, changed(good, ce_project="")),
    "another version of CloudEvents": lambda good: (good.payload, changed(good, ce_specversion="0.3")),
    "no version of CloudEvents": lambda good: (good.payload, changed(good, ce_specversion="")),
    "a header without a value": lambda good: (good.payload, changed(good, ce_id=None)),
    "a header that is no text": lambda good: (b"x", [("ce_id", b"\xff\xfe\xfd"), ("odd", b"\x80")]),
    "more than a dead letter holds": lambda good: (b"x" * 1_063_700, []),
}


@pytest.mark.parametrize("poison", POISON)
async def test_poison_is_put_aside_and_blocks_nothing(lane, event, poison):
    value, raw_headers = POISON[poison](event())
    await lane.publish_raw(value, raw_headers)
    await lane.publish(event(version=2))
    await lane.until(lambda: lane.done and lane.dead)
    assert [message.version for message in lane.done] == [2]
    (record,) = lane.dead
    assert said(record)["dead-reason"] == "EVENT_MALFORMED"
    assert (value or b"").startswith(record.value or b"")
    assert {name for name, _ in raw_headers} <= set(said(record))


async def test_a_type_that_this_version_does_not_know_is_skipped_and_counted(lane, event):
    await lane.publish(event(type="CharacterRecast", payload=b"\xff\xff"), event(version=2))
    await lane.until(lambda: lane.done)
    assert [message.version for message in lane.done] == [2]
    assert lane.consumer.outcomes == {"unknown": 1, "handled": 1}
    assert lane.dead == []


async def test_the_service_is_told_what_was_given_up_and_why(lane, event):
    told = []

    async def tell(given_up, error):
        told.append((given_up.subject, error.reason, current_cause()))

    lane.handle, lane.told_dead = failing(WrongState()), tell
    sent = event("reyes")
    await lane.publish(sent)
    await lane.until(lambda: lane.dead)
    lane.handle = failing(WrongState(), times=0)
    await lane.publish(event("reyes"))
    await lane.until(lambda: lane.done)
    ((subject, reason, cause),) = told
    assert (subject, reason, cause.id) == ("reyes", "WRONG_STATE", sent.id)


async def test_telling_is_retried_as_handling_is(lane, event):
    told = asyncio.Event()
    tries = []

    async def tell(given_up, error):
        tries.append(given_up)
        if len(tries) < 3:
            raise Conflict
        told.set()

    lane.handle, lane.told_dead = failing(WrongState()), tell
    await lane.publish(event())
    async with asyncio.timeout(20):
        await told.wait()
    assert len(tries) == 3


@pytest.mark.parametrize("error", [WrongState(), Unavailable(), KeyError("unforeseen")], ids=repr)
async def test_telling_that_fails_blocks_nothing_and_the_event_is_noted(lane, event, error):
    async def tell(given_up, reason):
        raise error

    lane.handle, lane.told_dead = failing(WrongState(), times=1), tell
    lost, good = event("a"), event("a", 2)
    await lane.publish(lost, good)
    await lane.until(lambda: lane.done)
    assert [message.version for message in lane.done] == [2]
    assert lost.id in lane.checkpoints.ids


async def test_every_event_is_noted_once_it_is_handled_skipped_or_given_up(lane, event):
    lane.handle = failing(WrongState(), times=1)
    events = [event(), event(type="CharacterRecast"), event(version=2), event(version=3)]
    await lane.publish(*events)
    await lane.until(lambda: len(lane.done) == 2)
    assert lane.checkpoints.ids[:3] == [each.id for each in events[:3]]


async def test_a_note_that_cannot_be_taken_blocks_nothing(lane, event, monkeypatch):
    async def away(group, event_id):
        raise ReelAway(reel="checkpoints")

    monkeypatch.setattr(lane.checkpoints, "handled", away)
    await lane.publish(event(), event(version=2))
    await lane.until(lambda: len(lane.done) == 2)
