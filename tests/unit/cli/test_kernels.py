"""``continuity doctor`` says whether the GPU that draws has kernels tuned for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from engine import VERSION
from engine.kernels.artifact import FOLDER, Artifact, write
from tests.unit.cli.conftest import Run
from tests.unit.cli.test_doctor import of

ROW = "tuned kernels"
FACTS = {"device": "NVIDIA X1, 80GB", "cuda_driver": "580.1", "engine": VERSION}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONTINUITY_RENDERER", "sdxl")
    monkeypatch.setenv("CONTINUITY_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def row(run: Run, models: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("CONTINUITY_ADDRESS")
    return lambda: of(run("doctor", "--json")).get(ROW)


def says(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``nvidia-smi`` be this."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says(tmp_path, "printf 'NVIDIA X1, 80GB, 580.1\\nNVIDIA X2, 580.1\\n'", monkeypatch)


@pytest.mark.usefixtures("gpu")
def test_a_gpu_that_nobody_tuned_for_is_told_with_the_command_and_is_no_failure(row: Any, models: Path) -> None:
    told = row()
    assert not told["ok"]
    assert not told["needed"]
    assert told["found"] == "none for NVIDIA X1, 80GB"
    assert f".venv-engine/bin/python -m engine.kernels --models {models} --checkpoint sdxl" in told["mend"]
    assert told["mend"].startswith("PYTHONPATH=libs ")


@pytest.mark.usefixtures("gpu")
def test_kernels_of_another_driver_are_none_and_both_are_told(row: Any, models: Path) -> None:
    write(models / FOLDER, Artifact(FACTS | {"cuda_driver": "570.9"}, (), b""))
    assert (row()["ok"], row()["found"]) == (False, "for cuda_driver 570.9, not 580.1")


@pytest.mark.usefixtures("gpu")
def test_kernels_that_were_tuned_here_are_there(row: Any, models: Path) -> None:
    write(models / FOLDER, Artifact(FACTS | {"torch": "2.11"}, (), b""))
    assert row()["ok"]


@pytest.mark.usefixtures("gpu")
def test_where_the_processor_is_to_draw_nothing_is_to_be_tuned(row: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTINUITY_ENGINE_DEVICE", "cpu")
    assert row() is None


@pytest.mark.parametrize("script", ["exit 9", "echo 'No devices were found'", "true"])
def test_where_no_driver_answers_nothing_is_to_be_tuned(
    row: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    says(tmp_path, script, monkeypatch)
    assert row() is None
