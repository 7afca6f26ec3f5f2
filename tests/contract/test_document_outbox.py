"""What every document store does with the events that wait in documents, and what a killed writer leaves behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from continuity.documents import DocumentMissing, OutboxFull, Ref, VersionConflict
from continuity.documents.port import OUTBOX_LIMIT

REF = Ref("shots", "default", "a")
FOREVER = 4e9
"""A time after any lease of a writer's own relay."""

WRITER = """
import asyncio, sys
from continuity.documents import Collection, Document, OutgoingEvent

SHOTS = Collection("shots", unique=(("slate",), ("scene", "number")))

async def main():
    documents = await opened((SHOTS, Collection("reels")))
    for number in range(100_000):
        event = OutgoingEvent(f"e{number}", "continuity/test", "T", "t.v1", "a", "default", 0.0, b"x")
        await documents.insert(SHOTS, Document("default", f"s{number}", 0, {"queue_key": number}), [event], "dead")
        print(number, flush=True)

asyncio.run(main())
"""


async def ids_in(documents, ref=REF):
    return [event.id for event in await documents.outbox(ref)]


async def test_events_are_written_with_their_document_and_read_back_whole(documents, shots, shot, event):
    first, second = event("e1"), event("e2")
    await documents.insert(shots, shot("a"), [first, second], "me")
    assert await documents.outbox(REF) == (first, second)


async def test_events_are_appended_in_the_order_of_the_writes(documents, shots, shot, event):
    await documents.insert(shots, shot("a"), [event("e1")], "me")
    await documents.replace(shots, await documents.get(shots, "default", "a"), [event("e2"), event("e3")], "me")
    await documents.replace(shots, await documents.get(shots, "default", "a"))
    assert await ids_in(documents) == ["e1", "e2", "e3"]


async def test_a_refused_write_leaves_no_event(documents, shots, shot, event):
    await documents.insert(shots, shot("a"))
    with pytest.raises(VersionConflict):
        await documents.replace(shots, shot("a"), [event("e1")], "me")
    assert await ids_in(documents) == []
    assert await documents.due_outboxes([shots], FOREVER, FOREVER, "sweeper", 10) == ()


async def test_a_document_that_is_gone_has_no_events(documents, shots, shot, event):
    await documents.insert(shots, shot("a"), [event("e1")], "me")
    await documents.delete(shots, "default", "a")
    assert await ids_in(documents) == []
    await documents.settle({REF: ["e1"]})
    with pytest.raises(DocumentMissing):
        await documents.get(shots, "default", "a")


async def test_settling_clears_what_is_named_and_nothing_else(documents, shots, shot, event):
    await documents.insert(shots, shot("a"), [event("e1"), event("e2")], "me")
    await documents.insert(shots, shot("b"), [event("e1", key="b")], "me")
    before = await documents.get(shots, "default", "a")
    await documents.settle({REF: ["e1", "unheard of"]})
    assert await ids_in(documents) == ["e2"]
    assert await ids_in(documents, Ref("shots", "default", "b")) == ["e1"]
    assert await documents.get(shots, "default", "a") == before, "settling is no change of the document"


async def test_an_event_that_joins_while_others_are_published_still_waits(documents, shots, shot, event):
    await documents.insert(shots, shot("a"), [event("e1")], "me")
    publishing = await ids_in(documents)
    await documents.replace(shots, await documents.get(shots, "default", "a"), [event("e2")], "me")
    await documents.settle({REF: publishing})
    assert await ids_in(documents) == ["e2"]


async def test_a_writer_between_reading_and_settling_loses_no_event(documents, shots, shot, event):
    await documents.insert(shots, shot("a"), [event("e0")], "me")
    read_before = await documents.get(shots, "default", "a")
    await documents.settle({REF: ["e0"]})
    await documents.replace(shots, read_before, [event("e1")], "me")
    assert await ids_in(documents) == ["e1"]


async def test_an_outbox_that_was_taken_over_is_no_longer_its_writers(documents, shots, shot, event):
    await documents.insert(shots, shot("a"), [event("e1")], "me")
    assert await documents.outbox(REF, "me") == (event("e1"),)
    assert await documents.outbox(REF, "sweeper") == ()
    await documents.due_outboxes([shots], FOREVER, FOREVER + 30, "sweeper", 10)
    assert await documents.outbox(REF, "me") == ()
    assert await documents.outbox(REF, "sweeper") == (event("e1"),)
    await documents.replace(shots, await documents.get(shots, "default", "a"), [event("e2")], "me")
    assert await documents.outbox(REF, "sweeper") == ()
    assert await documents.outbox(REF, "me") == (event("e1"), event("e2"))


