"""What a dead letter is published as: the record's own headers and the reason, within what a broker takes."""

from dataclasses import replace

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from continuity.kernel.values import Failure
from continuity.messaging.dead_letter import dead_headers
from continuity.messaging.envelope import MAX_EVENT_BYTES, MAX_RECORD_BYTES
from continuity.messaging.held_event import DEAD, HeldEvent, keepable
from continuity.messaging.record import Record

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
LONG = st.tuples(TEXT, st.sampled_from([1, 3_000])).map(lambda drawn: drawn[0] * drawn[1])
BYTES = st.tuples(st.binary(max_size=8), st.sampled_from([1, 99, 20_000])).map(lambda drawn: drawn[0] * drawn[1])
ADDED_BYTES = 200
"""What FastStream adds: an id of its own and a content type."""
ENVELOPE = (("ce_id", b"e1"), ("ce_type", b"film.continuity.CharacterDeleted"), ("traceparent", b"00-ab-cd-01"))


def size(key, value, headers):
    """What the client reckons that a record takes, and compares with the longest that a broker takes."""
    wire = [(name, text.encode() if isinstance(text, str) else text) for name, text in headers]
    return DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, wire)


def held(key, value, headers, message="it broke", stack="Traceback"):
    record, cut = keepable(Record("reels", 0, 7, key, tuple(headers), value))
    failure = Failure("HANDLER_FAILED", message)
    return HeldEvent("7f", DEAD, record, "lane", 1, 0.0, 0.0, failure=failure, stack=stack, cut=cut)


def published(letter):
    headers = dead_headers(letter, "cutting")
    return headers, size(letter.record.key, letter.record.value, headers.items())


@given(
    key=st.none() | BYTES,
    headers=st.lists(st.tuples(TEXT, st.none() | BYTES), max_size=12),
    message=LONG,
    stack=LONG,
    fill=st.booleans(),
)
def test_whatever_a_broker_has_taken_can_be_put_aside(key, headers, message, stack, fill):
    taken = size(key, b"", headers)
    while taken > MAX_RECORD_BYTES:
        headers, key = headers[:-1], b"" if not headers else key
        taken = size(key, b"", headers)
    value = b"x" * (MAX_RECORD_BYTES - taken if fill else 9)
    letter = held(key, value, headers, message, stack)
    told, bytes_taken = published(letter)
    assert bytes_taken + ADDED_BYTES <= MAX_RECORD_BYTES
    assert letter.record.value == value[:MAX_EVENT_BYTES]
    assert (told["dead-id"], told["dead-reason"], told["dead-group"]) == ("7f", "HANDLER_FAILED", "cutting")
    for text in told.values():
        text.encode()


def test_the_largest_event_keeps_its_envelope_however_its_headers_grow():
    hostile = [(f"h{number}", b"\xff" * 700) for number in range(80)]  # as text each is three times as long
    letter = held(b"reyes", b"x" * MAX_EVENT_BYTES, [*hostile, *ENVELOPE])
    told, bytes_taken = published(letter)
    assert bytes_taken + ADDED_BYTES <= MAX_RECORD_BYTES
    assert {name: value.decode() for name, value in ENVELOPE[:2]}.items() <= told.items()
    assert told["dead-headers-cut"] == "true"
    assert "dead-cut" not in told


def test_headers_that_fit_are_there_whole_and_nothing_says_otherwise():
    told, _ = published(held(b"reyes", b"x" * MAX_EVENT_BYTES, [*ENVELOPE, ("odd", b"o" * 900)]))
    assert {name: value.decode() for name, value in ENVELOPE}.items() <= told.items()
    assert told["odd"] == "o" * 900
    assert "dead-headers-cut" not in told


@pytest.mark.parametrize(
    "headers",
    [[("long", b"x" * 30_000)], [("n" * 30_000, b"x")], [("twice", b"1"), ("twice", b"2")]],
    ids=["value", "name", "repeated"],
)
def test_a_header_that_is_not_there_as_it_came_is_told_of(headers):
    told, _ = published(held(b"a", b"", [*headers, *ENVELOPE]))
    assert told["dead-headers-cut"] == "true"
    assert told["ce_id"] == "e1"


def test_what_an_earlier_dead_letter_said_of_itself_is_not_said_of_this_one():
    earlier = [("dead-cut", b"true"), ("dead-headers-cut", b"true"), ("dead-reason", b"OTHER")]
    told, _ = published(held(b"a", b"", [*ENVELOPE, *earlier]))
    assert told["dead-reason"] == "HANDLER_FAILED"
    assert not {"dead-cut", "dead-headers-cut"} & set(told)


def test_a_key_that_no_event_of_ours_has_is_cut_and_said_to_be():
    letter = held(b"k" * 1_000_000, b"x", [])
    told, bytes_taken = published(letter)
    assert bytes_taken + ADDED_BYTES <= MAX_RECORD_BYTES
    assert told["dead-cut"] == "true"
    assert letter.record.value == b"x"


def test_text_that_cannot_be_encoded_does_not_keep_a_letter_from_being_published():
    letter = replace(held(b"a", b"", []), stack="\ud800", failure=Failure("HANDLER_FAILED", "\udfff"))
    for text in dead_headers(letter, "cutting").values():
        text.encode()
