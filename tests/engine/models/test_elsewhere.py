"""Models that a program of somebody else's brings from a store."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ModelUnusable, Refused
from engine.models.adoption import Terms
from engine.models.catalogue import ABOUT, Catalogue
from engine.models.commands import main
from engine.models.elsewhere import adopt_from
from engine.models.tiny.adapters import make_tiny_embedding
from engine.models.transfer import PullFailed, Told, alone

ADDRESS = "s3://film/person.safetensors"
BRINGING = """
import json, pathlib, shutil, sys
source, single, address, folder = sys.argv[1:]
pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
shutil.copy(source, folder)
print(json.dumps({"progress": {"file": "x", "done_bytes": 1, "total_bytes": 2}}))
print(json.dumps({"fetched": single}))
"""


def bringing(source: Path, single: str = "person.safetensors") -> list[str]:
    return [sys.executable, "-c", BRINGING, str(source), single]


def saying(*documents: Any, code: int = 0) -> list[str]:
    """A fetcher that brings nothing and says this."""
    lines = "".join(json.dumps(each) + "\n" for each in documents)
    return [sys.executable, "-c", f"import sys; sys.stdout.write({lines!r}); sys.exit({code})"]


@pytest.fixture
def person(tmp_path: Path) -> Path:
    make_tiny_embedding(tmp_path / "person.safetensors")
    return tmp_path / "person.safetensors"


def adopted(models: Path, fetcher: list[str]) -> list[Told]:
    heard: list[Told] = []
    adopt_from(models, ADDRESS, "person", Terms("MIT"), fetcher=fetcher, told=heard.append)
    return heard


def test_what_was_brought_is_adopted_and_says_where_it_has_come_from(tmp_path: Path, person: Path) -> None:
    models = tmp_path / "models"
    assert adopted(models, bringing(person)) == [Told("person", "x", 1, 2)]
    entry = Catalogue(models).entry("person")
    assert (entry.kind, entry.licence, list(entry.files)) == ("embedding", "MIT", ["person.safetensors"])
    assert json.loads((entry.path / ABOUT).read_text())["source"] == ADDRESS
    assert [each.name for each in models.iterdir()] == ["person"]


def test_what_is_no_model_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "person.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelUnusable, match="damaged"):
        adopted(tmp_path / "models", bringing(tmp_path / "person.safetensors"))
    assert list((tmp_path / "models").iterdir()) == []


def test_what_arrived_by_a_failure_stays_for_the_next_attempt(tmp_path: Path) -> None:
    part = tmp_path / ".person.arriving" / "person.safetensors.part"
    part.parent.mkdir()
    part.write_bytes(b"half")
    with pytest.raises(PullFailed, match="the disk is full"):
        adopted(tmp_path, saying({"error": {"message": "the disk is full"}}, code=1))
    assert part.read_bytes() == b"half"


def test_what_arrived_stays_where_the_disk_has_no_room_for_the_rest(
    tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("engine.models.adoption.enter", full)
        with pytest.raises(OSError, match="No space"):
            adopted(tmp_path / "models", bringing(person))
    assert [each.name for each in (tmp_path / "models").iterdir()] == [".person.arriving"]
    adopted(tmp_path / "models", bringing(person))
    assert [each.name for each in (tmp_path / "models").iterdir()] == ["person"]


@pytest.mark.parametrize(
    ("documents", "code", "error", "said"),
    [
        ([{"error": {"message": "no such bucket"}}], 2, Refused, "no such bucket"),
        ([{"error": {"message": "no answer"}}], 1, PullFailed, "no answer"),
        ([], 1, PullFailed, "ended"),
        ([{"progress": {"file": "x", "done_bytes": 0, "total_bytes": 2}}], 0, PullFailed, "ended"),
        ([], 130, KeyboardInterrupt, "^$"),
    ],
)
def test_what_the_program_fails_with_is_told(
    tmp_path: Path, documents: list[Any], code: int, error: type[BaseException], said: str
) -> None:
    with pytest.raises(error, match=said):
        adopted(tmp_path, saying(*documents, code=code))
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_fetch_into_one_folder(tmp_path: Path, person: Path) -> None:
    with alone(tmp_path / "models" / ".person.arriving", "person"), pytest.raises(PullFailed, match="another process"):
        adopted(tmp_path / "models", ["/nothing/like/this"])
    adopted(tmp_path / "models", bringing(person))


def test_a_name_that_is_taken_is_refused_before_anything_is_fetched(tmp_path: Path, person: Path) -> None:
    adopted(tmp_path / "models", bringing(person))
    with pytest.raises(Refused, match="it is taken"):
        adopted(tmp_path / "models", ["/nothing/like/this"])


def test_without_a_program_an_address_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", ADDRESS, "person", "--folder", str(tmp_path)]) == 2
    assert "continuity models adopt" in capsys.readouterr().err


def test_the_command_runs_the_program_that_it_is_given(
    tmp_path: Path, person: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetcher = tmp_path / "fetch it.py"
    fetcher.write_text(BRINGING)
    arguments = ["--fetcher", f"{sys.executable} '{fetcher}' '{person}' {person.name}"]
    assert main(["adopt", ADDRESS, "person", *arguments, "--folder", str(tmp_path / "models"), "--json"]) == 0
    progress, model = map(json.loads, capsys.readouterr().out.splitlines())
    assert progress["progress"]["done_bytes"] == 1
    assert model["model"]["name"] == "person"