async def test_many_outboxes_are_read_in_one_go_without_the_empty_the_absent_and_others(
    documents, shots, reels, shot, event
):
    first, second = event("e1"), event("e2")
    await documents.insert(shots, shot("a"), [first, second], "me")
    await documents.insert(reels, shot("a"), [event("e3")], "me")
    await documents.insert(shots, shot("b"), [event("e4")], "another")
    await documents.insert(shots, shot("c"))
    asked = [REF, *(Ref("shots", "default", id) for id in ("b", "c", "gone")), Ref("reels", "default", "a")]
    found = await documents.outboxes(asked, "me")
    assert found == {REF: (first, second), asked[-1]: (event("e3"),)}


async def test_an_outbox_takes_no_more_than_its_limit_until_it_is_relieved(documents, shots, shot, event):
    events = [event(f"e{number}") for number in range(OUTBOX_LIMIT - 1)]
    await documents.insert(shots, shot("a"), events, "me")
    with pytest.raises(OutboxFull) as caught:
        await documents.replace(shots, await documents.get(shots, "default", "a"), [event("f1"), event("f2")], "me")
    assert caught.value.retryable
    assert (await documents.get(shots, "default", "a")).version == 1
    await documents.settle({REF: ["e0"]})
    await documents.replace(shots, await documents.get(shots, "default", "a"), [event("f1"), event("f2")], "me")
    assert len(await documents.outbox(REF)) == OUTBOX_LIMIT


async def test_several_relays_beside_writers_lose_no_event(documents, shots, shot, event):
    ids = [f"s{number}" for number in range(4)]
    for id in ids:
        await documents.insert(shots, shot(id))
    published, done = set(), asyncio.Event()

    async def write(id):
        for number in range(15):
            await documents.replace(
                shots, await documents.get(shots, "default", id), [event(f"{id}.{number}", key=id)], "me"
            )

    async def relay(owner):
        while not done.is_set() or await documents.due_outboxes([shots], FOREVER, FOREVER, owner, 10):
            for ref in [Ref("shots", "default", id) for id in ids]:
                waiting = await ids_in(documents, ref)
                published.update(waiting)
                await documents.settle({ref: waiting})

    relays = [asyncio.create_task(relay(f"relay {number}")) for number in range(3)]
    await asyncio.gather(*map(write, ids))
    done.set()
    await asyncio.gather(*relays)
    assert published == {f"{id}.{number}" for id in ids for number in range(15)}
    for id in ids:
        assert await ids_in(documents, Ref("shots", "default", id)) == []


async def test_concurrent_writers_and_a_relay_lose_and_repeat_no_event(documents, shots, shot, event):
    await documents.insert(shots, shot("a"))
    published = []
    done = asyncio.Event()

    async def write(writer):
        for number in range(8):
            while True:
                try:
                    found = await documents.get(shots, "default", "a")
                    await documents.replace(shots, found, [event(f"{writer}.{number}")], "me")
                    break
                except VersionConflict:
                    continue

    async def relay():
        while not (done.is_set() and not await ids_in(documents)):
            waiting = await ids_in(documents)
            published.extend(waiting)
            await documents.settle({REF: waiting})

    relaying = asyncio.create_task(relay())
    await asyncio.gather(*map(write, range(8)))
    done.set()
    await relaying
    assert sorted(published) == sorted(f"{writer}.{number}" for writer in range(8) for number in range(8))
    for writer in range(8):
        mine = [id for id in published if id.startswith(f"{writer}.")]
        assert mine == sorted(mine)


async def test_an_outbox_is_its_writers_own_until_its_time_comes(documents, shots, shot, event):
    now = time.time()
    await documents.insert(shots, shot("a"), [event("e1")], "me")
    assert await documents.due_outboxes([shots], now, now + 30, "sweeper", 10) == ()
    assert await documents.due_outboxes([shots], FOREVER, FOREVER + 30, "sweeper", 10) == (REF,)


