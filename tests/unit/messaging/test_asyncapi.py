"""The document as committed, as made from the topics and protos, and as what is really sent."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import jsonschema
import pytest
import yaml

from continuity.documents import OutgoingEvent
from continuity.kernel.values import Failure
from continuity.messaging.asyncapi import DOCUMENT, as_yaml, asyncapi, read_descriptors
from continuity.messaging.cause import caused_by
from continuity.messaging.dead_letter import dead_headers
from continuity.messaging.envelope import headers, open_envelope
from continuity.messaging.held_event import HeldEvent
from continuity.messaging.record import Record
from continuity.messaging.topics import load_topics

TOPICS = load_topics()
CommittedDocument = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> CommittedDocument:
    committed: CommittedDocument = yaml.safe_load(DOCUMENT.read_text())
    return committed


def every(node: Any, name: str) -> Iterator[Any]:
    """Yield the values of a property wherever it stands."""
    if isinstance(node, dict):
        if name in node:
            yield node[name]
        for value in node.values():
            yield from every(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from every(value, name)


def resolved(document: CommittedDocument, reference: str) -> Any:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return resolved(document, node["$ref"]) if set(node) == {"$ref"} else node


def test_the_committed_document_is_what_topics_and_protos_say_now() -> None:
    assert DOCUMENT.read_text() == as_yaml(asyncapi(TOPICS, read_descriptors())), (
        "run `python -m continuity.messaging.asyncapi`"
    )


def test_every_reference_leads_somewhere(document: CommittedDocument) -> None:
    references = list(every(document, "$ref"))
    assert len(references) > 100
    for reference in references:
        assert resolved(document, reference) is not None


def test_every_topic_and_dead_letter_topic_is_a_channel(document: CommittedDocument) -> None:
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == set(TOPICS) | {topic.dead_letter for topic in TOPICS.values() if topic.dead_letter}


def test_every_event_is_sent_by_its_owner_and_received_by_its_consumers(document: CommittedDocument) -> None:
    told = {
        (operation["action"], operation["tags"][0]["name"], resolved(document, operation["channel"]["$ref"])["address"])
        for operation in document["operations"].values()
    }
    sent = {("send", topic.owner, topic.name) for topic in TOPICS.values()}
    received = {("receive", consumer, topic.name) for topic in TOPICS.values() for consumer in topic.consumers}
    put_aside = {
        ("send", consumer, topic.dead_letter)
        for topic in TOPICS.values()
        if topic.dead_letter
        for consumer in topic.consumers
    }
    assert told == sent | received | put_aside


@pytest.mark.parametrize("event", [event for topic in TOPICS.values() for event in topic.events])
def test_the_examples_of_an_event_meet_its_schema(document: CommittedDocument, event: str) -> None:
    message = document["components"]["messages"][event]
    schema = {**message["payload"], "components": document["components"]}
    assert message["examples"]
    for example in message["examples"]:
        jsonschema.Draft7Validator(schema).validate(example["payload"])


def test_the_schema_refuses_what_the_proto_does_not_know(document: CommittedDocument) -> None:
    schema = {**document["components"]["messages"]["PromptBuilt"]["payload"], "components": document["components"]}
    refused = ({"job": "x"}, {"prompt": {"seed": -1}}, {"prompt": {"words": {"style": 3}}}, {"prompt": {"parts": {}}})
    for payload in refused:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft7Validator(schema).validate(payload)


def test_the_headers_that_are_sent_are_those_of_the_document(document: CommittedDocument) -> None:
    declared = document["components"]["messageTraits"]["cloudEvent"]["headers"]
    codec = import_module("services.prompts.entrypoints.mapping").CODEC
    failed = import_module("services.prompts.domain.record").PromptFailed
    (first,) = codec.encode("noir", [failed("job", Failure("BROKEN", "it broke"))])
    with caused_by(open_envelope(_raw(first), first.payload)):
        (second,) = codec.encode("noir", [failed("job", Failure("BROKEN", "it broke"))])
    for sent in (headers(first), headers(second)):
        jsonschema.Draft7Validator(declared).validate(sent)
        assert set(declared["required"]) <= set(sent) <= set(declared["properties"])


def test_the_headers_of_a_dead_letter_are_those_of_the_document(document: CommittedDocument) -> None:
    record = Record("continuity.render.v1", 0, 0, None, (("n" * 101, b""),), b"")
    held = HeldEvent("1", "dead", record, "lane", 1, 0.0, None, failure=Failure("BROKEN", "it broke"), cut=True)
    declared = document["components"]["messages"]["DeadLetter"]["headers"]
    assert set(declared["properties"]) == set(dead_headers(held, "prompts")) - {"n" * 100}


def test_comments_of_the_protos_are_descriptions(document: CommittedDocument) -> None:
    schemas = document["components"]["schemas"]
    key = schemas["continuity.api.common.v1.ObjectRef"]["properties"]["key"]
    assert key["description"] == "Key in the object store, beginning with the project."
    assert "SHOT_TYPE_POV" in schemas["continuity.api.common.v1.ShotType"]["enum"]


def _raw(event: OutgoingEvent) -> list[tuple[str, bytes | None]]:
    return [(name, value.encode()) for name, value in headers(event).items()]
