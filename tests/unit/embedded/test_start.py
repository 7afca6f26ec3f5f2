"""What the embedded runtime loads: every command that finds none waits for it."""

import subprocess
import sys

import pytest

from continuity.kernel.errors import InvalidValue
from services.embedded.runtime import run
from services.embedded.settings import Settings


def test_clients_of_servers_that_it_does_not_talk_to_are_not_loaded():
    code = "import sys, services.embedded.runtime; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "aiokafka" in loaded
    assert {"motor", "pymongo", "bson", "minio"}.isdisjoint(loaded)


async def test_settings_that_no_shot_could_be_drawn_with_are_refused_before_anything_is_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("CONTINUITY_SAMPLER", "eular")
    home = tmp_path / "home"
    with pytest.raises(InvalidValue, match="CONTINUITY_SAMPLER: 'eular'"):
        await run(Settings(home=home, renderer="sdxl-tiny"), exit_when_idle=True)
    assert not home.exists()
