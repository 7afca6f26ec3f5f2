"""Reading, deciding and writing in one go, whoever else is at it."""

import asyncio
from dataclasses import replace

import pytest

from continuity.documents import DocumentExists, DocumentMissing, Ref, VersionConflict, equal
from continuity.kernel.errors import WrongState
from continuity.kernel.values import Change
from continuity.messaging.cause import caused_by, current_cause
from continuity.messaging.envelope import Event
from continuity.messaging.repository import MAX_CONFLICTS


def event(id, **extensions):
    return Event(id, "continuity/test", "ReelShot", "a", "default", b"", "the call", extensions)


async def outbox(documents, id="a"):
    return list(await documents.outbox(Ref("reels", "default", id)))


async def test_an_aggregate_comes_back_as_it_was(reels, new_reel, splice):
    reel = new_reel("a", 3, "Zoë 🎬", (splice(0.1), splice(1e9, "late")))
    await reels.add("default", "a", Change(reel))
    assert await reels.get("default", "a") == reel


async def test_an_aggregate_is_added_once(reels, new_reel, reel_cut, documents):
    await reels.add("default", "a", Change(new_reel("a")))
    with pytest.raises(DocumentExists):
        await reels.add("default", "a", Change(new_reel("a"), [reel_cut("a", 1)]))
    assert await outbox(documents) == []


async def test_a_change_and_its_events_are_one_write(reels, new_reel, cutting, documents):
    await reels.add("default", "a", Change(new_reel("a")))
    assert (await reels.change("default", "a", cutting)).cuts == 1
    (told,) = await outbox(documents)
    assert (told.type, told.topic, told.key, told.project) == (
        "CharacterIngested",
        "continuity.reel.v1",
        "a",
        "default",
    )
    assert told.source == "continuity/cutting"


async def test_nothing_to_do_writes_nothing(reels, new_reel, documents, collection):
    await reels.add("default", "a", Change(new_reel("a")))
    assert await reels.change("default", "a", lambda reel: None) == new_reel("a")
    assert (await documents.get(collection, "default", "a")).version == 1


async def test_a_decision_that_refuses_changes_nothing(reels, new_reel, documents, collection):
    def refuse(reel):
        raise WrongState

    await reels.add("default", "a", Change(new_reel("a")))
    with pytest.raises(WrongState):
        await reels.change("default", "a", refuse)
    assert (await documents.get(collection, "default", "a")).version == 1


async def test_what_is_missing_cannot_be_changed(reels, cutting):
    with pytest.raises(DocumentMissing):
        await reels.change("default", "a", cutting)


async def test_eight_who_change_at_once_all_succeed(reels, new_reel, cutting, documents):
    await reels.add("default", "a", Change(new_reel("a")))
    await asyncio.gather(*(reels.change("default", "a", cutting) for _ in range(8)))
    assert (await reels.get("default", "a")).cuts == 8
    assert len({told.id for told in await outbox(documents)}) == 8


async def test_a_race_that_is_always_lost_ends(reels, new_reel, documents, collection, monkeypatch):
    await reels.add("default", "a", Change(new_reel("a")))
    decisions = []

    async def somebody_was_first(collection, document, *rest):
        raise VersionConflict(collection=collection.name, id=document.id, version=document.version)

    def decide(reel):
        decisions.append(reel)
        return Change(reel)

    monkeypatch.setattr(documents, "replace", somebody_was_first)
    with pytest.raises(VersionConflict):
        await reels.change("default", "a", decide)
    assert len(decisions) == MAX_CONFLICTS


async def test_each_attempt_decides_on_what_stands_then(reels, new_reel, documents, collection):
    await reels.add("default", "a", Change(new_reel("a")))
    seen = []

    def decide(reel):
        seen.append(reel.cuts)
        return Change(replace(reel, cuts=reel.cuts + 10))

    read = documents.get
    raced = asyncio.Event()

    async def read_then_lose(*arguments):
        document = await read(*arguments)
        if not raced.is_set():
            raced.set()
            await documents.replace(collection, replace(document, body={**document.body, "cuts": 1}))
        return document

    documents.get = read_then_lose
    assert (await reels.change("default", "a", decide)).cuts == 11
    assert seen == [0, 1]


async def test_an_event_is_applied_once_even_by_two_at_once(reels, new_reel, cutting):
    await reels.add("default", "a", Change(new_reel("a")))
    with caused_by(event("e1")):
        await asyncio.gather(*(reels.change("default", "a", cutting) for _ in range(4)))
        await reels.change("default", "a", cutting)
    assert (await reels.get("default", "a")).cuts == 1
    with caused_by(event("e2")):
        assert (await reels.change("default", "a", cutting)).cuts == 2


