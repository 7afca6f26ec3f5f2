"""``continuity models`` in a checkout of its own, whose engine answers as it is told to."""

from __future__ import annotations

import json
import shlex
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from continuity.cli.exits import ExitCode
from continuity.cli.files import CHECKOUT
from tests.unit.cli.conftest import Run

MODEL = {"name": "sdxl", "kind": "checkpoint", "licence": "RAIL", "commercial": True, "bytes": 6_900_000_000}

Answer = Callable[..., None]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.setattr("continuity.cli.commands.models.CHECKOUT", folder)
    monkeypatch.delenv("CONTINUITY_MODELS", raising=False)
    return folder


@pytest.fixture
def answer(checkout: Path) -> Answer:
    """Say what the engine answers; it notes what it was called with in ``called``."""

    def answer(*lines: Any, code: int = 0) -> None:
        python = checkout / ".venv-engine" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        said = "\n".join(json.dumps(line) for line in lines)
        text = (
            f'#!/bin/sh\nprintf "%s\\n" "$PYTHONPATH" "$@" > {checkout}/called\ncat <<"END"\n{said}\nEND\nexit {code}\n'
        )
        python.write_text(text.replace('<<"END"\n\nEND', "/dev/null"))
        python.chmod(python.stat().st_mode | stat.S_IXUSR)

    return answer


def called(checkout: Path) -> list[str]:
    return (checkout / "called").read_text().splitlines()


def progress(done_bytes: int) -> Any:
    return {"progress": {"name": "sdxl", "file": "unet", "done_bytes": done_bytes, "total_bytes": 1000}}


def test_a_pull_tells_progress_and_shows_the_model(run: Run, checkout: Path, answer: Answer, tmp_path: Path) -> None:
    answer(progress(0), progress(1), progress(500), progress(1000), {"model": MODEL})
    ended = run("models", "pull", "sdxl")
    assert ended.code == ExitCode.OK
    assert ended.err.splitlines() == [f"sdxl: {share} of 0.00 GB" for share in ("0%", "50%", "100%")]
    assert ended.out.splitlines()[1].split() == ["sdxl", "checkpoint", "6.90", "GB", "yes", "RAIL"]
    models = tmp_path / "home" / "models"
    assert called(checkout) == [
        str(checkout / "libs"), "-m", "engine.models", "pull", "sdxl", "--json", "--folder", str(models)
    ]  # fmt: skip


def test_programs_get_one_document(run: Run, answer: Answer) -> None:
    answer(progress(0), {"model": MODEL})
    assert run("models", "pull", "sdxl", "--json").json == {"models": [MODEL], "damaged": []}


