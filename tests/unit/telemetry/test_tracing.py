from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from continuity.api.characters.v1.character_service_pb2 import CreateCharacterRequest
from continuity.kernel.errors import Absent
from continuity.telemetry.names import CONTENT, ERROR_TYPE, PROCESS, RENDER, SEND
from continuity.telemetry.propagation import continuing, current_trace_id, current_traceparent, outgoing
from continuity.telemetry.providers import install
from continuity.telemetry.tracing import begin, note_content, span

ELSEWHERE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ANOTHER = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass(eq=False)
class TitleMissing(Absent):
    template = "{title} is missing"
    title: str


def test_without_a_collector_there_is_no_trace() -> None:
    with span(RENDER) as running:
        assert not running.is_recording()
        assert current_traceparent() is None
        assert current_trace_id() is None


def test_a_trace_that_comes_in_passes_through_a_process_that_sends_none() -> None:
    with span(PROCESS, "topic", parent=ELSEWHERE):
        assert current_traceparent() == ELSEWHERE
    assert current_traceparent() is None


def test_spans_inside_of_each_other_are_one_trace(kept: Any) -> None:
    with span(SEND, "topic"), span(RENDER):
        pass
    inner, outer = kept.finished
    assert (inner.name, outer.name, outer.kind) == ("render", "send topic", SpanKind.PRODUCER)
    assert inner.parent.span_id == outer.context.span_id
    assert outer.parent is None


def test_a_span_goes_on_with_a_trace_from_elsewhere(kept: Any) -> None:
    with span(PROCESS, "topic", parent=ELSEWHERE):
        assert current_trace_id() == "0af7651916cd43dd8448eb211c80319c"
    assert f"{kept.span('process topic').parent.span_id:016x}" == "b7ad6b7169203331"


@pytest.mark.parametrize("garbage", ["", "00-zz-1-01", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "é", "x" * 10_000])
def test_a_malformed_traceparent_begins_a_new_trace(kept: Any, garbage: str) -> None:
    with span(PROCESS, "topic", parent=garbage):
        pass
    assert kept.span("process topic").parent is None


def test_an_unsampled_trace_stays_so(kept: Any) -> None:
    with span(PROCESS, "topic", parent=ELSEWHERE[:-1] + "0"):
        assert current_traceparent().endswith("-00")
    assert kept.finished == []


def test_a_failed_span_tells_the_reason_and_not_the_text(kept: Any) -> None:
    with pytest.raises(TitleMissing), span(RENDER):
        raise TitleMissing(title="The Third Man")
    failed = kept.span("render")
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes[ERROR_TYPE] == "TITLE_MISSING"
    assert "Third Man" not in failed.to_json()


def test_a_foreign_exception_tells_its_type_only(kept: Any) -> None:
    with pytest.raises(ValueError, match="Third"), span(RENDER):
        raise ValueError("The Third Man")
    assert kept.span("render").attributes[ERROR_TYPE] == "ValueError"
    assert "Third Man" not in kept.span("render").to_json()


def test_a_span_beside_is_not_current(kept: Any) -> None:
    beside = begin(RENDER)
    assert current_traceparent() is None
    beside.end()
    assert len(kept.finished) == 1


def test_what_an_aggregate_sends_stays_in_its_own_trace(kept: Any) -> None:
    with span(PROCESS, "topic", parent=ANOTHER):
        assert outgoing(ELSEWHERE) == ELSEWHERE
        assert outgoing(ANOTHER) == current_traceparent()
        assert outgoing(None) == current_traceparent()
    assert outgoing(ELSEWHERE) == ELSEWHERE
    assert outgoing(None) is None


def test_work_on_a_stored_document_continues_its_trace() -> None:
    with continuing(ELSEWHERE):
        assert current_traceparent() == ELSEWHERE
        with continuing(None):
            assert current_traceparent() == ELSEWHERE
    assert current_traceparent() is None


def test_what_users_wrote_stays_here_unless_it_is_asked_for(kept: Any) -> None:
    request = CreateCharacterRequest(name="Holly Martins", photo=b"photograph")
    with span(RENDER) as unasked:
        note_content(unasked, request)
    assert "Holly" not in kept.span("render").to_json()
    install(kept.tracers, kept.meters, content=True)
    with span(SEND, "x") as asked:
        note_content(asked, request)
    assert kept.span("send x").attributes[CONTENT] == '{"name": "Holly Martins"}'


def test_the_ambient_span_is_left_as_it_was(kept: Any) -> None:
    before = trace.get_current_span()
    with pytest.raises(RuntimeError), span(RENDER):
        raise RuntimeError
    assert trace.get_current_span() is before
