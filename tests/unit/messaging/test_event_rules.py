"""Events that parse and lack what they must have are put aside at once, naming the field."""

from dataclasses import replace

import pytest
from google.protobuf.json_format import ParseDict

from continuity.api.common.v1.shot_pb2 import SHOT_TYPE_WIDE, Shot
from continuity.api.events.v1 import (
    analysis_events_pb2,
    character_events_pb2,
    location_events_pb2,
    matte_events_pb2,
    prompt_events_pb2,
    render_events_pb2,
)
from continuity.kernel.values import Failure
from continuity.messaging.codec import decode
from continuity.messaging.envelope import TYPE_PREFIX, Event, EventInvalid
from continuity.messaging.handling import Handling, Subscription
from continuity.messaging.held_event import DEAD, WAITING, HeldEvent
from continuity.messaging.record import Record
from continuity.messaging.topics import load_topics
from continuity.messaging.verdict import judged

TOPICS = load_topics()
PACKAGES = (
    analysis_events_pb2,
    character_events_pb2,
    location_events_pb2,
    matte_events_pb2,
    prompt_events_pb2,
    render_events_pb2,
)
EXAMPLES = {
    example.type.removeprefix(TYPE_PREFIX): example.payload for topic in TOPICS.values() for example in topic.examples
}
MAY_LACK = {
    # Messages within an event whose absence means something.
    ("RenderRequested", "location"),
    ("RenderRequested", "expire_time"),
    ("RenderProgressed", "preview"),
}
REQUEST = render_events_pb2.RenderRequested
GOOD = REQUEST(job_id="job", shot=Shot(scene_id="1", shot_number=1, shot_type=SHOT_TYPE_WIDE))


def example(name):
    kind = next(getattr(package, name) for package in PACKAGES if hasattr(package, name))
    return ParseDict(EXAMPLES[name], kind())


def opened(message):
    event = Event("e1", "continuity/test", message.DESCRIPTOR.name, "job", "noir", b"", "e1", {})
    return replace(event, payload=message.SerializeToString())


def required():
    """Yield each event with each field that it must have: the id, and the messages in it."""
    for name in EXAMPLES:
        for number, field in enumerate(example(name).DESCRIPTOR.fields):
            is_message = field.message_type is not None and not field.is_repeated
            if number == 0 or (is_message and (name, field.name) not in MAY_LACK):
                yield name, field.name


@pytest.mark.parametrize(("name", "field"), [*required()])
def test_an_event_without_what_it_must_have_is_refused_naming_the_field(name, field):
    message = example(name)
    assert decode(opened(message), type(message)) == message
    message.ClearField(field)
    with pytest.raises(EventInvalid) as caught:
        decode(opened(message), type(message))
    assert (caught.value.type, caught.value.field) == (name, field)
    assert not caught.value.retryable


@pytest.mark.parametrize("name", ["CharacterReady", "LocationSaved"])
def test_a_resource_without_an_id_is_refused(name):
    message = example(name)
    (field,) = message.DESCRIPTOR.fields
    getattr(message, field.name).id = ""
    with pytest.raises(EventInvalid) as caught:
        decode(opened(message), type(message))
    assert caught.value.field == f"{field.name}.id"


def request(**changes):
    message = REQUEST()
    message.CopyFrom(GOOD)
    for field in changes:
        message.ClearField(field)
    message.MergeFrom(REQUEST(**{name: value for name, value in changes.items() if value is not None}))
    told = {
        "ce_specversion": "1.0",
        "ce_id": "e1",
        "ce_source": "continuity/rendering",
        "ce_type": "film.continuity.RenderRequested",
        "ce_subject": "job",
        "ce_project": "noir",
    }
    wire = tuple((name, value.encode()) for name, value in told.items())
    return Record("continuity.render.v1", 0, 0, b"job", wire, message.SerializeToString())


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ({"shot": None}, "shot"),
        ({"shot": Shot(scene_id="1", shot_number=1)}, "shot.shot_type"),
        ({"shot": Shot(scene_id="1", shot_number=-1, shot_type=SHOT_TYPE_WIDE)}, "shot.shot_number"),
        ({"job_id": ""}, "job_id"),
    ],
)
async def test_it_dies_at_the_first_attempt_unhandled_and_the_service_is_told(broken, field):
    handled, told = [], []

    async def handle(project, message):
        handled.append(message)

    async def mark(event, failure):
        told.append((event.project, event.subject, failure.reason))

    handling = Handling("prompts", [Subscription(TOPICS["continuity.render.v1"], {REQUEST: handle}, mark)])
    assert await handling(request()) is None
    record = request(**broken)
    failed = await handling(record)
    held = judged(HeldEvent("1", WAITING, record, record.lane, 1, 0.0, 0.0), failed, 0.0)
    assert (held.state, held.attempts) == (DEAD, 1)
    assert (held.failure.reason, held.failure.metadata["field"]) == ("EVENT_INVALID", field)
    await handling.give_up(record, held.failure)
    assert told == [("noir", "job", "EVENT_INVALID")]
    assert handled == [GOOD]


def test_fields_that_nobody_knows_yet_are_no_fault():
    later = replace(opened(GOOD), payload=GOOD.SerializeToString() + b"\xfa\x3e\x03new")
    assert decode(later, REQUEST).job_id == "job"


def test_what_is_told_of_an_invalid_event_quotes_nothing_that_anybody_wrote():
    written = "the heiress lies"
    for changes in ({"shot_type": SHOT_TYPE_WIDE, "scene_id": written * 9}, {"shot_number": 0, "scene_id": written}):
        shot = Shot(**{"shot_number": 1, "description": written, **changes})
        with pytest.raises(EventInvalid) as caught:
            decode(opened(REQUEST(job_id="job", shot=shot)), REQUEST)
        assert written not in str(caught.value) + str(caught.value.metadata())


def test_what_is_told_of_a_text_is_its_size():
    long = Shot(scene_id="1", shot_number=1, shot_type=SHOT_TYPE_WIDE, description="x" * 2_001)
    with pytest.raises(EventInvalid) as caught:
        decode(opened(REQUEST(job_id="job", shot=long)), REQUEST)
    assert (caught.value.field, caught.value.value) == ("shot.description", "2001 characters")
    assert Failure.of(caught.value).metadata["limit"] == "must be at most 2000 characters"
