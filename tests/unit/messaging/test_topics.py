"""Topics as declared, events as defined, codecs and subscribers as written: one story, without orphans."""

import inspect
import pkgutil
from importlib import import_module

import pytest
import yaml
from google.protobuf.json_format import ParseDict

from continuity.api.events import v1 as events_package
from continuity.client.dead_letters import CONSUMERS
from continuity.documents import OutgoingEvent
from continuity.kernel.errors import InvalidValue
from continuity.messaging.codec import decode
from continuity.messaging.consumer import Subscription
from continuity.messaging.envelope import MAX_RECORD_BYTES, TYPE_PREFIX, headers, open_envelope
from continuity.messaging.topics import (
    TOPICS_FOLDER,
    broker_topics,
    consumer_groups,
    load_topics,
    topic_settings,
    topics_of,
)

SERVICES = ("characters", "vision", "matting", "prompts", "rendering")
TOPICS = load_topics()
HEARD_BY_EVERY_REPLICA = {"continuity.render-progress.v1"}
"""Read without a group, so not by a subscriber."""


def event_messages():
    """Return every message under ``continuity.api.events.v1`` by name."""
    found = {}
    for module in pkgutil.iter_modules(events_package.__path__):
        if module.name.endswith("_pb2"):
            loaded = import_module(f"{events_package.__name__}.{module.name}")
            found |= {name: getattr(loaded, name) for name in loaded.DESCRIPTOR.message_types_by_name}
    return found


def subscriptions_of(service):
    """Return what a service consumes; its use cases are never called here."""
    module = import_module(f"services.{service}.entrypoints.subscribers")
    make = getattr(module, "subscriptions", None) or module.subscription
    use_cases = [None] * (len(inspect.signature(make).parameters) - 1)
    made = make(*use_cases, TOPICS)
    return [made] if isinstance(made, Subscription) else made


def publications_of(service):
    codec = import_module(f"services.{service}.entrypoints.mapping").CODEC
    return list(codec._publications.values())


EVENTS = event_messages()
every_topic = pytest.mark.parametrize("topic", TOPICS.values(), ids=TOPICS)
every_service = pytest.mark.parametrize("service", SERVICES)


def test_every_event_message_has_exactly_one_topic():
    declared = [event for topic in TOPICS.values() for event in topic.events]
    assert sorted(declared) == sorted(EVENTS)


@every_topic
def test_a_topic_is_named_after_its_file_and_owned_by_a_service(topic):
    assert (TOPICS_FOLDER / f"{topic.name.removeprefix('continuity.').removesuffix('.v1')}.yaml").exists()
    assert topic.owner in SERVICES
    assert set(topic.consumers) <= set(SERVICES)
    assert topic.partitions >= 1


@every_topic
def test_the_owner_and_nobody_else_publishes_exactly_these_events(topic):
    for service in SERVICES:
        published = sorted(
            each.message.DESCRIPTOR.name for each in publications_of(service) if each.topic == topic.name
        )
        assert published == (sorted(topic.events) if service == topic.owner else []), service


@every_service
def test_a_service_publishes_to_declared_topics_what_is_an_event(service):
    for publication in publications_of(service):
        assert publication.topic in TOPICS
        assert EVENTS[publication.message.DESCRIPTOR.name] is publication.message


@every_topic
def test_the_listed_consumers_and_nobody_else_subscribe(topic):
    subscribed = [
        service for service in SERVICES for each in subscriptions_of(service) if each.topic.name == topic.name
    ]
    assert sorted(subscribed) == ([] if topic.name in HEARD_BY_EVERY_REPLICA else sorted(topic.consumers))


@every_service
def test_a_subscriber_knows_only_events_of_its_topic_and_puts_the_rest_aside(service):
    for subscription in subscriptions_of(service):
        assert subscription.handlers
        for message in subscription.handlers:
            assert message.DESCRIPTOR.name in subscription.topic.events
            assert EVENTS[message.DESCRIPTOR.name] is message
        assert subscription.topic.dead_letter


def test_every_event_of_an_outbox_is_handled_by_somebody():
    handled = {
        message.DESCRIPTOR.name
        for service in SERVICES
        for subscription in subscriptions_of(service)
        for message in subscription.handlers
    }
    told_to_films_and_galleries = {"KeyframeRendered", "KeyframeFailed", "KeyframeCancelled"}
    outboxes = {event for topic in TOPICS.values() if topic.outbox for event in topic.events}
    assert outboxes - handled == told_to_films_and_galleries


@every_topic
def test_every_event_of_a_topic_has_an_example_and_nothing_else_has(topic):
    assert [example.type.removeprefix(TYPE_PREFIX) for example in topic.examples] == list(topic.events)


