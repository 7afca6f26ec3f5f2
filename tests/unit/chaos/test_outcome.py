from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.chaos.findings import Finding, Kind
from tests.chaos.outcome import Outcome, summed

SOUND = Outcome("distributed", seed=7, accepted=5, terminal=5, kills=3, seconds=1.25, findings=())


def test_a_sound_run_is_not_amiss() -> None:
    assert not SOUND.amiss


@pytest.mark.parametrize(
    "outcome",
    [
        replace(SOUND, terminal=4),
        replace(SOUND, accepted=0, terminal=0),
        replace(SOUND, waiting=("1 outboxes of jobs",)),
        *(replace(SOUND, findings=(Finding(kind, "one", "is amiss"),)) for kind in Kind),
    ],
)
def test_anything_else_is_amiss(outcome: Outcome) -> None:
    assert outcome.amiss


def test_the_line_counts_every_finding_once() -> None:
    findings = [Finding(kind, "one", "is amiss") for kind in Kind]
    figures = replace(SOUND, findings=findings).figures()
    counted = sum(figures[name] for name in ("lost", "duplicated", "orphans", "failed"))
    assert counted + sum(figures["other"].values()) == len(Kind)


def test_the_line_holds_all_runs_together() -> None:
    line = json.loads(summed(7, [SOUND, replace(SOUND, name="embedded", kills=2)]))
    assert (line["seed"], line["accepted"], line["kills"], line["seconds"]) == (7, 10, 5, 2.4)
    assert [run["run"] for run in line["runs"]] == ["distributed", "embedded"]
