"""The topics, as the YAML files under ``deploy/kafka/topics`` declare them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from continuity.kernel.errors import InvalidValue
from continuity.messaging.envelope import MAX_RECORD_BYTES

TOPICS_FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "kafka" / "topics"


@dataclass(frozen=True)
class Example:
    """One event as it may stand on a topic; ``payload`` is its protobuf message in JSON, named as in the proto."""

    type: str
    subject: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Topic:
    """One topic. ``retention_s`` None keeps everything; ``dead_letter`` is empty where nothing is retried."""

    name: str
    owner: str
    key: str
    partitions: int
    retention_s: float | None
    consumers: tuple[str, ...]
    events: tuple[str, ...]
    dead_letter: str
    outbox: bool
    description: str = ""
    examples: tuple[Example, ...] = field(default=(), compare=False)


def load_topics(folder: Path = TOPICS_FOLDER) -> Mapping[str, Topic]:
    """Return every declared topic by name. Raises ``InvalidValue`` naming the file and the field."""
    topics: dict[str, Topic] = {}
    for path in sorted(folder.glob("*.yaml")):
        topic = _topic(path)
        if topic.name in topics:
            raise InvalidValue(field=f"{path.name}: name", value=topic.name, limit="one file a topic")
        topics[topic.name] = topic
    if not topics:
        limit = "a folder with one YAML file a topic"
        raise InvalidValue(field="CONTINUITY_TOPICS_FOLDER", value=str(folder), limit=limit)
    return topics


def _topic(path: Path) -> Topic:
    declared: Any = None
    try:
        declared = yaml.safe_load(path.read_text())
        return Topic(
            name=declared["name"],
            owner=declared["owner"],
            key=declared["key"],
            partitions=int(declared["partitions"]),
            retention_s=None if declared["retention"] == "unlimited" else float(declared["retention"]),
            consumers=tuple(declared["consumers"]),
            events=tuple(declared["events"]),
            dead_letter=declared.get("dead_letter", ""),
            outbox=bool(declared.get("outbox", True)),
            description=declared["description"],
            examples=tuple(Example(**example) for example in declared["examples"]),
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InvalidValue(field=f"{path.name}: {error}", value=declared, limit="see the other topics") from error


def consumer_groups(topics: Mapping[str, Topic]) -> dict[str, tuple[str, ...]]:
    """Return the groups whose handling of a topic's events must be complete, for topics that have an outbox."""
    return {topic.name: topic.consumers for topic in topics.values() if topic.outbox}


def topics_of(service: str, topics: Mapping[str, Topic]) -> dict[str, Topic]:
    """Return what a service cannot do without, by name: what it owns and consumes, with the dead letters of these."""
    return broker_topics(
        {name: topic for name, topic in topics.items() if service == topic.owner or service in topic.consumers}
    )


def broker_topics(topics: Mapping[str, Topic]) -> dict[str, Topic]:
    """Return the topics to create by name, dead-letter topics included."""
    every = dict(topics)
    for topic in topics.values():
        if topic.dead_letter:
            every.setdefault(topic.dead_letter, topic)
    return every


def topic_settings(topic: Topic, copies: int) -> dict[str, str]:
    """Return the broker's settings of a topic; with several copies, most of them must have a record to confirm it."""
    settings = {
        "cleanup.policy": "delete",
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "retention.bytes": "-1",
        "retention.ms": str(-1 if topic.retention_s is None else int(topic.retention_s * 1_000)),
    }
    return settings | ({"min.insync.replicas": str(copies // 2 + 1)} if copies > 1 else {})
