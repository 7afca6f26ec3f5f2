"""Consuming from the real embedded broker: retries, order, dead letters, poison, strangers."""

import asyncio
from dataclasses import dataclass

import pytest

from continuity.documents import DocumentsUnavailable
from continuity.kernel.errors import Absent, Conflict, Unavailable, WrongState
from continuity.messaging.cause import current_cause
from continuity.messaging.consumer import STORE_TRIES
from continuity.messaging.envelope import MAX_EVENT_BYTES, headers
from continuity.messaging.held_events import NotDead, NotReplayable
from continuity.messaging.verdict import ABSENT_ATTEMPTS, MAX_ATTEMPTS

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


async def only_dead(lane):
    """Return the one dead letter of the lane's topic, and its id."""
    (held,) = [each for each in (await lane.held.list(limit=500))[0] if each.record.topic == lane.topic.name]
    return held


async def test_an_event_reaches_its_handler_with_project_and_payload(lane, event):
    seen = []

    async def handle(project, message):
        seen.append((project, message.character_id, message.version))

    lane.handle = handle
    await lane.publish(event("reyes", 3, project="noir"))
    await lane.until(lambda: lane.done)
    assert seen == [("noir", "reyes", 3)]


async def test_a_retryable_error_is_retried_until_it_passes(lane, event):
    lane.handle = failing(Conflict(), times=MAX_ATTEMPTS - 1)
    await lane.publish(event())
    await lane.until(lambda: lane.done)
    assert len(lane.causes) == MAX_ATTEMPTS
    await lane.nothing_held()
    assert lane.dead == []


async def test_a_dependency_that_is_away_is_nobodys_fault_however_often_it_is_asked(lane, event):
    lane.handle = failing(ReelAway(reel="B"), times=MAX_ATTEMPTS * 2)
    await lane.publish(event())
    await lane.until(lambda: lane.done)
    assert len(lane.causes) == MAX_ATTEMPTS * 2 + 1


async def test_a_retryable_error_that_stays_ends_in_the_dead_letters(lane, event):
    lane.handle = failing(Conflict())
    sent = event("reyes")
    await lane.publish(sent)
    await lane.until(lambda: lane.dead)
    assert len(lane.causes) == MAX_ATTEMPTS
    (record,) = lane.dead
    assert (record.key, record.value) == (b"reyes", sent.payload)
    told = said(record)
    assert headers(sent).items() <= told.items()
    assert told["dead-reason"] == "CONFLICT"
    assert told["dead-group"] == "screening"
    assert "in handle" in told["dead-stack"]
    held = await only_dead(lane)
    assert (held.id, held.attempts, held.record.value) == (told["dead-id"], MAX_ATTEMPTS, sent.payload)


async def test_events_for_what_does_not_exist_are_given_up_after_a_moment(lane, event):
    lane.handle = failing(Absent())
    await lane.publish(event())
    await lane.until(lambda: lane.dead)
    assert len(lane.causes) == ABSENT_ATTEMPTS


async def test_events_for_what_exists_a_moment_later_are_handled(lane, event):
    lane.handle = failing(Absent(), times=ABSENT_ATTEMPTS - 1)
    await lane.publish(event())
    await lane.until(lambda: lane.done)
    await lane.nothing_held()
    assert lane.dead == []


async def test_later_events_of_a_key_wait_for_the_one_that_is_retried_and_other_keys_do_not(lane, event):
    mended = asyncio.Event()

    async def handle(project, message):
        if message.character_id == "a" and message.version == 1 and not mended.is_set():
            raise ReelAway(reel="B")

    lane.handle = handle
    await lane.publish(*(event("a", version) for version in (1, 2, 3)), event("b", 1))
    await lane.until(lambda: lane.done)
    await lane.publish(event("a", 4), event("b", 2))
    await lane.until(lambda: len(lane.done) == 2)
    assert [(message.character_id, message.version) for message in lane.done] == [("b", 1), ("b", 2)]
    mended.set()
    await lane.until(lambda: len(lane.done) == 6)
    assert [message.version for message in lane.done if message.character_id == "a"] == [1, 2, 3, 4]
    await lane.nothing_held()
    await lane.publish(event("a", 5))
    await lane.until(lambda: len(lane.done) == 7)
    assert lane.done[-1].version == 5