async def test_an_outbox_whose_time_a_clock_that_was_ahead_has_set_is_taken_over_all_the_same(
    documents, shots, reels, shot, event
):
    now = time.time()
    await documents.insert(shots, shot("a"), [event("e1")], "me")
    await documents.insert(reels, shot("b"), [event("e2", key="b")], "me")
    await documents.due_outboxes([shots], FOREVER, FOREVER + 30, "ahead", 10)
    assert await documents.due_outboxes([shots, reels], now, now + 30, "sweeper", 10) == (REF,)
    assert await documents.outbox(REF, "sweeper") == (event("e1"),)
    assert await documents.due_outboxes([shots, reels], now, now + 30, "late", 10) == ()
    assert await documents.due_outboxes([shots, reels], 0.0, 30.0, "ages ago", 10) == (
        REF,
        Ref("reels", "default", "b"),
    ), "so is what a writer's own clock has set"


async def test_a_sweep_takes_no_more_than_it_asks_for_of_what_is_due_and_far_ahead_together(
    documents, shots, shot, event
):
    for number in range(4):
        await documents.insert(shots, shot(f"s{number}"), [event(f"e{number}")], "me")
    assert len(await documents.due_outboxes([shots], FOREVER, FOREVER + 30, "ahead", 2)) == 2
    later = time.time() + 60
    sizes = [len(await documents.due_outboxes([shots], later, later + 30, "me", 3)) for _ in range(3)]
    assert sizes == [3, 1, 0]


async def test_an_outbox_is_taken_over_once_until_the_lease_lapses(documents, shots, reels, shot, event):
    for number in range(20):
        await documents.insert(shots if number % 2 else reels, shot(f"s{number}"), [event(f"e{number}")], "me")

    async def sweep(owner):
        return await documents.due_outboxes([shots, reels], FOREVER, FOREVER + 30, owner, 100)

    taken = [ref for each in await asyncio.gather(*(sweep(f"sweeper {n}") for n in range(8))) for ref in each]
    assert sorted(ref.id for ref in taken) == sorted(f"s{number}" for number in range(20))
    assert await documents.due_outboxes([shots, reels], FOREVER + 29, FOREVER + 60, "late", 100) == ()
    again = await documents.due_outboxes([shots, reels], FOREVER + 31, FOREVER + 60, "late", 100)
    assert set(again) == set(taken)


async def test_a_sweep_takes_no_more_than_it_asks_for(documents, shots, reels, shot, event):
    for number in range(6):
        await documents.insert(shots if number % 2 else reels, shot(f"s{number}"), [event(f"e{number}")], "me")
    sizes = [len(await documents.due_outboxes([shots, reels], FOREVER, FOREVER + 9, "me", 4)) for _ in range(3)]
    assert sizes == [4, 2, 0]


async def test_a_settled_outbox_is_never_due(documents, shots, shot, event):
    await documents.insert(shots, shot("a"), [event("e1")], "me")
    await documents.insert(shots, shot("b"))
    await documents.settle({REF: ["e1"]})
    assert await documents.due_outboxes([shots], FOREVER, FOREVER + 9, "sweeper", 10) == ()


async def test_a_claim_keeps_inbox_and_outbox(documents, shots, shot, event):
    await documents.insert(shots, replace(shot("a", state="ready"), inbox=("seen",)), [event("e1")], "me")
    claimed = await documents.claim(shots, [], [], {"state": "taken"})
    assert claimed.inbox == ("seen",)
    assert await ids_in(documents) == ["e1"]


async def test_outboxes_of_two_projects_are_apart(documents, shots, shot, event):
    for project in ("one", "two"):
        await documents.insert(shots, shot("a", project=project), [event(project, project=project)], "me")
    await documents.settle({Ref("shots", "one", "a"): ["one", "two"]})
    assert await ids_in(documents, Ref("shots", "one", "a")) == []
    assert await ids_in(documents, Ref("shots", "two", "a")) == ["two"]


def started(script):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment)


async def test_everything_that_was_acknowledged_survives_a_kill(case, shots, every):
    writer = started(case.script + WRITER)
    acknowledged = [int(writer.stdout.readline()) for _ in range(40)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
    writer.wait()
    documents = await case.open()
    found = {document.id for document in await every(documents, shots, project="default", limit=500)}
    assert found >= {f"s{number}" for number in acknowledged}
    for number in acknowledged:
        assert await ids_in(documents, Ref("shots", "default", f"s{number}")) == [f"e{number}"]
    assert len(await documents.due_outboxes([shots], FOREVER, FOREVER, "me", 10_000)) == len(found)
    await documents.close()
