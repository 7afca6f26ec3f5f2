"""What a collector gets of a film: whole traces, declared names, and nothing that anybody wrote."""

from __future__ import annotations

import re
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from continuity.telemetry.names import (
    ATTRIBUTES,
    EVENT_TYPE,
    METRICS,
    OPERATIONS,
    RPC_STATUS,
)
from tests.component.telemetry.conftest import NAMED, SECRETS, SHOTS, Filmed
from tests.component.telemetry.receiver import SUBMIT, TRITON, attributes, rendered, roots

pytestmark = [pytest.mark.triton, pytest.mark.slow]

STAGES = {
    "send continuity.render.v1": {"RenderRequested", "KeyframeRendered"},
    "process continuity.render.v1": {"RenderRequested"},
    "send continuity.prompt.v1": {"PromptBuilt"},
    "process continuity.prompt.v1": {"PromptBuilt"},
}


def submission_traces(filmed: Filmed) -> list[list[Span]]:
    """The traces of the calls whose shots were accepted."""
    accepted = [
        span.trace_id
        for span in filmed.collector.spans
        if span.name == SUBMIT and span.kind == Span.SPAN_KIND_CLIENT and attributes(span)[RPC_STATUS] == "OK"
    ]
    return [filmed.collector.traces()[trace_id] for trace_id in accepted]


def test_every_span_but_the_first_of_a_trace_has_its_parent(filmed: Filmed) -> None:
    assert filmed.collector.orphans() == []
    assert {len(roots(spans)) for spans in filmed.collector.traces().values()} == {1}


def test_every_submitted_shot_is_rendered_in_the_trace_of_its_call(filmed: Filmed) -> None:
    found = [sorted(rendered(spans)) for spans in submission_traces(filmed)]
    assert sorted(found) == sorted(sorted(jobs) for jobs in filmed.submitted)


def test_a_shots_trace_begins_with_the_client_and_reaches_triton(filmed: Filmed) -> None:
    for spans in submission_traces(filmed):
        (root,) = roots(spans)
        assert (root.name, root.kind) == (SUBMIT, Span.SPAN_KIND_CLIENT)
        asked = {span.parent_span_id for span in spans if span.name == TRITON}
        assert asked == {span.span_id for span in rendered(spans).values()}


def test_a_shots_trace_shows_every_event_sent_and_handled(filmed: Filmed) -> None:
    for spans in submission_traces(filmed):
        for name, types in STAGES.items():
            seen = [attributes(span)[EVENT_TYPE] for span in spans if span.name == name]
            assert {type: seen.count(type) for type in set(seen)} == dict.fromkeys(types, SHOTS)


def test_progress_is_no_part_of_a_trace(filmed: Filmed) -> None:
    assert [span for span in filmed.collector.spans if "progress" in span.name] == []


def test_client_and_services_are_told_apart(filmed: Filmed) -> None:
    services = filmed.collector.services
    for span in filmed.collector.spans:
        if span.name.startswith("continuity.api.") and span.kind == Span.SPAN_KIND_CLIENT:
            assert services[span.span_id] in ("client", "cli"), span.name
        elif span.name != "continuity jobs":
            assert services[span.span_id] == "embedded", span.name


def test_a_command_is_the_beginning_of_its_calls_traces(filmed: Filmed) -> None:
    (command,) = [span for span in filmed.collector.spans if span.name == "continuity jobs"]
    spans = filmed.collector.traces()[command.trace_id]
    assert roots(spans) == [command]
    assert sorted(filmed.collector.services[span.span_id] for span in spans) == ["cli", "cli", "embedded"]


@pytest.mark.parametrize("word", [*NAMED, *SECRETS.values()])
def test_nothing_that_anybody_wrote_and_no_secret_is_sent(filmed: Filmed, word: str) -> None:
    assert filmed.collector.sent
    assert [request for request in filmed.collector.sent if word.encode() in request] == []


def test_no_secret_is_logged(filmed: Filmed) -> None:
    assert [secret for secret in SECRETS.values() if secret in filmed.log] == []


def test_every_name_that_arrives_is_declared(filmed: Filmed) -> None:
    known = [re.escape(each.name).replace(r"\{\}", r"[a-zA-Z0-9./-]+") for each in OPERATIONS]
    assert {span.name for span in filmed.collector.spans if not re.fullmatch("|".join(known), span.name)} == set()
    assert {name for span in filmed.collector.spans for name in attributes(span)} <= set(ATTRIBUTES)
    ours = [each for each in filmed.collector.metrics if not each.name.startswith("otel.")]
    assert {each.name for each in ours} <= {each.name for each in METRICS}
    assert {name for each in ours for point in points(each) for name in attributes(point)} <= set(ATTRIBUTES)


def test_calls_events_renders_and_the_queue_are_measured(filmed: Filmed) -> None:
    arrived = {each.name for each in filmed.collector.metrics}
    unheard = {each.name for each in METRICS} - arrived
    assert unheard == {"continuity.render.retries"}


def points(metric: Any) -> list[Any]:
    return list(getattr(metric, metric.WhichOneof("data")).data_points)
