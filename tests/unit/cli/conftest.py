import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from continuity.cli.main import main
from tests.unit.client.fakes import serving
from tests.unit.client.studio import Studio


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def address(studio: Studio) -> Iterator[str]:
    with serving(studio) as address:
        yield address


@pytest.fixture
def run(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process against the fake services."""
    monkeypatch.setenv("CONTINUITY_ADDRESS", address)
    monkeypatch.setenv("CONTINUITY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr("sys.argv", ["continuity", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "ward.png"
    Image.new("RGB", (64, 64), (90, 80, 70)).save(path)
    return path


@pytest.fixture
def shot_list(tmp_path: Path, photo: Path) -> Path:
    path = tmp_path / "film.yaml"
    path.write_text(SHOT_LIST)
    return path


SHOT_LIST = """\
film: {title: Weather Hold, style: cinematic, seed: 9}
characters:
  - {name: Ward, photo: ward.png, description: launch director}
locations:
  - {name: Pad Nine, type: exterior, description: a launch pad}
scenes:
  - id: 1
    location: Pad Nine
    shots:
      - {shot: 1, shot_type: establishing, description: The pad., duration_s: 4}
      - {shot: 2, shot_type: close-up, description: Ward waits., characters: [Ward], camera_angle: low-angle}
  - id: 2
    location: Pad Nine
    shots:
      - {shot: 1, shot_type: wide, description: The rocket.}
"""