async def test_an_event_that_is_dead_holds_up_no_later_one_of_its_key(lane, event):
    async def handle(project, message):
        if message.version == 1:
            raise Conflict

    lane.handle = handle
    await lane.publish(event(version=1), event(version=2))
    await lane.until(lambda: lane.dead and lane.done)
    assert [message.version for message in lane.done] == [2]


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
    "a thousand headers": lambda good: (b"x", [(f"h{number}", b"v" * 60) for number in range(1_000)]),
    "headers that are longer as text": lambda good: (
        b"x" * MAX_EVENT_BYTES,
        [(f"h{number}", b"\xff" * 700) for number in range(80)],
    ),
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
    assert (value or b"").startswith(record.value)
    held = await only_dead(lane)
    assert held.record.headers == tuple(raw_headers) or held.cut
    assert (await lane.held.get(held.id)).record == held.record


async def test_what_was_too_long_to_be_kept_is_marked_so_and_not_replayed(lane):
    await lane.publish_raw(b"x" * (MAX_EVENT_BYTES + 1), [])
    await lane.until(lambda: lane.dead)
    held = await only_dead(lane)
    assert held.cut
    assert said(lane.dead[0])["dead-cut"] == "true"
    with pytest.raises(NotReplayable):
        await lane.held.replay(held.id)


async def test_a_type_that_this_version_does_not_know_is_skipped_and_counted(lane, event):
    await lane.publish(event(type="CharacterRecast", payload=b"\xff\xff"), event(version=2))
    await lane.until(lambda: lane.done)
    assert [message.version for message in lane.done] == [2]
    assert lane.consumer.outcomes == {"unknown": 1, "handled": 1}
    assert lane.dead == []


async def test_fields_and_headers_of_a_later_version_are_no_fault(lane, event):
    payload = event("reyes", 3).payload + b"\xfa\x3e\x03new"  # field 1007, which nobody has yet
    later = changed(event("reyes", 3), ce_dataschema="continuity/v2", ce_novelty="x")
    await lane.publish_raw(payload, later, key="reyes")
    await lane.until(lambda: lane.done)
    assert (lane.done[0].character_id, lane.done[0].version) == ("reyes", 3)


async def test_the_service_is_told_what_was_given_up_and_why(lane, event):
    told = []

    async def tell(given_up, failure):
        told.append((given_up.subject, failure.reason, current_cause()))

    lane.handle, lane.told_dead = failing(WrongState()), tell
    sent = event("reyes")
    await lane.publish(sent)
    await lane.until(lambda: lane.dead)
    ((subject, reason, cause),) = told
    assert (subject, reason, cause.id) == ("reyes", "WRONG_STATE", sent.id)


async def test_telling_is_retried_as_handling_is(lane, event):
    tries = []

    async def tell(given_up, failure):
        tries.append(given_up)
        if len(tries) < 3:
            raise Conflict

    lane.handle, lane.told_dead = failing(WrongState()), tell
    await lane.publish(event())
    await lane.until(lambda: lane.dead)
    assert len(tries) == 3


@pytest.mark.parametrize("error", [WrongState(), KeyError("unforeseen")], ids=repr)
async def test_telling_that_fails_blocks_nothing_and_the_dead_letter_is_published(lane, event, error):
    async def tell(given_up, failure):
        raise error

    lane.handle, lane.told_dead = failing(WrongState(), times=1), tell
    lost, good = event("a"), event("a", 2)
    await lane.publish(lost, good)
    await lane.until(lambda: lane.done and lane.dead)
    assert [message.version for message in lane.done] == [2]