async def test_an_event_of_the_same_id_from_another_source_is_another_event(reels, new_reel, cutting):
    await reels.add("default", "a", Change(new_reel("a")))
    for source in ("continuity/vision", "continuity/matting"):
        with caused_by(replace(event("e1"), source=source)):
            await reels.change("default", "a", cutting)
    assert (await reels.get("default", "a")).cuts == 2


async def test_an_event_that_made_an_aggregate_does_not_change_it_when_it_comes_again(reels, new_reel, cutting):
    with caused_by(event("e1")):
        await reels.add("default", "a", Change(new_reel("a")))
        assert (await reels.change("default", "a", cutting)).cuts == 0


async def test_events_carry_what_they_were_caused_by(reels, new_reel, cutting, documents):
    await reels.add("default", "a", Change(new_reel("a")))
    with caused_by(event("e1", traceparent="00-ab-cd-01", other="stays")):
        await reels.change("default", "a", cutting)
    (told,) = await outbox(documents)
    assert told.headers == {"correlationid": "the call", "causationid": "e1", "traceparent": "00-ab-cd-01"}


async def test_an_event_without_a_cause_begins_a_correlation(reels, new_reel, cutting, documents):
    await reels.add("default", "a", Change(new_reel("a")))
    await reels.change("default", "a", cutting)
    (told,) = await outbox(documents)
    assert told.headers == {"correlationid": told.id}
    assert current_cause() is None


async def test_a_claim_returns_the_aggregate_and_where_it_stands(reels, new_reel):
    await reels.add("noir", "a", Change(new_reel("a")))
    (stored,) = await reels.claim([equal("cuts", 0)], ["cuts"], {"cuts": 5})
    assert (stored.aggregate.cuts, stored.project, stored.id, stored.version) == (5, "noir", "a", 2)
    assert await reels.claim([equal("cuts", 0)], ["cuts"], {"cuts": 5}) == []
    assert await reels.count([equal("cuts", 5)], project="noir") == 1


async def claimed_reel(reels, new_reel, documents):
    await reels.add("default", "a", Change(new_reel("a")))
    (stored,) = await reels.claim([equal("cuts", 0)], ["cuts"], {"cuts": 5})

    async def never(*arguments):
        raise AssertionError("nobody has changed it, so nobody needs to read it")

    read, documents.get = documents.get, never
    return stored, read


async def test_what_was_claimed_is_changed_again_and_again_without_being_read(reels, new_reel, cutting, documents):
    stored, read = await claimed_reel(reels, new_reel, documents)
    stored = await reels.change_known(stored, cutting)
    with caused_by(event("e1")):
        stored = await reels.change_known(stored, cutting)
    assert (stored.aggregate.cuts, stored.version) == (7, 4)
    documents.get = read
    assert (await reels.get("default", "a")).cuts == 7
    assert len(await outbox(documents)) == 2
    with caused_by(event("e1")):
        assert (await reels.change_known(stored, cutting)).aggregate.cuts == 7


async def test_what_somebody_changed_since_it_was_claimed_is_decided_on_as_it_is_by_then(
    reels, new_reel, cutting, documents
):
    stored, documents.get = await claimed_reel(reels, new_reel, documents)
    await reels.change("default", "a", lambda reel: Change(replace(reel, cuts=20)))
    assert (await reels.change_known(stored, cutting)).aggregate.cuts == 21


async def test_that_there_is_nothing_to_do_is_believed_of_the_document_only(reels, new_reel, documents):
    stored, documents.get = await claimed_reel(reels, new_reel, documents)
    await reels.change("default", "a", lambda reel: Change(replace(reel, cuts=20)))
    changed = await reels.change_known(stored, lambda reel: Change(replace(reel, cuts=0)) if reel.cuts == 20 else None)
    assert changed.aggregate.cuts == 0


async def test_aggregates_that_are_added_together_are_added_and_told_of_once_each(reels, new_reel, reel_cut, documents):
    await reels.add("default", "a", Change(new_reel("a", 1)))
    changes = {id: Change(new_reel(id), [reel_cut(id, 1)]) for id in ("a", "b", "c")}
    added = await reels.add_each("default", changes)
    assert {id: (stored.aggregate, stored.version) for id, stored in added.items()} == {
        id: (new_reel(id), 1) for id in ("b", "c")
    }
    assert [len(await outbox(documents, id)) for id in ("a", "b", "c")] == [0, 1, 1]
    assert await reels.several("default", ["c", "a", "nobody"]) == {"a": new_reel("a", 1), "c": new_reel("c")}


async def test_pages_hold_aggregates_of_one_project(reels, new_reel):
    for project in ("noir", "western"):
        for number in range(3):
            await reels.add(project, f"r{number}", Change(new_reel(f"r{number}", cuts=number)))
    first, token = await reels.page(project="noir", order=["-cuts"], limit=2)
    rest, end = await reels.page(project="noir", order=["-cuts"], limit=2, token=token)
    assert [stored.aggregate.cuts for stored in (*first, *rest)] == [2, 1, 0]
    assert end == ""
