"""The model of random weights is generated where it is drawn with, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from continuity.inference.errors import TinyModelUnmade
from services.embedded.settings import Settings
from services.embedded.tiny_model import make_tiny_model

GENERATES = """#!/bin/sh
[ "$1 $2 $3" = "-m engine.models tiny" ] && mkdir -p "$4" && echo once >> "$4/model.json"
"""
FAILS = "#!/bin/sh\necho no room left; exit 1\n"


def settings(folder: Path, python: str, **changes: object) -> Settings:
    program = folder / ".venv-engine" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(python)
    program.chmod(0o755)
    values: dict[str, object] = {"root": folder, "home": folder / "home", "renderer": "sdxl-tiny"}
    return Settings(**(values | changes))  # type: ignore[arg-type]


async def test_it_is_generated_once(tmp_path: Path) -> None:
    asked = settings(tmp_path, GENERATES)
    await make_tiny_model(asked)
    await make_tiny_model(asked)
    assert (tmp_path / "home" / "models" / "sdxl-tiny" / "model.json").read_text() == "once\n"


async def test_it_lies_among_the_models_that_are_named(tmp_path: Path) -> None:
    await make_tiny_model(settings(tmp_path, GENERATES, models=tmp_path / "mine"))
    assert (tmp_path / "mine" / "sdxl-tiny" / "model.json").exists()


@pytest.mark.parametrize("renderer", ["previz", "sdxl"])
async def test_for_other_renderers_nothing_is_generated(tmp_path: Path, renderer: str) -> None:
    await make_tiny_model(settings(tmp_path, GENERATES, renderer=renderer))
    assert not (tmp_path / "home").exists()


async def test_what_went_wrong_is_told(tmp_path: Path) -> None:
    with pytest.raises(TinyModelUnmade, match="no room left"):
        await make_tiny_model(settings(tmp_path, FAILS))