async def test_every_event_is_noted_once_it_is_handled_skipped_held_or_given_up(lane, event):
    lane.handle = failing(WrongState(), times=1)
    events = [event(), event(type="CharacterRecast"), event(version=2), event(version=3)]
    await lane.publish(*events)
    ids = [each.id for each in events]
    async with asyncio.timeout(20):
        while not set(ids) <= set(lane.checkpoints.ids):
            await asyncio.sleep(0.01)
    assert [each for each in lane.checkpoints.ids if each in ids] == ids


async def test_a_dead_letter_that_is_replayed_is_handled_and_gone(lane, event):
    lane.handle = failing(WrongState(), times=1)
    sent = event("reyes", 7)
    await lane.publish(sent)
    await lane.until(lambda: lane.dead)
    await lane.held.replay((await only_dead(lane)).id)
    await lane.until(lambda: lane.done)
    assert (lane.causes[-1].id, lane.done[0].version) == (sent.id, 7)
    await lane.nothing_held()
    assert [held for held in (await lane.held.list(limit=500))[0] if held.record.topic == lane.topic.name] == []


async def test_a_dead_letter_that_is_dropped_is_gone_and_one_that_waits_cannot_be(lane, event):
    lane.handle = failing(WrongState(), times=1)
    await lane.publish(event("reyes"))
    await lane.until(lambda: lane.dead)
    held = await only_dead(lane)
    await lane.held.drop(held.id)
    assert held.id not in {each.id for each in (await lane.held.list(limit=500))[0]}
    mended = asyncio.Event()

    async def handle(project, message):
        if not mended.is_set():
            raise ReelAway(reel="B")

    lane.handle = handle
    await lane.publish(event("b"))
    await lane.until(lambda: len(lane.causes) > 2)
    waiting = [each for each in (await lane.held.list("waiting", 500))[0] if each.record.topic == lane.topic.name]
    for operation in (lane.held.drop, lane.held.replay):
        with pytest.raises(NotDead):
            await operation(waiting[0].id)
    mended.set()
    await lane.until(lambda: lane.done)


async def test_a_record_that_comes_again_while_it_is_held_is_held_once(lane, event):
    mended = asyncio.Event()

    async def handle(project, message):
        if not mended.is_set():
            raise ReelAway(reel="B")

    lane.handle = handle
    sent = event("reyes")
    await lane.publish(sent, sent)
    await lane.until(lambda: len(lane.causes) > 2)
    mine = [each for each in (await lane.held.list("waiting", 500))[0] if each.record.topic == lane.topic.name]
    assert len(mine) == 1
    mended.set()
    await lane.until(lambda: lane.done)


async def test_while_the_services_store_is_away_nothing_is_acknowledged_blamed_or_lost(lane, event, monkeypatch):
    away, asked = True, asyncio.Event()

    async def unavailable(*_, **__):
        if away:
            asked.set()
            raise DocumentsUnavailable(cause="a full disk")

    documents = lane.held._store.documents
    hold = documents.insert

    async def insert(*arguments):
        await unavailable()
        await hold(*arguments)

    monkeypatch.setattr(documents, "insert", insert)
    monkeypatch.setattr(documents, "check", unavailable)

    async def handle(project, message):
        await unavailable()

    lane.handle = handle
    await lane.publish(event(version=1), event(version=2))
    await asked.wait()
    await lane.until(lambda: len(lane.causes) == 1)
    assert lane.consumer.outcomes == {}
    away = False
    await lane.until(lambda: len(lane.done) == 2)
    assert [message.version for message in lane.done] == [1, 2]
    assert lane.consumer.outcomes == {"handled": 2}


async def test_a_store_that_answers_and_still_fails_one_event_holds_up_no_other(lane, event):
    lane.handle = failing(DocumentsUnavailable(cause="something about this document"), times=STORE_TRIES)
    await lane.publish(event("a", 1), event("b", 2))
    await lane.until(lambda: len(lane.done) == 2)
    await lane.nothing_held()
    assert lane.dead == []