def test_models_lie_where_the_environment_says(
    run: Run, checkout: Path, answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTINUITY_MODELS", str(tmp_path / "elsewhere"))
    answer()
    ended = run("models", "list")
    assert (ended.code, ended.out) == (ExitCode.OK, "no models\n")
    assert called(checkout)[-1] == str(tmp_path / "elsewhere")


def test_a_damaged_model_is_listed_and_is_a_failure(run: Run, answer: Answer) -> None:
    answer({"model": MODEL}, {"damaged": {"name": "old", "reason": "model.json cannot be read"}})
    ended = run("models", "list")
    assert ended.code == ExitCode.FAILED
    assert "old" in ended.out
    assert "model.json cannot be read" in ended.out


@pytest.mark.parametrize(
    ("error", "code", "exit_code", "reason"),
    [
        ({"field": "name"}, 2, ExitCode.INVALID, "MODEL_REFUSED"),
        ({"field": "model"}, 2, ExitCode.ABSENT, "MODEL_ABSENT"),
        ({"field": None}, 1, ExitCode.FAILED, "MODEL_UNUSABLE"),
    ],
)
def test_what_the_engine_refuses_ends_with_its_words(
    run: Run, answer: Answer, error: dict[str, Any], code: int, exit_code: ExitCode, reason: str
) -> None:
    answer({"error": {**error, "message": "did you mean 'sdxl'?", "kind": "Refused"}}, code=code)
    ended = run("models", "pull", "sdxll", "--json")
    assert ended.code == exit_code
    assert ended.json["error"]["reason"] == reason
    assert "did you mean 'sdxl'?" in ended.err


def test_adopting_hands_everything_on(run: Run, checkout: Path, answer: Answer, tmp_path: Path) -> None:
    (tmp_path / "own.safetensors").write_bytes(b"")
    answer({"model": MODEL})
    arguments = ("--licence", "MIT", "--commercial", "--like", tmp_path)
    assert run("models", "adopt", tmp_path / "own.safetensors", "own", *arguments).code == ExitCode.OK
    handed = ["adopt", str(tmp_path / "own.safetensors"), "own", "--licence", "MIT", "--commercial", "--like"]
    assert called(checkout)[3:11] == [*handed, str(tmp_path)]


def test_verifying_fails_where_one_is_damaged(run: Run, answer: Answer) -> None:
    good, bad = {"name": "a", "ok": True}, {"name": "b", "ok": False, "reason": "unet differs"}
    answer({"verified": good})
    assert run("models", "verify", "a").code == ExitCode.OK
    answer({"verified": good}, {"verified": bad}, code=1)
    ended = run("models", "verify", "--json")
    assert (ended.code, ended.json) == (ExitCode.FAILED, {"verified": [good, bad]})


def test_a_removed_model_is_named(run: Run, checkout: Path, answer: Answer) -> None:
    answer({"removed": {"name": "old"}})
    assert run("models", "remove", "old").out == "old removed\n"
    assert called(checkout)[3:5] == ["remove", "old"]


def set_up(checkout: Path, text: str) -> None:
    """Give the checkout a set-up."""
    (checkout / "deploy" / "local").mkdir(parents=True)
    (checkout / "deploy" / "local" / "set_up.py").write_text(text)


def test_the_environment_is_installed_first_and_announced(run: Run, checkout: Path, answer: Answer) -> None:
    answer({"model": MODEL})
    (checkout / ".venv-engine").rename(checkout / "made")
    set_up(checkout, "import os, sys\nassert sys.argv[1:] == ['engine']\nos.rename('made', '.venv-engine')\n")
    ended = run("models", "list")
    assert ended.code == ExitCode.OK
    assert f"installing them once, 6 GB, into {checkout / '.venv-engine'}" in ended.err


@pytest.mark.parametrize("command", [("list",), ("verify",), ("remove", "own")], ids=str)
def test_what_computes_nothing_installs_nothing(
    run: Run, checkout: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    set_up(checkout, "raise SystemExit(3)\n")
    (checkout / "libs").symlink_to(CHECKOUT / "libs")
    model = tmp_path / "home" / "models" / "own"
    model.mkdir(parents=True)
    about = {"kind": "lora", "architecture": "sdxl", "licence": "MIT", "commercial": True, "files": {}}
    (model / "model.json").write_text(json.dumps(about))
    ended = run("models", *command)
    assert (ended.code, ended.err) == (ExitCode.OK, "")
    assert "own" in ended.out
    assert (model / "model.json").exists() == ("remove" not in command)


def test_an_environment_that_cannot_be_installed_is_told_with_the_remedy(run: Run, checkout: Path) -> None:
    set_up(checkout, "raise SystemExit(3)\n")
    ended = run("models", "list", "--json")
    assert ended.code == ExitCode.UNAVAILABLE
    assert ended.json["error"]["reason"] == "MODELS_NOT_READY"
    assert "python3 -m deploy.local.set_up engine" in ended.json["error"]["message"]


def test_a_file_that_is_not_there_is_refused_before_anything_is_installed(run: Run, checkout: Path) -> None:
    set_up(checkout, "raise SystemExit(3)\n")
    ended = run("models", "adopt", "nothing.safetensors", "own")
    assert ended.code == ExitCode.INVALID
    assert "nothing.safetensors does not exist" in ended.err


def test_an_address_in_a_store_is_handed_on_with_a_program_that_reads_it(
    run: Run, checkout: Path, answer: Answer
) -> None:
    answer(progress(0), progress(1000), {"model": MODEL})
    ended = run("models", "adopt", "s3://film/sdxl", "own")
    assert ended.code == ExitCode.OK
    assert ended.err.splitlines() == [f"sdxl: {share} of 0.00 GB" for share in ("0%", "100%")]
    handed = called(checkout)
    assert handed[3:5] == ["adopt", "s3://film/sdxl"]
    fetcher = shlex.split(handed[handed.index("--fetcher") + 1])
    assert fetcher == [sys.executable, "-m", "continuity.objects.download"]
