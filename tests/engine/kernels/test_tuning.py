"""What is tuned on a device is what serves there, and nothing else."""

import json

import pytest
import torch

from engine import VERSION
from engine.device import CpuDevice
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.errors import ModelUnusable
from engine.kernels.__main__ import tune
from engine.kernels.compiled import Compiled
from engine.kernels.port import Eager
from engine.kernels.serving import FOLDER, serving
from engine.models.catalogue import Catalogue
from engine.models.memory import Models
from engine.preparation import Preparation, RawRequest

SPEC = {"width_px": 256, "height_px": 256}


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A catalogue of one tiny checkpoint."""
    from engine.models.adoption import Terms, adopt

    adopt(tmp_path, tiny_folder, "tiny", Terms("test", True, ""))
    return tmp_path


@pytest.fixture
def device():
    return CpuDevice(1)


@pytest.fixture
def facts(device):
    return {"engine": VERSION, **device.facts()}


def test_a_device_that_was_not_tuned_is_served_by_torchs_own_kernels(folder, facts):
    assert isinstance(serving(folder, facts), Eager)


def test_tuning_makes_the_kernels_of_every_class_and_serving_finds_them(folder, device, facts, monkeypatch):
    loaded, made = [], []
    monkeypatch.setattr(torch.compiler, "load_cache_artifacts", loaded.append)
    kernels = Compiled("", compiler=lambda call: made.append(call) or call)
    tune(
        folder,
        "tiny",
        [SPEC, SPEC | {"guidance": 1.0}],
        device=device,
        kernels=kernels,
        saved=lambda: b"what the compiler kept",
    )
    found = serving(folder, facts)
    assert isinstance(found, Compiled)
    assert found.sha256
    assert loaded == [b"what the compiler kept"]
    assert len(made) == 3, "the UNet guided and not, the autoencoder once"


def test_a_damaged_artifact_serves_nothing(folder, device, facts):
    path = tune(
        folder, "tiny", [SPEC], device=device, kernels=Compiled("", compiler=lambda call: call), saved=lambda: b"kept"
    )
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelUnusable):
        serving(folder, facts)


def test_prepared_kernels_draw_the_same_picture_and_are_named_by_it(folder, device):
    catalogue = Catalogue(folder)
    asked = {"id": "one", "checkpoint": "tiny", "prompt": "a street", "steps": 3} | SPEC
    prepared = Preparation(folder)(RawRequest(json.dumps(asked).encode()))
    pictures = []
    for kernels in (Eager(), Compiled("f00d", compiler=lambda call: call)):
        models = Models(catalogue, device.torch_device, torch.float32, 1 << 30)
        pictures += reference_loop(Drawer(models, catalogue, device, kernels), prepared)
    assert (pictures[0].pixels == pictures[1].pixels).all()
    assert [each.facts["kernels_sha256"] for each in pictures] == ["", "f00d"]


def test_artifacts_are_no_models(folder, device):
    tune(folder, "tiny", [SPEC], device=device, kernels=Compiled("", compiler=lambda call: call), saved=lambda: b"kept")
    assert (folder / FOLDER).is_dir()
    assert [each.name for each in Catalogue(folder).entries()] == ["tiny"]
    assert not Catalogue(folder).damaged()
