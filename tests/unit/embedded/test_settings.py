"""What can never work is refused before anything starts."""

import pytest
from pydantic import ValidationError

from services.embedded import settings as module
from services.embedded.settings import Settings


def test_cuda_is_refused_where_there_is_no_driver(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GPU_DRIVERS", (tmp_path / "nvidiactl", tmp_path / "dxg"))
    with pytest.raises(ValidationError, match="no NVIDIA driver"):
        Settings(home=tmp_path, engine_device="cuda")


@pytest.mark.parametrize("driver", ["nvidiactl", "dxg"])
def test_cuda_is_taken_where_there_is_one(tmp_path, monkeypatch, driver):
    monkeypatch.setattr(module, "GPU_DRIVERS", (tmp_path / "nvidiactl", tmp_path / "dxg"))
    (tmp_path / driver).touch()
    assert Settings(home=tmp_path, engine_device="cuda").engine_device == "cuda"


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_other_devices_need_no_driver(tmp_path, monkeypatch, device):
    monkeypatch.setattr(module, "GPU_DRIVERS", ())
    assert Settings(home=tmp_path, engine_device=device).engine_device == device
