"""The script that a machine with a GPU runs goes through on a processor, with the same networks made small."""

import json
import sys

import pytest

from tests.bench.gpu import __main__ as script

TABLES = ("health", "precision", "stock diffusers", "engine, eager", "phases", "overhead of a step", "ratios")


@pytest.mark.slow
def test_every_table_is_measured_and_written(tmp_path, monkeypatch):
    asked = ["--device", "cpu", "--shrink", "16", "--side", "128", "--steps", "3", "4", "--times", "1", "--levers"]
    monkeypatch.setattr(sys, "argv", ["bench-gpu", "--out", str(tmp_path), *asked])
    script.main()
    (path,) = tmp_path.glob("gpu-trial.json")
    tables = json.loads(path.read_text())["tables"]
    assert {name: table["failed"] for name, table in tables.items() if "failed" in table} == {}
    assert {*TABLES} <= {*tables}
    for company in tables["same bytes in company"].values():
        assert company["equal"] == company["different"] == company["requests"] == 4
    assert tables["precision"]["ratio"] == 1.0, "in float32 both are the same"
