"""The messages of the AsyncAPI document: events as CloudEvents, and dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from continuity.messaging.envelope import CONTENT_TYPE, TYPE_PREFIX
from continuity.messaging.proto_schemas import reference
from continuity.messaging.topics import Example, Topic

Node: TypeAlias = dict[str, Any]

EVENTS_PACKAGE = "continuity.api.events.v1"
DEAD_LETTER = "DeadLetter"


def messages(topics: Mapping[str, Topic]) -> Node:
    """Return the messages of all topics by name, and the one that stands for every dead letter."""
    events = {event: _message(topic, event) for topic in topics.values() for event in topic.events}
    return {**events, DEAD_LETTER: _dead_letter()}


def _message(topic: Topic, event: str) -> Node:
    attributes = {
        "ce_source": {"const": f"continuity/{topic.owner}"},
        "ce_type": {"const": TYPE_PREFIX + event},
        "ce_subject": {"type": "string", "description": f"The {topic.key}."},
    }
    return {
        "name": TYPE_PREFIX + event,
        "title": event,
        "contentType": CONTENT_TYPE,
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "headers": {"type": "object", "properties": attributes},
        "payload": reference(f"{EVENTS_PACKAGE}.{event}"),
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": "0.5.0"}},
        "examples": [_example(example) for example in topic.examples if example.type == TYPE_PREFIX + event],
    }


def _example(example: Example) -> Node:
    return {"headers": {"ce_type": example.type, "ce_subject": example.subject}, "payload": dict(example.payload)}


def cloud_event() -> Node:
    """Return the schema of the headers that every event has."""
    text = {"type": "string", "minLength": 1}
    properties = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {**text, "description": "Unique for its source."},
        "ce_source": text,
        "ce_type": text,
        "ce_subject": text,
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_partitionkey": {**text, "description": "The key of the record: the subject."},
        "ce_project": {**text, "description": "The project that the event belongs to."},
        "ce_correlationid": {**text, "description": "Id of the first event of the chain."},
        "ce_causationid": {**text, "description": "Id of the event that this one answers."},
        "ce_traceparent": {**text, "description": "W3C trace context."},
        "content-type": {"const": CONTENT_TYPE},
    }
    optional = ("ce_causationid", "ce_traceparent")
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def _dead_letter() -> Node:
    told = {
        "dead-id": "The id under which the service keeps it for a while.",
        "dead-reason": "UPPER_SNAKE_CASE, stable.",
        "dead-message": "The reason for people.",
        "dead-group": "The service that could not handle the event.",
        "dead-stack": "Where its handler stood when it failed.",
        "dead-cut": "Set when the record was too long to be kept whole.",
        "dead-headers-cut": "Set when the record's own headers are not all here, or not whole.",
    }
    return {
        "title": "A dead letter",
        "summary": "The record as it came, garbage included, with its own headers besides these.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {name: {"type": "string", "description": text} for name, text in told.items()},
        },
        "payload": {"type": "string", "contentEncoding": "base64", "description": "At most 1,000,000 bytes of it."},
    }
