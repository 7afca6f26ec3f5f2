"""The commands on a folder of models, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.models.catalogue import ABOUT, Catalogue
from engine.models.commands import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one small model in it."""
    assert main(["tiny", str(tmp_path / "models" / "person"), "--kind", "tiny-embedding"]) == 0
    return tmp_path / "models"


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[Any]]:
    capsys.readouterr()
    code = main([str(each) for each in arguments] + ["--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_tiny_model_is_listed_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["list", "--folder", str(folder)]) == 0
    assert capsys.readouterr().out == "person  embedding  sdxl  0.00 GB  Apache-2.0 (commercial use)\n"


def test_a_model_is_described_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, (document,) = said(capsys, "list", "--folder", folder)
    assert code == 0
    assert document["model"]["path"] == str(folder / "person")
    assert list(document["model"]["files"]) == ["embedding.safetensors"]
    assert document["model"]["bytes"] == (folder / "person" / "embedding.safetensors").stat().st_size


def test_a_changed_file_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "verify", "--folder", folder) == (0, [{"verified": {"name": "person", "ok": True}}])
    (folder / "person" / "embedding.safetensors").write_bytes(b"other")
    code, (document,) = said(capsys, "verify", "person", "--folder", folder)
    assert (code, document["verified"]["ok"]) == (1, False)
    assert "its SHA-256 differs" in document["verified"]["reason"]


def test_a_model_that_is_not_there_is_absent_and_not_damaged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, (document,) = said(capsys, "verify", "person", "nope", "--folder", folder)
    assert (code, document["error"]["field"]) == (2, "model")


def test_a_model_that_cannot_be_listed_is_verified_as_damaged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "person" / ABOUT).write_text("{")
    for names in ((), ("person",)):
        code, (document,) = said(capsys, "verify", *names, "--folder", folder)
        assert (code, document["verified"]["ok"]) == (1, False)


def test_who_adopts_without_a_licence_is_told_how_to_state_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(folder / "person" / "embedding.safetensors")
    capsys.readouterr()
    assert main(["adopt", source, "copy", "--folder", str(folder)]) == 0
    assert "`continuity models remove copy`, then adopt it with --licence NAME" in capsys.readouterr().err
    assert main(["adopt", source, "free", "--licence", "MIT", "--folder", str(folder)]) == 0
    assert not capsys.readouterr().err


def test_an_adopted_model_has_the_licence_that_was_given(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder / "person" / "embedding.safetensors"
    arguments = ("--licence", "MIT", "--commercial", "--folder", folder)
    code, (document,) = said(capsys, "adopt", source, "copy", *arguments)
    assert code == 0
    assert (document["model"]["licence"], document["model"]["commercial"]) == ("MIT", True)
    code, (document,) = said(capsys, "adopt", source, "copy", "--folder", folder)
    assert (code, document["error"]["field"]) == (2, "name")


def test_a_removed_model_is_gone_even_where_it_was_damaged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "person" / ABOUT).write_text("{")
    code, (document,) = said(capsys, "list", "--folder", folder)
    assert (code, document["damaged"]["name"]) == (0, "person")
    assert said(capsys, "remove", "person", "--folder", folder) == (0, [{"removed": {"name": "person"}}])
    assert Catalogue(folder).damaged() == []
    code, (document,) = said(capsys, "remove", "person", "--folder", folder)
    assert (code, document["error"]["field"]) == (2, "model")


def test_only_models_can_be_removed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder.parent / "precious").mkdir()
    code, _ = said(capsys, "remove", "../precious", "--folder", folder)
    assert code == 2
    assert (folder.parent / "precious").exists()


def test_what_goes_wrong_is_told_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "sdxll", "--folder", str(folder)]) == 2
    assert "did you mean 'sdxl'" in capsys.readouterr().err
    assert main(["tiny", str(folder / "other"), "--kind", "nothing"]) == 2
    assert "known: sdxl-tiny" in capsys.readouterr().err
