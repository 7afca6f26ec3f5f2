"""The script that a machine with a GPU runs goes through on a processor, with the same networks made small."""

import json
from pathlib import Path

import pytest
import torch

from tests.bench.gpu import __main__ as script
from tests.bench.gpu.report import Report, ratios

SMALL = ["--device", "cpu", "--shrink", "16", "--side", "128", "--steps", "3", "--times", "1"]
LEVERS = {
    "eager": ("+ graphs, cuDNN attention", "phases", "overhead of a step", "same bytes in company"),
    "blocks": ("blocks compiled, graphs", "phases"),
    "compiled": (
        "compiled, graphs", "phases", "overhead of a step", "same bytes in company", "kernel artifact",
    ),
    "tuned": ("tuned, graphs", "phases", "overhead of a step", "kernel artifact"),
    "tma": ("tuned with TMA, graphs", "phases"),
}  # fmt: skip
"""The last lever of a part, and what is measured of it beside speed and precision."""
TABLES = {
    "ceilings": ["ceilings"],
    "stock": ["health", "stock diffusers"],
    "slots": ["slots"],
    "trace": ["trace"],
} | {part: [f"{each}, {last}" for each in ("engine", "precision", *more)] for part, (last, *more) in LEVERS.items()}


def tables(folder):
    return json.loads((folder / "gpu-trial.json").read_text())["tables"]


@pytest.fixture
def traced(monkeypatch):
    """Calls are traced whole, as for the compiler, and run as they are: compiling one takes minutes on a processor."""
    usual = torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, *, options, **how: usual(call, backend="eager", **how))


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("part", TABLES)
def test_every_table_of_a_part_is_measured_and_written(tmp_path, part):
    script.main(["--out", str(tmp_path), *SMALL, "--within", part])
    found = tables(tmp_path)
    assert {name: each["failed"] for name, each in found.items() if "failed" in each} == {}
    assert {*TABLES[part]} <= {*found}
    for name, each in found.items():
        if name.startswith("same bytes"):
            assert {(one["equal"], one["different"], one["requests"]) for one in each.values()} == {(4, 4, 4)}
        if name.startswith("precision"):
            assert each["engine"] < 1e-4, f"{name}: in float32 it draws what stock diffusers draws"
            assert each["stock"] == 0 and each["ratio"] is None


@pytest.fixture
def parts(monkeypatch):
    """What the parts' processes would come to, by name: tables that they write, and how they end."""
    came: dict[str, tuple[dict[str, object], str]] = {}
    began: list[str] = []

    def ran(words, limit_s):
        part, folder = words[-1], words[words.index("--out") + 1]
        began.append(part)
        found, state = came.get(part, ({}, "done"))
        report = Report(Path(folder) / "gpu-trial.json")
        report.tables |= found
        report.write()
        return state

    monkeypatch.setattr(script, "_ran", ran)
    return came, began


def test_a_part_that_breaks_breaks_no_other_and_is_taken_again(tmp_path, parts):
    came, began = parts
    came["eager"] = {"engine, eager": {"failed": "an illegal memory access"}}, "failed: -6"
    script.main(["--out", str(tmp_path), *SMALL])
    assert began == [*script.PARTS]
    del began[:], came["eager"]
    script.main(["--out", str(tmp_path), *SMALL])
    assert began == ["eager"], "all others were done"


def test_what_earlier_parts_measured_stays(tmp_path, parts):
    came, _ = parts
    came["stock"] = {"stock diffusers": {"20 steps": {"median_s": 2.0}}}, "done"
    came["eager"] = {"engine, eager": {"20 steps": {"median_s": 1.0}}}, "done"
    came["tma"] = {"engine, tuned": {"failed": "no memory"}}, "failed: 1"
    script.main(["--out", str(tmp_path), *SMALL])
    assert {"stock diffusers", "engine, eager", "engine, tuned"} <= {*tables(tmp_path)}
    assert tables(tmp_path)["ratios"]["20 steps"]["times_stock"] == 2.0


def test_a_part_is_not_begun_without_the_time_that_it_takes(tmp_path, parts):
    _, began = parts
    script.main(["--out", str(tmp_path), *SMALL, "--budget-s", "6"])
    assert began == [], "one second is left, five are kept for the end"


def test_a_part_that_takes_too_long_is_ended():
    assert script._ran(["sleep", "1000"], 0.0) == "failed: not done after 0 s"
    assert script._ran(["true"], 60.0) == "done"
    assert script._ran(["false"], 60.0) == "failed: 1"


def test_ratios_take_the_fastest_and_leave_out_what_failed():
    found = ratios({
        "stock diffusers": {"20 steps": {"median_s": 1.5}},
        "engine, eager": {"20 steps": {"median_s": 1.0}},
        "engine, tuned": {"20 steps": {"median_s": 0.6}},
        "engine, tma": {"failed": "no"},
    })  # fmt: skip
    assert found["20 steps"]["best"] == "engine, tuned"
    assert found["20 steps"]["times_stock"] == pytest.approx(2.5)
    assert found["20 steps"]["share_of_roofline"] == pytest.approx(0.593, abs=0.001)
    assert ratios({}) == {}
