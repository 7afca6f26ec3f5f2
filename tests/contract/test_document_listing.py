"""What every document store does when it is asked for many: conditions, order, pages, tokens."""

import base64
import json

import pytest

from continuity.documents import at_most, equal, one_of
from continuity.kernel.errors import InvalidValue

UNICODE = "Zoë 🎬 «план» 'quoted' \"twice\" \\back % _ $.x\n\tline\u2028end"


async def test_conditions_choose_by_value_bound_set_and_absence(documents, shots, shot):
    bodies = {"a": {"state": "ready", "queue_key": 1}, "b": {"state": "done", "queue_key": 2.5}, "c": {"state": None}}
    for id, body in {**bodies, "d": {"queue_key": -3, "state": UNICODE}, "e": {"fanned_out": False}}.items():
        await documents.insert(shots, shot(id, **body))

    async def chosen(*where):
        page = await documents.page(shots, where, project="default")
        assert await documents.count(shots, where, project="default") == len(page.documents)
        return "".join(document.id for document in page.documents)

    assert await chosen() == "abcde"
    assert await chosen(equal("state", "ready")) == "a"
    assert await chosen(equal("state", UNICODE)) == "d"
    assert await chosen(equal("state", None)) == "ce"
    assert await chosen(equal("fanned_out", False)) == "e"
    assert await chosen(equal("fanned_out", True)) == ""
    assert await chosen(at_most("queue_key", 2)) == "ad"
    assert await chosen(at_most("queue_key", 2.5)) == "abd"
    assert await chosen(one_of("state", ("ready", "done", "nothing"))) == "ab"
    assert await chosen(one_of("state", ("ready", None))) == "ace"
    assert await chosen(one_of("state", ())) == ""
    assert await chosen(one_of("state", ("ready", "done")), at_most("queue_key", 1)) == "a"


async def test_the_order_of_a_listing_is_total(documents, shots, shot, every):
    keys = [3, 1, 2, 1, 3, 2, 1]
    for number, key in enumerate(keys):
        await documents.insert(shots, shot(f"s{number}", queue_key=key, state="x"))
    up = [(d.body["queue_key"], d.id) for d in await every(documents, shots, project="default", order=["queue_key"])]
    assert up == sorted((key, f"s{number}") for number, key in enumerate(keys))
    down = [(d.body["queue_key"], d.id) for d in await every(documents, shots, project="default", order=["-queue_key"])]
    assert down == up[::-1]


@pytest.mark.parametrize("limit", [1, 3, 6, 7, 50])
async def test_pages_cover_a_listing_once(documents, shots, shot, every, limit):
    for number in range(6):
        await documents.insert(shots, shot(f"s{number}", queue_key=number))
    found = await every(documents, shots, project="default", order=["-queue_key"], limit=limit)
    assert [document.id for document in found] == ["s5", "s4", "s3", "s2", "s1", "s0"]


async def test_a_listing_without_a_project_has_all_of_them(documents, shots, shot, every):
    for project in ("one", "two", "three"):
        await documents.insert(shots, shot("a", project=project, queue_key=1))
    assert len(await every(documents, shots, project=None, limit=2)) == 3
    assert await documents.count(shots, [], project=None) == 3
    assert await documents.count(shots, [], project="two") == 1


async def test_what_comes_and_goes_between_pages_moves_no_other(documents, shots, shot):
    for number in range(8):
        await documents.insert(shots, shot(f"s{number}", queue_key=number))
    order = ["-queue_key"]
    first = await documents.page(shots, project="default", order=order, limit=3)
    await documents.delete(shots, "default", "s7")
    await documents.insert(shots, shot("s9", queue_key=9))
    second = await documents.page(shots, project="default", order=order, limit=10, token=first.next_token)
    assert [document.id for document in second.documents] == ["s4", "s3", "s2", "s1", "s0"]


