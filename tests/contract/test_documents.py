"""What every document store does with documents: write, read, claim."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from continuity.documents import Document, DocumentExists, DocumentMissing, DocumentTooLarge, VersionConflict, equal
from continuity.documents.body import BODY_LIMIT_BYTES
from continuity.documents.port import INBOX_LIMIT

WRITERS = 8
UNICODE = "Zoë 🎬 «план» 'quoted' \"twice\" \\back % _ $.x\n\tline\u2028end"


async def changed(documents, collection, document, **body):
    await documents.replace(collection, type(document)(document.project, document.id, document.version, body))


async def test_a_new_document_is_read_back_at_version_one(documents, shots, shot):
    await documents.insert(shots, shot("a", slate="1A", takes=[1, 2], look={"coat": None}))
    found = await documents.get(shots, "default", "a")
    assert (found.project, found.id, found.version, found.inbox) == ("default", "a", 1, ())
    assert found.body == {"slate": "1A", "takes": [1, 2], "look": {"coat": None}}


async def test_a_missing_document_is_named(documents, shots):
    with pytest.raises(DocumentMissing) as caught:
        await documents.get(shots, "default", "nobody")
    assert caught.value.values() == {"collection": "shots", "id": "nobody"}


async def test_an_id_is_given_once(documents, shots, shot):
    await documents.insert(shots, shot("a", take=1))
    with pytest.raises(DocumentExists):
        await documents.insert(shots, shot("a", take=2))
    assert (await documents.get(shots, "default", "a")).body == {"take": 1}


async def test_the_same_id_stands_in_two_collections(documents, shots, reels, shot):
    await documents.insert(shots, shot("a", slate="1A"))
    await documents.insert(reels, shot("a", slate="1A"))
    await documents.delete(reels, "default", "a")
    assert (await documents.get(shots, "default", "a")).body == {"slate": "1A"}


async def test_a_replaced_document_has_only_the_new_body_and_the_next_version(documents, shots, shot):
    await documents.insert(shots, shot("a", slate="1A", mood="grim"))
    await changed(documents, shots, await documents.get(shots, "default", "a"), slate="1B")
    found = await documents.get(shots, "default", "a")
    assert (found.version, found.body) == (2, {"slate": "1B"})


@pytest.mark.parametrize("version", [0, 1, 3])
async def test_a_write_over_another_version_is_refused(documents, shots, shot, version):
    await documents.insert(shots, shot("a", take=1))
    await changed(documents, shots, await documents.get(shots, "default", "a"), take=2)
    stale = type(shot("a"))("default", "a", version, {"take": 9})
    with pytest.raises(VersionConflict) as caught:
        await documents.replace(shots, stale)
    assert caught.value.values() == {"collection": "shots", "id": "a", "version": version}
    assert caught.value.retryable
    assert (await documents.get(shots, "default", "a")).body == {"take": 2}


async def test_what_does_not_exist_cannot_be_replaced(documents, shots, shot):
    with pytest.raises(DocumentMissing):
        await documents.replace(shots, shot("a"))


async def test_deleting_is_repeatable_and_frees_the_id(documents, shots, shot):
    await documents.insert(shots, shot("a", slate="1A"))
    await documents.delete(shots, "default", "a")
    await documents.delete(shots, "default", "a")
    with pytest.raises(DocumentMissing):
        await documents.get(shots, "default", "a")
    await documents.insert(shots, shot("a", slate="1A"))
    assert (await documents.get(shots, "default", "a")).version == 1


async def test_a_unique_field_holds_within_a_project(documents, shots, shot):
    await documents.insert(shots, shot("a", slate="1A"))
    with pytest.raises(DocumentExists):
        await documents.insert(shots, shot("b", slate="1A"))
    await documents.insert(shots, shot("b", project="other", slate="1A"))
    with pytest.raises(DocumentMissing):
        await documents.get(shots, "default", "b")


async def test_two_unique_fields_are_unique_together(documents, shots, shot):
    await documents.insert(shots, shot("a", scene="1", number=1))
    await documents.insert(shots, shot("b", scene="1", number=2))
    await documents.insert(shots, shot("c", scene="2", number=1))
    with pytest.raises(DocumentExists):
        await documents.insert(shots, shot("d", scene="2", number=1))


async def test_unique_fields_ignore_documents_that_lack_them(documents, shots, shot):
    for id, body in {"a": {}, "b": {}, "c": {"slate": None}, "d": {"slate": None}, "e": {"scene": "1"}}.items():
        await documents.insert(shots, shot(id, **body))
    await documents.insert(shots, shot("f", scene="1"))
    assert await documents.count(shots, [], project="default") == 6


async def test_replacing_into_a_taken_unique_value_changes_nothing(documents, shots, shot):
    await documents.insert(shots, shot("a", slate="1A"))
    await documents.insert(shots, shot("b", slate="1B"))
    with pytest.raises(DocumentExists):
        await changed(documents, shots, await documents.get(shots, "default", "b"), slate="1A")
    found = await documents.get(shots, "default", "b")
    assert (found.version, found.body) == (1, {"slate": "1B"})


async def test_a_unique_value_that_was_given_up_is_free(documents, shots, shot):
    await documents.insert(shots, shot("a", slate="1A"))
    await changed(documents, shots, await documents.get(shots, "default", "a"), slate=None)
    await documents.insert(shots, shot("b", slate="1A"))


async def test_a_document_is_deleted_as_it_was_at_a_version_or_not_at_all(documents, shots, shot):
    await documents.insert(shots, shot("a"))
    with pytest.raises(VersionConflict) as caught:
        await documents.delete(shots, "default", "a", 2)
    assert caught.value.values() == {"collection": "shots", "id": "a", "version": 2}
    assert (await documents.get(shots, "default", "a")).version == 1
    await documents.delete(shots, "default", "a", 1)
    await documents.delete(shots, "default", "a", 1)
    with pytest.raises(DocumentMissing):
        await documents.get(shots, "default", "a")


async def test_of_many_that_want_one_unique_value_one_gets_it(documents, shots, shot):
    writes = (documents.insert(shots, shot(f"s{number}", slate="1A")) for number in range(WRITERS))
    refused = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(isinstance(each, DocumentExists) for each in refused) == WRITERS - 1
    assert await documents.count(shots, [], project="default") == 1


async def test_eight_writers_with_compare_and_set_lose_no_update(documents, shots, shot):
    await documents.insert(shots, shot("a", takes=[]))

    async def add_takes(writer):
        lost = 0
        for take in range(10):
            while True:
                found = await documents.get(shots, "default", "a")
                try:
                    await changed(documents, shots, found, takes=[*found.body["takes"], f"{writer}.{take}"])
                    break
                except VersionConflict:
                    lost += 1
        return lost

    lost = await asyncio.gather(*map(add_takes, range(WRITERS)))
    found = await documents.get(shots, "default", "a")
    assert sorted(found.body["takes"]) == sorted(f"{writer}.{take}" for writer in range(WRITERS) for take in range(10))
    assert found.version == 1 + WRITERS * 10
    assert sum(lost) > 0, "the writers never met"


async def test_eight_claimers_never_get_the_same_document(documents, shots, shot):
    await asyncio.gather(*(documents.insert(shots, shot(f"s{n:02}", state="ready", queue_key=n)) for n in range(40)))

    async def claim_all(claimer):
        claimed = []
        while found := await documents.claim(
            shots, [equal("state", "ready")], ["queue_key"], {"state": "taken", "by": claimer}
        ):
            claimed.append(found.id)
        return claimed

    claimed = await asyncio.gather(*map(claim_all, range(WRITERS)))
    assert sorted(id for each in claimed for id in each) == [f"s{n:02}" for n in range(40)]
    for claimer, ids in enumerate(claimed):
        assert ids == sorted(ids), "a claimer takes the first that is left"
        for id in ids:
            assert (await documents.get(shots, "default", id)).body["by"] == claimer


async def test_several_are_claimed_in_order_and_shared_between_claimers(documents, shots, shot):
    await documents.insert_each(shots, [(shot(f"s{n:02}", state="ready", queue_key=n), ()) for n in range(40)])
    ready, order, taken = [equal("state", "ready")], ["queue_key"], {"state": "taken"}

    async def claim_all():
        claimed = []
        while found := await documents.claim_several(shots, ready, order, taken, 3):
            assert len(found) <= 3
            claimed += found
        return claimed

    claimed = await asyncio.gather(*(claim_all() for _ in range(WRITERS)))
    assert sorted(each.id for mine in claimed for each in mine) == [f"s{n:02}" for n in range(40)]
    for mine in claimed:
        assert [each.id for each in mine] == sorted(each.id for each in mine)
        for each in mine:
            assert (each.version, each.body["state"]) == (2, "taken")
            assert await documents.get(shots, "default", each.id) == each


async def test_of_documents_that_are_written_together_those_that_stand_already_are_left(documents, shots, shot):
    await documents.insert(shots, shot("b", take=1))
    made = [(shot(id, take=2), ()) for id in ("a", "b", "c")]
    assert list(await documents.insert_each(shots, made)) == [True, False, True]
    assert list(await documents.insert_each(shots, made)) == [False] * 3
    found = await documents.several(shots, "default", ["c", "b", "a", "nobody"])
    assert {id: (one.id, one.version, one.body["take"]) for id, one in found.items()} == {
        "a": ("a", 1, 2),
        "b": ("b", 1, 1),
        "c": ("c", 1, 2),
    }


async def test_of_one_id_written_twice_by_many_at_once_one_is_new(documents, shots, shot):
    every = [[(shot(f"s{n}", by=writer), ()) for n in range(10)] for writer in range(WRITERS)]
    added = await asyncio.gather(*(documents.insert_each(shots, made) for made in every))
    assert [sum(mine[n] for mine in added) for n in range(10)] == [1] * 10


async def test_nothing_is_read_and_written_in_one_go_as_well(documents, shots):
    assert list(await documents.insert_each(shots, [])) == []
    assert await documents.several(shots, "default", []) == {}


async def test_several_documents_are_read_of_one_project_only(documents, shots, shot):
    await documents.insert(shots, shot("a", project="mine"))
    assert await documents.several(shots, "yours", ["a"]) == {}


async def test_a_claim_returns_the_document_as_changed_and_keeps_the_rest(documents, shots, shot):
    await documents.insert(shots, shot("a", state="ready", mood="grim"))
    claimed = await documents.claim(shots, [equal("state", "ready")], [], {"state": "taken"})
    assert (claimed.version, claimed.body) == (2, {"state": "taken", "mood": "grim"})
    assert await documents.get(shots, "default", "a") == claimed
    assert await documents.claim(shots, [equal("state", "ready")], [], {"state": "taken"}) is None


async def test_a_claim_follows_the_order_across_projects(documents, shots, shot):
    await documents.insert(shots, shot("a", project="one", state="ready", queue_key=2))
    await documents.insert(shots, shot("b", project="two", state="ready", queue_key=1))
    order = ["queue_key"]
    first = await documents.claim(shots, [equal("state", "ready")], order, {"state": "taken"})
    second = await documents.claim(shots, [equal("state", "ready")], order, {"state": "taken"})
    assert ((first.project, first.id), (second.project, second.id)) == (("two", "b"), ("one", "a"))


async def test_a_writer_that_read_before_a_claim_is_refused(documents, shots, shot):
    await documents.insert(shots, shot("a", state="ready"))
    read_before = await documents.get(shots, "default", "a")
    await documents.claim(shots, [equal("state", "ready")], [], {"state": "taken"})
    with pytest.raises(VersionConflict):
        await changed(documents, shots, read_before, state="done")


async def test_projects_see_nothing_of_each_other(documents, shots, shot):
    await documents.insert(shots, shot("a", project="mine", slate="1A"))
    with pytest.raises(DocumentMissing):
        await documents.get(shots, "yours", "a")
    with pytest.raises(DocumentMissing):
        await documents.replace(shots, type(shot("a"))("yours", "a", 1, {}))
    await documents.delete(shots, "yours", "a")
    assert (await documents.page(shots, project="yours")).documents == ()
    assert (await documents.get(shots, "mine", "a")).body == {"slate": "1A"}


async def test_bodies_keep_every_character_and_a_megabyte(documents, shots, shot):
    body = {"name": UNICODE, UNICODE: [UNICODE], "numbers": [0, -1, 2**53, 0.1, 1e300], "long": "ß" * 1_000_000}
    await documents.insert(shots, shot(UNICODE, project="проект", **body))
    found = await documents.get(shots, "проект", UNICODE)
    assert json.dumps(found.body) == json.dumps(body)


async def test_the_inbox_keeps_the_newest_in_order(documents, shots, shot):
    await documents.insert(shots, shot("a"))
    for number in range(INBOX_LIMIT + 6):
        await documents.replace(shots, await documents.get(shots, "default", "a"), consumed=f"e{number}")
    found = await documents.get(shots, "default", "a")
    assert found.inbox == tuple(f"e{number}" for number in range(6, INBOX_LIMIT + 6))


async def test_a_new_document_keeps_the_newest_of_a_long_inbox(documents, shots, shot):
    seen = tuple(f"e{number}" for number in range(INBOX_LIMIT + 6))
    await documents.insert(shots, type(shot("a"))("default", "a", 0, {}, seen))
    assert (await documents.get(shots, "default", "a")).inbox == seen[6:]


async def test_a_write_that_consumes_nothing_leaves_the_inbox_alone(documents, shots, shot):
    await documents.insert(shots, type(shot("a"))("default", "a", 0, {}, ("e0",)))
    await changed_keeping_inbox(documents, shots)
    assert (await documents.get(shots, "default", "a")).inbox == ("e0",)


async def changed_keeping_inbox(documents, shots):
    await documents.replace(shots, await documents.get(shots, "default", "a"))


async def test_an_open_store_accepts_writes(documents):
    await documents.check()


@pytest.mark.parametrize(
    "value", [b"bytes", {1, 2}, datetime(2026, 1, 1, tzinfo=UTC), Decimal("1.5"), Path("a"), object], ids=repr
)
async def test_a_body_of_other_things_than_json_has_is_refused(documents, shots, shot, value):
    await documents.insert(shots, shot("a", take=1))
    with pytest.raises(ValueError, match="JSON"):
        await documents.insert(shots, Document("default", "b", 0, {"take": value}))
    with pytest.raises(ValueError, match="JSON"):
        await documents.replace(shots, Document("default", "a", 1, {"look": [{"gain": value}]}))
    assert (await documents.get(shots, "default", "a")).body == {"take": 1}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
async def test_a_body_that_json_cannot_hold_is_refused(documents, shots, shot, number):
    await documents.insert(shots, shot("a", take=1))
    with pytest.raises(ValueError, match="JSON"):
        await documents.insert(shots, Document("default", "b", 0, {"take": number}))
    with pytest.raises(ValueError, match="JSON"):
        await documents.replace(shots, Document("default", "a", 1, {"look": [{"gain": number}]}))
    assert (await documents.get(shots, "default", "a")).body == {"take": 1}


async def test_a_document_that_is_too_large_is_refused_by_name_and_size(documents, shots, shot):
    await documents.insert(shots, shot("a", take=1))
    for write in (documents.insert, documents.replace):
        with pytest.raises(DocumentTooLarge) as caught:
            await write(shots, Document("default", "a", 1, {"text": "x" * BODY_LIMIT_BYTES}))
        values = caught.value.values()
        assert (values["collection"], values["id"], values["limit_bytes"]) == ("shots", "a", BODY_LIMIT_BYTES)
        assert values["size_bytes"] > BODY_LIMIT_BYTES
        assert not caught.value.retryable
    assert (await documents.get(shots, "default", "a")).body == {"take": 1}


async def test_a_large_document_that_is_still_allowed_is_kept_whole(documents, shots, shot):
    text = "x" * (BODY_LIMIT_BYTES - 100)
    await documents.insert(shots, shot("a", text=text))
    assert (await documents.get(shots, "default", "a")).body == {"text": text}
