"""Every span, metric and attribute that this program sends, by name.

What the semantic conventions of OpenTelemetry name is named as they do (RPC and messaging); the rest begins with
``continuity.``. ``docs/telemetry.md`` explains them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from opentelemetry.trace import SpanKind

FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SLOW_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)


@dataclass(frozen=True)
class Operation:
    """What spans are made of; ``{}`` in the name is filled in by the caller, with words of which there are few."""

    name: str
    kind: SpanKind


@dataclass(frozen=True)
class Metric:
    """One metric; ``buckets`` are the boundaries of a histogram. A watched one is a counter that is read when due."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "watched"]
    unit: str
    description: str
    buckets: tuple[float, ...] = ()


CALL = Operation("{}", SpanKind.CLIENT)
SERVE = Operation("{}", SpanKind.SERVER)
SEND = Operation("send {}", SpanKind.PRODUCER)
PROCESS = Operation("process {}", SpanKind.CONSUMER)
COMMAND = Operation("continuity {}", SpanKind.INTERNAL)
RENDER = Operation("render", SpanKind.INTERNAL)

OPERATIONS = (CALL, SERVE, SEND, PROCESS, COMMAND, RENDER)

CLIENT_CALLS = Metric("rpc.client.call.duration", "histogram", "s", "Calls that this process made.", FAST_S)
SERVER_CALLS = Metric("rpc.server.call.duration", "histogram", "s", "Calls that this process served.", FAST_S)
SENT = Metric("messaging.client.sent.messages", "counter", "{message}", "Events that the broker confirmed or refused.")
CONSUMED = Metric("messaging.client.consumed.messages", "counter", "{message}", "Events that were taken off a topic.")
PROCESSING = Metric("messaging.process.duration", "histogram", "s", "Handling of one event.", FAST_S)
OUTBOX_WAIT = Metric(
    "continuity.outbox.wait", "histogram", "s", "From the write of an event to the broker's confirmation.", FAST_S
)
RETRIES = Metric("continuity.events.retries", "watched", "{event}", "Events handled again after a failure.")
DEAD_LETTERS = Metric("continuity.events.dead_letters", "watched", "{event}", "Events put aside for good.")
SKIPPED = Metric("continuity.events.skipped", "watched", "{event}", "Events of types that this version does not know.")
HELD = Metric("continuity.events.held", "gauge", "{event}", "Events that wait for a retry, counted up to a bound.")
HELD_AGE = Metric("continuity.events.held_age", "gauge", "s", "How long the oldest event that waits has been held.")
QUEUE_DEPTH = Metric("continuity.queue.depth", "gauge", "{job}", "Unfinished jobs in a state, counted up to a bound.")
QUEUE_AGE = Metric("continuity.queue.age", "gauge", "s", "How long the first job in line has been ready.")
RENDERS = Metric("continuity.render.duration", "histogram", "s", "Attempts to render a shot.", SLOW_S)
RENDER_RETRIES = Metric("continuity.render.retries", "counter", "{job}", "Attempts that are not a job's first.")
TAKE_OVERS = Metric("continuity.render.lease_take_overs", "watched", "{job}", "Jobs taken back from a lost worker.")

METRICS = (
    CLIENT_CALLS,
    SERVER_CALLS,
    SENT,
    CONSUMED,
    PROCESSING,
    OUTBOX_WAIT,
    RETRIES,
    DEAD_LETTERS,
    SKIPPED,
    HELD,
    HELD_AGE,
    QUEUE_DEPTH,
    QUEUE_AGE,
    RENDERS,
    RENDER_RETRIES,
    TAKE_OVERS,
)

RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.response.status_code"
ERROR_TYPE = "error.type"
REASON = "continuity.reason"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
MESSAGING_SYSTEM = "messaging.system"
DESTINATION = "messaging.destination.name"
GROUP = "messaging.consumer.group.name"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
MESSAGE_ID = "messaging.message.id"
PROJECT = "continuity.project"
EVENT_TYPE = "continuity.event.type"
JOB_ID = "continuity.job.id"
JOB_STATE = "continuity.job.state"
ATTEMPT = "continuity.attempt"
MODEL = "continuity.model"
OUTCOME = "continuity.outcome"
CONTENT = "continuity.content"

ATTRIBUTES = (
    RPC_SYSTEM,
    RPC_METHOD,
    RPC_STATUS,
    ERROR_TYPE,
    REASON,
    SERVER_ADDRESS,
    SERVER_PORT,
    MESSAGING_SYSTEM,
    DESTINATION,
    GROUP,
    OPERATION_NAME,
    OPERATION_TYPE,
    MESSAGE_ID,
    PROJECT,
    EVENT_TYPE,
    JOB_ID,
    JOB_STATE,
    ATTEMPT,
    MODEL,
    OUTCOME,
    CONTENT,
)
