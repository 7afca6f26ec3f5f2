"""What the report of the control plane says of its targets."""

from __future__ import annotations

import pytest

from tests.bench.control_plane.figures import Measured
from tests.bench.control_plane.meter import Load
from tests.bench.control_plane.report import DISTURBED, verdicts


def measured(shots_per_s: float, p99_ms: float = 20.0, elsewhere: float = 0.0) -> Measured:
    return Measured(1_000, [1_000 / shots_per_s], [p99_ms / 1e3], Load({}, elsewhere, 0.1))


def test_a_figure_is_judged_before_it_is_rounded() -> None:
    told = verdicts(measured(1.995 * 150, p99_ms=50.004), measured(150))
    assert told["ratio_verdict"] == "1.995: **not met**"
    assert told["latency_verdict"] == "50.004: **not met**"
    assert verdicts(measured(199.97), measured(50))["rate_verdict"] == "199.97: **not met**"


def test_targets_that_are_reached_exactly_are_met() -> None:
    assert set(verdicts(measured(200, p99_ms=50.0), measured(100)).values()) == {"200: met", "2: met", "50: met"}


@pytest.mark.parametrize("disturbed", ["product", "celery"])
def test_nothing_is_judged_on_a_machine_that_others_kept_busy(disturbed: str) -> None:
    busy = {disturbed: 2 * DISTURBED}
    told = verdicts(measured(300, elsewhere=busy.get("product", 0.0)), measured(100, elsewhere=busy.get("celery", 0.0)))
    assert all("not judged" in each for each in told.values())
