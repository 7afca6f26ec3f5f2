"""The first use of an SDXL renderer installs what it needs, announced; nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from continuity.cli.engine import EngineNotInstalled, require_engine
from continuity.cli.exits import ExitCode
from tests.unit.cli.conftest import Run
from tests.unit.cli.test_doctor import of

INSTALLS = "import pathlib, sys; pathlib.Path('asked').write_text(sys.argv[1]); pathlib.Path('.venv-engine').mkdir()"
FAILS = "raise SystemExit(3)"


def checkout(folder: Path, set_up: str) -> Path:
    (folder / "deploy" / "local").mkdir(parents=True)
    (folder / "deploy" / "local" / "set_up.py").write_text(set_up)
    return folder


async def agreed() -> None:
    """Nothing is wrong with the settings."""


@pytest.fixture
def notes() -> list[str]:
    return []


async def test_the_first_use_says_what_it_installs_and_installs_it_once(
    tmp_path: Path, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTINUITY_RENDERER", "sdxl-tiny")
    folder = checkout(tmp_path, INSTALLS)
    await require_engine(notes.append, agreed, folder)
    await require_engine(notes.append, agreed, folder)
    assert (folder / "asked").read_text() == "engine"
    (said,) = notes
    assert "sdxl-tiny" in said
    assert "6 GB" in said


@pytest.mark.parametrize("renderer", ["", "previz"])
async def test_nothing_is_installed_for_the_usual_renderer(
    tmp_path: Path, notes: list[str], monkeypatch: pytest.MonkeyPatch, renderer: str
) -> None:
    monkeypatch.setenv("CONTINUITY_RENDERER", renderer)
    folder = checkout(tmp_path, INSTALLS)
    await require_engine(notes.append, agreed, folder)
    assert not (folder / "asked").exists()
    assert notes == []


async def test_an_installation_that_fails_names_the_command(
    tmp_path: Path, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTINUITY_RENDERER", "sdxl")
    with pytest.raises(EngineNotInstalled, match=r"deploy\.local\.set_up engine"):
        await require_engine(notes.append, agreed, checkout(tmp_path, FAILS))


async def test_outside_a_checkout_nothing_is_installed(
    tmp_path: Path, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTINUITY_RENDERER", "sdxl")
    await require_engine(notes.append, agreed, tmp_path)
    assert notes == []


@pytest.mark.parametrize(
    ("command", "setting", "value", "said"),
    [
        ("up", "identity", "nobody", "no ip-adapter of that name is in"),
        ("render", "renderer", "sdxl", "`continuity models pull sdxl` fetches it"),
        ("render", "sampler", "eulr", "did you mean 'euler'?"),
    ],
)
def test_what_cannot_be_drawn_with_is_told_before_gigabytes_are_installed_for_it(
    run: Run, shot_list: Path, monkeypatch: pytest.MonkeyPatch, command: str, setting: str, value: str, said: str
) -> None:
    monkeypatch.delenv("CONTINUITY_ADDRESS")
    monkeypatch.setenv("CONTINUITY_RENDERER", "sdxl-tiny")
    monkeypatch.setenv(f"CONTINUITY_{setting.upper()}", value)
    monkeypatch.setattr("continuity.cli.engine.engine_folder", lambda _checkout: shot_list.parent / "none")
    monkeypatch.setattr("continuity.cli.engine.SET_UP", "installs.nothing")
    ended = run(*((command, shot_list, "--out", shot_list.parent / "out") if command == "render" else (command,)))
    (told,) = ended.err.splitlines()
    assert ended.code == ExitCode.INVALID
    assert told.startswith(f"continuity: CONTINUITY_{setting.upper()}: {value!r} is not acceptable; ")
    assert said in told


@pytest.mark.parametrize("command", [("up",), ("jobs", "list"), ("doctor",)], ids=" ".join)
def test_a_renderer_that_does_not_exist_is_told_in_one_line_with_those_that_do(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.delenv("CONTINUITY_ADDRESS")
    monkeypatch.setenv("CONTINUITY_RENDERER", "sdxxl")
    ended = run(*command)
    (said,) = ended.err.splitlines()
    assert ended.code == ExitCode.INVALID
    assert said.endswith("CONTINUITY_RENDERER: 'sdxxl' is none of 'previz', 'sdxl' or 'sdxl-tiny'")


def test_another_wrong_setting_is_named_and_not_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTINUITY_OTLP_ENDPOINT", "user:wr0ng-horse@collector")
    ended = run("jobs", "list", "--json")
    error = ended.json["error"]
    assert (ended.code, error["reason"]) == (ExitCode.INVALID, "SETTINGS_INVALID")
    assert error["message"].startswith("CONTINUITY_OTLP_ENDPOINT: ")
    assert "wr0ng-horse" not in ended.out + ended.err


def test_the_doctor_tells_what_draws_and_misses_no_engine_that_nobody_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTINUITY_ADDRESS")
    told = of(run("doctor", "--json"))
    assert told["renderer"]["found"] == "previz"
    assert not told["diffusion engine"]["needed"]
    assert "deploy.local.set_up engine" in told["diffusion engine"]["mend"]


def test_the_doctor_names_a_model_that_is_missing_and_the_command_that_fetches_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTINUITY_ADDRESS")
    monkeypatch.setenv("CONTINUITY_RENDERER", "sdxl")
    ended = run("doctor", "--json")
    model = of(ended)["model sdxl"]
    assert (ended.code, model["ok"], model["needed"]) == (1, False, True)
    assert model["mend"].endswith("models pull sdxl")


def test_the_doctor_knows_that_the_tiny_model_is_generated(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CONTINUITY_ADDRESS")
    monkeypatch.setenv("CONTINUITY_RENDERER", "sdxl-tiny")
    assert not of(run("doctor", "--json"))["model sdxl-tiny"]["needed"]
    folder = tmp_path / "models" / "sdxl-tiny"
    folder.mkdir(parents=True)
    (folder / "model.json").touch()
    monkeypatch.setenv("CONTINUITY_MODELS", str(tmp_path / "models"))
    assert of(run("doctor", "--json"))["model sdxl-tiny"]["found"] == str(folder)
