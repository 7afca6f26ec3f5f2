"""The AsyncAPI 3.0 document of all topics, made from their YAML files and the protos.

``python -m continuity.messaging.asyncapi`` writes ``docs/asyncapi.yaml``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from continuity import __version__
from continuity.messaging.asyncapi_messages import DEAD_LETTER, EVENTS_PACKAGE, Node, cloud_event, messages
from continuity.messaging.envelope import CONTENT_TYPE
from continuity.messaging.proto_schemas import ProtoSchemas
from continuity.messaging.topics import TOPICS_FOLDER, Topic, load_topics, topic_settings

ROOT = TOPICS_FOLDER.parents[2]
DOCUMENT = ROOT / "docs" / "asyncapi.yaml"
_INTRODUCTION = (
    "What the services of Continuity tell each other. Every event is a CloudEvent in Kafka's binary mode: attributes "
    "are headers, the value is a serialized protobuf message. Schemas describe the message's JSON form, fields named "
    "as in the proto. Delivery is at least once, in order for each key; ce_source and ce_id together tell repetitions."
)


def asyncapi(topics: Mapping[str, Topic], descriptors: FileDescriptorSet) -> Node:
    """Return the document. ``descriptors`` must hold every event's message, with source info."""
    events = [event for topic in topics.values() for event in topic.events]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:film:continuity:events",
        "info": {
            "title": "Continuity events",
            "version": __version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"kafka": _server()},
        "channels": _channels(topics),
        "operations": _operations(topics),
        "components": {
            "schemas": ProtoSchemas(descriptors).of(f"{EVENTS_PACKAGE}.{event}" for event in events),
            "messages": messages(topics),
            "messageTraits": {"cloudEvent": {"headers": cloud_event()}},
            "securitySchemes": {
                "scramSha256": {"type": "scramSha256"},
                "scramSha512": {"type": "scramSha512"},
                "plain": {"type": "plain"},
                "clientCertificate": {"type": "X509"},
            },
        },
    }


def read_descriptors() -> FileDescriptorSet:
    """Return the descriptors of all protos of this checkout, comments included."""
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch) / "image.binpb"
        subprocess.run([sys.executable, ROOT / "protos" / "generate.py", "--image", image], check=True)
        return FileDescriptorSet.FromString(image.read_bytes())


def as_yaml(document: Node) -> str:
    """Return the document as it stands in ``docs``."""
    head = "# Made by `python -m continuity.messaging.asyncapi`; edit the topics and the protos instead.\n"
    return head + yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


def _server() -> Node:
    names = ("scramSha256", "scramSha512", "plain", "clientCertificate")
    return {
        "host": "{bootstrap_servers}",
        "protocol": "kafka",
        "description": "Named by CONTINUITY_BOOTSTRAP_SERVERS; log-in and TLS by the CONTINUITY_KAFKA_… variables.",
        "variables": {"bootstrap_servers": {"default": "127.0.0.1:9092"}},
        "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in names],
    }


def _channels(topics: Mapping[str, Topic]) -> Node:
    channels: Node = {}
    for topic in topics.values():
        channels[_channel(topic)] = _described_channel(topic, topic.name, topic.description, topic.events)
        if topic.dead_letter:
            about = f"Events of {topic.name} that a consumer could not handle, as they came, with the reason."
            channels[_dead(topic)] = _described_channel(topic, topic.dead_letter, about, (DEAD_LETTER,))
    return channels


def _described_channel(topic: Topic, address: str, description: str, names: tuple[str, ...]) -> Node:
    return {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": address,
                "partitions": topic.partitions,
                "topicConfiguration": _configuration(topic),
                "bindingVersion": "0.5.0",
            }
        },
    }


def _configuration(topic: Topic) -> Node:
    settings = topic_settings(topic, copies=1)
    policy = settings.pop("cleanup.policy")
    return {"cleanup.policy": [policy], **{name: int(value) for name, value in settings.items()}}


def _operations(topics: Mapping[str, Topic]) -> Node:
    operations: Node = {}
    for topic in topics.values():
        name = _channel(topic)
        operations[f"{topic.owner}-sends-{name}"] = _operation("send", name, topic.owner, topic.events)
        for consumer in topic.consumers:
            received = _operation("receive", name, consumer, topic.events)
            if topic.outbox:  # the others are read by every replica, in no group
                received["bindings"] = {
                    "kafka": {"groupId": {"type": "string", "enum": [consumer]}, "bindingVersion": "0.5.0"}
                }
            operations[f"{consumer}-receives-{name}"] = received
            if topic.dead_letter:
                operations[f"{consumer}-sends-{_dead(topic)}"] = _operation(
                    "send", _dead(topic), consumer, (DEAD_LETTER,)
                )
    return operations


def _operation(action: str, channel: str, service: str, names: tuple[str, ...]) -> Node:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
        "tags": [{"name": service}],
    }


def _channel(topic: Topic) -> str:
    return topic.name.removeprefix("continuity.").removesuffix(".v1")


def _dead(topic: Topic) -> str:
    return f"{_channel(topic)}-dead"


class _Plain(yaml.SafeDumper):
    """Writes everything where it stands, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never refer back."""
        return True


if __name__ == "__main__":
    DOCUMENT.write_text(as_yaml(asyncapi(load_topics(), read_descriptors())))