@every_topic
def test_an_example_is_an_event_of_the_topic_under_its_key(topic):
    for example in topic.examples:
        name = example.type.removeprefix(TYPE_PREFIX)
        assert example.type == TYPE_PREFIX + name
        message = ParseDict(example.payload, EVENTS[name]())
        assert example.subject == _key(message), name


def _key(message):
    """Return the id that every event begins with, or that of the aggregate which is all that it holds."""
    first = getattr(message, message.DESCRIPTOR.fields[0].name)
    return first if isinstance(first, str) else first.id


@every_topic
def test_what_is_sent_as_the_example_says_is_what_its_consumers_open(topic):
    for example in topic.examples:
        name = example.type.removeprefix(TYPE_PREFIX)
        payload = ParseDict(example.payload, EVENTS[name]()).SerializeToString()
        sent = OutgoingEvent(
            "1", f"continuity/{topic.owner}", name, topic.name, example.subject, "default", 0.0, payload
        )
        received = open_envelope([(key, value.encode()) for key, value in headers(sent).items()], payload)
        assert (received.type, received.subject) == (name, example.subject)
        assert decode(received, EVENTS[name]) == ParseDict(example.payload, EVENTS[name]())


@every_topic
def test_what_is_retried_has_a_dead_letter_topic_of_its_own(topic):
    assert topic.dead_letter == (f"{topic.name}.dead" if topic.outbox else "")


def test_groups_are_asked_for_what_has_an_outbox_only():
    groups = consumer_groups(TOPICS)
    assert groups["continuity.character.v1"] == ("vision", "matting", "rendering")
    assert "continuity.render-progress.v1" not in groups


def test_the_broker_gets_every_topic_and_its_dead_letters():
    names = set(broker_topics(TOPICS))
    assert names == set(TOPICS) | {topic.dead_letter for topic in TOPICS.values() if topic.dead_letter}


@every_service
def test_a_service_needs_what_it_owns_and_consumes_with_their_dead_letters(service):
    needed = topics_of(service, TOPICS)
    named = {publication.topic for publication in publications_of(service)}
    consumed = {subscription.topic for subscription in subscriptions_of(service)}
    named |= {topic.name for topic in consumed} | {topic.dead_letter for topic in consumed}
    owned = {topic.dead_letter for topic in TOPICS.values() if topic.owner == service and topic.dead_letter}
    assert set(needed) == named | owned


def test_the_services_that_consume_are_those_whose_dead_letters_can_be_asked_for():
    assert set(CONSUMERS) == {consumer for topic in TOPICS.values() if topic.outbox for consumer in topic.consumers}


def test_a_topic_keeps_everything_unless_it_says_for_how_long():
    assert topic_settings(TOPICS["continuity.render.v1"], 1) == {
        "cleanup.policy": "delete",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "retention.bytes": "-1",
        "retention.ms": "-1",
    }
    assert topic_settings(TOPICS["continuity.render-progress.v1"], 1)["retention.ms"] == "600000"


@pytest.mark.parametrize(("copies", "confirming"), [(2, "2"), (3, "2"), (4, "3"), (5, "3")])
def test_a_record_is_confirmed_when_most_copies_have_it(copies, confirming):
    assert topic_settings(TOPICS["continuity.render.v1"], copies)["min.insync.replicas"] == confirming


DECLARED = ["name", "owner", "key", "partitions", "retention", "consumers", "events", "description", "examples"]


@pytest.mark.parametrize("field", DECLARED)
def test_a_topic_that_lacks_a_field_is_refused_naming_file_and_field(tmp_path, field):
    declared = yaml.safe_load((TOPICS_FOLDER / "character.yaml").read_text())
    del declared[field]
    (tmp_path / "character.yaml").write_text(yaml.safe_dump(declared))
    with pytest.raises(InvalidValue, match=rf"character\.yaml: '{field}'"):
        load_topics(tmp_path)


@pytest.mark.parametrize("written", ["[]", "", "just words", "name: [unclosed", "partitions: many"])
def test_a_file_that_is_no_topic_is_refused_naming_it(tmp_path, written):
    (tmp_path / "odd.yaml").write_text(written)
    with pytest.raises(InvalidValue, match=r"odd\.yaml"):
        load_topics(tmp_path)


def test_two_files_may_not_declare_one_topic(tmp_path):
    text = (TOPICS_FOLDER / "character.yaml").read_text()
    (tmp_path / "a.yaml").write_text(text)
    (tmp_path / "b.yaml").write_text(text)
    with pytest.raises(InvalidValue, match=r"b\.yaml"):
        load_topics(tmp_path)


def test_a_folder_without_topics_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match="CONTINUITY_TOPICS_FOLDER"):
        load_topics(tmp_path)
