"""CloudEvents on Kafka: what goes out comes in, and what is none is refused by header."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from continuity.api.events.v1.character_events_pb2 import CharacterDeleted
from continuity.documents import OutgoingEvent
from continuity.messaging.codec import decode
from continuity.messaging.envelope import (
    MAX_EVENT_BYTES,
    EventInvalid,
    EventMalformed,
    EventTooLarge,
    headers,
    open_envelope,
)

SENT = OutgoingEvent(
    id="e1",
    source="continuity/characters",
    type="CharacterDeleted",
    topic="continuity.character.v1",
    key="reyes",
    project="noir",
    time=1_700_000_000.5,
    payload=CharacterDeleted(character_id="reyes", version=2).SerializeToString(),
    headers={"correlationid": "the call", "causationid": "e0"},
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def on_the_wire(event):
    return [(name, value.encode()) for name, value in headers(event).items()]


def test_headers_are_those_of_cloudevents_in_binary_mode():
    assert headers(SENT) == {
        "ce_specversion": "1.0",
        "ce_id": "e1",
        "ce_source": "continuity/characters",
        "ce_type": "film.continuity.CharacterDeleted",
        "ce_subject": "reyes",
        "ce_time": "2023-11-14T22:13:20.500000+00:00",
        "ce_partitionkey": "reyes",
        "ce_project": "noir",
        "content-type": "application/protobuf",
        "ce_correlationid": "the call",
        "ce_causationid": "e0",
    }


@given(id=TEXT, key=TEXT, project=TEXT, correlation=TEXT, payload=st.binary(max_size=50))
def test_what_goes_out_comes_in(id, key, project, correlation, payload):
    sent = replace(SENT, id=id, key=key, project=project, payload=payload, headers={"correlationid": correlation})
    event = open_envelope(on_the_wire(sent), payload)
    assert (event.id, event.subject, event.project, event.payload) == (id, key, project, payload)
    assert (event.type, event.source, event.correlation_id) == (SENT.type, SENT.source, correlation)
    assert event.key == f"continuity/characters#{id}"


def test_an_event_without_a_correlation_is_its_own():
    assert open_envelope(on_the_wire(replace(SENT, headers={})), b"").correlation_id == "e1"


@pytest.mark.parametrize("header", ["ce_id", "ce_source", "ce_type", "ce_subject", "ce_project", "ce_specversion"])
@pytest.mark.parametrize("value", [None, b""])
def test_a_missing_attribute_is_named(header, value):
    broken = [(name, value if name == header else kept) for name, kept in on_the_wire(SENT)]
    with pytest.raises(EventMalformed) as caught:
        open_envelope(broken, b"")
    assert caught.value.header == header
    assert not caught.value.retryable


def changed(**attributes):
    return [(name, attributes.get(name, value.decode()).encode()) for name, value in on_the_wire(SENT)]


@pytest.mark.parametrize("version", ["2.0", "10.3"])
def test_an_envelope_of_a_later_version_is_known_as_one_whatever_it_lacks(version):
    kept = {"ce_specversion", "ce_id", "ce_source", "ce_type"}
    event = open_envelope([each for each in changed(ce_specversion=version) if each[0] in kept], b"")
    assert (event.id, event.type, event.of_later_version) == ("e1", "CharacterDeleted", True)
    assert not open_envelope(on_the_wire(SENT), b"").of_later_version


@pytest.mark.parametrize("broken", [{"ce_specversion": "0.3"}, {"ce_specversion": "2"}, {"ce_specversion": "two.0"}])
def test_an_earlier_version_or_none_is_refused(broken):
    with pytest.raises(EventMalformed) as caught:
        open_envelope(changed(**broken), b"")
    assert caught.value.header == "ce_specversion"


def test_a_later_version_without_an_id_is_refused():
    with pytest.raises(EventMalformed) as caught:
        open_envelope(changed(ce_specversion="2.0", ce_id=""), b"")
    assert caught.value.header == "ce_id"


@given(st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9)), max_size=6))
def test_any_headers_at_all_are_an_event_or_malformed(raw):
    with pytest.raises(EventMalformed):
        open_envelope(raw, b"")


@given(st.binary(max_size=60))
def test_any_payload_at_all_is_a_message_or_refused(payload):
    event = open_envelope(on_the_wire(SENT), payload)
    try:
        assert isinstance(decode(event, CharacterDeleted), CharacterDeleted)
    except EventMalformed as error:
        assert error.value == "CharacterDeleted"
    except EventInvalid as error:
        assert error.field == "character_id"


def test_an_event_that_no_broker_takes_is_refused_before_it_is_written(codec, reel_cut):
    with pytest.raises(EventTooLarge) as caught:
        codec.encode("noir", [reel_cut("a", 1, name="x" * MAX_EVENT_BYTES)])
    assert caught.value.type == "CharacterIngested"
    assert caught.value.size_bytes > caught.value.limit_bytes == MAX_EVENT_BYTES