@pytest.mark.parametrize("order", [["queue_key"], ["-queue_key"], ["state", "-queue_key"]])
async def test_pages_cover_documents_that_share_or_lack_what_they_are_ordered_by(documents, shots, shot, every, order):
    for number in range(9):
        fields = {} if number % 3 == 0 else {"queue_key": number // 4}
        await documents.insert(shots, shot(f"s{number}", state="ready" if number % 2 else "done", **fields))
    whole = (await documents.page(shots, project="default", order=order, limit=50)).documents
    found = await every(documents, shots, project="default", order=order, limit=2)
    assert [document.id for document in found] == [document.id for document in whole]
    assert len(found) == 9


async def test_a_token_of_another_listing_is_refused(documents, shots, shot):
    for number in range(3):
        await documents.insert(shots, shot(f"s{number}", queue_key=number))
    page = await documents.page(shots, project="default", order=["queue_key"], limit=1)
    with pytest.raises(InvalidValue):
        await documents.page(shots, project="default", order=["-queue_key"], limit=1, token=page.next_token)


@pytest.mark.parametrize("order", [[], ["queue_key"], ["-queue_key"], ["-state", "queue_key"]])
async def test_pages_over_every_project_cover_each_document_once(documents, shots, shot, every, order):
    for number in range(10):
        fields = {"queue_key": number // 3} if number % 4 else {}
        await documents.insert(shots, shot(f"s{number // 2}", project=f"p{number % 2}", state="x", **fields))
    whole = (await documents.page(shots, project=None, order=order, limit=50)).documents
    found = await every(documents, shots, project=None, order=order, limit=3)
    assert [(each.project, each.id) for each in found] == [(each.project, each.id) for each in whole]
    assert len(found) == 10


async def test_a_bound_on_the_field_of_the_order_holds_on_every_page(documents, shots, shot, every):
    for number in range(9):
        await documents.insert(shots, shot(f"s{number}", state="ready", queue_key=number // 2))
    where = [equal("state", "ready"), at_most("queue_key", 3)]
    found = await every(documents, shots, where=where, project="default", order=["queue_key"], limit=2)
    assert [document.id for document in found] == [f"s{number}" for number in range(8)]


async def test_a_document_is_found_by_its_unique_fields(documents, shots, shot):
    for project in ("one", "two"):
        for number in range(3):
            await documents.insert(shots, shot(f"s{number}", project=project, scene="1", number=number))
    where = [equal("number", 2), equal("scene", "1")]
    page = await documents.page(shots, where, project="two")
    assert [(each.project, each.id) for each in page.documents] == [("two", "s2")]
    assert await documents.count(shots, [*where, equal("state", "gone")], project="two") == 0
    assert await documents.count(shots, [equal("scene", "1")], project="two") == 3


@pytest.mark.parametrize(("limit", "counted"), [(1, 1), (4, 4), (5, 5), (6, 5), (None, 5)])
async def test_counting_stops_at_the_limit(documents, shots, shot, limit, counted):
    for number in range(5):
        await documents.insert(shots, shot(f"s{number}", state="ready"))
    assert await documents.count(shots, [equal("state", "ready")], project=None, limit=limit) == counted
    assert await documents.count(shots, [equal("state", "gone")], project=None, limit=limit) == 0


BAD_TOKENS = [
    "x", "💥", "e30=", "bnVsbA==", "W10=", "a" * 513, "=" * 8,
    "WyJzaG90cyJd",  # a listing without a place
    "WyJzaG90cyIsIG51bGxd",  # a place that is null
    "WyJzaG90cyIsIFtdXQ==",  # a place that is too short
    "WyJzaG90cyIsIFt7fSwgImEiXV0=",  # a place that holds an object
]  # fmt: skip


@pytest.mark.parametrize("token", BAD_TOKENS)
async def test_a_token_that_no_answer_gave_is_refused_by_name(documents, shots, shot, token):
    await documents.insert(shots, shot("a"))
    with pytest.raises(InvalidValue) as caught:
        await documents.page(shots, project="default", token=token)
    assert caught.value.field == "page_token"


SURROGATE = chr(0xDC00)


@pytest.mark.parametrize(
    "place",
    [
        [2**63, "default", "a"],
        [-(2**63) - 1, "default", "a"],
        [1e999, "default", "a"],
        ["text", "default", "a"],
        [None, "default", "a"],
        [True, "default", "a"],
        [[1], "default", "a"],
        [1, 7, "a"],
        [1, "default", None],
        [1, "default", SURROGATE],
        [1, SURROGATE, "a"],
        [1, "default"],
        {"1": 2},
    ],
    ids=repr,
)
async def test_a_token_that_somebody_made_up_is_an_invalid_value(documents, shots, shot, place):
    await documents.insert(shots, shot("a", state="ready", queue_key=1))
    token = base64.urlsafe_b64encode(json.dumps([shots.name, "queue_key", place]).encode()).decode()
    for project in ("default", None):
        with pytest.raises(InvalidValue) as caught:
            await documents.page(
                shots,
                [equal("state", "ready"), at_most("queue_key", 9)],
                project=project,
                order=["queue_key"],
                token=token,
            )
        assert caught.value.field == "page_token"


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5_000, "{}", "null"])
async def test_a_token_that_is_no_list_is_an_invalid_value(documents, shots, text):
    token = base64.urlsafe_b64encode(text.encode()).decode()
    with pytest.raises(InvalidValue):
        await documents.page(shots, project="default", token=token)


@pytest.mark.parametrize("place", [[None, "default", "a"], ["text", "default", "a"], [-(2**63), "default", "a"]])
async def test_a_place_of_another_type_in_a_listing_without_bound_is_only_another_place(documents, shots, shot, place):
    await documents.insert(shots, shot("b", queue_key=1))
    token = base64.urlsafe_b64encode(json.dumps([shots.name, "queue_key", place]).encode()).decode()
    await documents.page(shots, project="default", order=["queue_key"], token=token)
