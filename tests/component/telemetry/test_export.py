"""The exporters of one process against a real receiver."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from continuity.telemetry.names import RENDER, RENDERS, SEND
from continuity.telemetry.providers import measure, tracer
from continuity.telemetry.setup import set_up_telemetry
from continuity.telemetry.tracing import span
from tests.component.telemetry.receiver import attributes, receiving

ROOT = Path(__file__).resolve().parents[3]


def test_spans_and_metrics_arrive_with_who_sent_them() -> None:
    with receiving() as collector:
        telemetry = set_up_telemetry("rendering", collector.endpoint, "1.2.3")
        with span(SEND, "topic"), span(RENDER):
            measure(RENDERS, 2.5, {"continuity.model": "previz"})
        assert telemetry.shutdown()
    assert {each.name for each in collector.spans} == {"send topic", "render"}
    assert set(collector.services.values()) == {"rendering"}
    assert collector.orphans() == []
    assert len(collector.traces()) == 1
    (renders,) = [each for each in collector.metrics if each.name == RENDERS.name]
    (point,) = renders.histogram.data_points
    assert (point.sum, point.count, attributes(point)) == (2.5, 1, {"continuity.model": "previz"})


def test_nothing_is_sent_afterwards() -> None:
    with receiving() as collector:
        set_up_telemetry("rendering", collector.endpoint, "1").shutdown()
        with span(RENDER) as late:
            assert not late.is_recording()
    assert collector.spans == []
    assert tracer() is None


def test_more_spans_than_a_batch_all_arrive() -> None:
    with receiving() as collector:
        telemetry = set_up_telemetry("rendering", collector.endpoint, "1")
        for _ in range(3_000):
            with span(RENDER):
                pass
        assert telemetry.shutdown()
    assert len(collector.spans) == 3_000


def test_a_collector_that_hangs_holds_a_process_for_its_limit_at_most() -> None:
    with receiving() as collector:
        collector.hang()
        telemetry = set_up_telemetry("rendering", collector.endpoint, "1")
        with span(RENDER):
            pass
        assert not telemetry.shutdown(limit_s=0.2)
        collector.go_on.set()


def test_a_process_that_sends_nothing_does_not_even_import_the_sdk() -> None:
    code = (
        "import sys\n"
        "from continuity.client import ContinuityClient\n"
        "from continuity.telemetry.setup import set_up_telemetry\n"
        "set_up_telemetry('cli', '', '1')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk') or '.otlp' in name])\n"
    )
    environment: dict[str, Any] = {"PYTHONPATH": f"{ROOT}:{ROOT / 'libs'}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
