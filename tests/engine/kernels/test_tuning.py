"""What is tuned on a device is what serves there, and nothing else."""

import json
from dataclasses import replace
from shutil import copytree

import pytest
import torch

from engine import VERSION
from engine.device import CpuDevice
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.errors import ModelUnusable
from engine.kernels.__main__ import tune
from engine.kernels.artifact import FOLDER, Artifact, write
from engine.kernels.compiled import Compiled
from engine.kernels.films import film_requests
from engine.kernels.port import Eager
from engine.kernels.serving import serving
from engine.models.catalogue import Catalogue
from engine.models.memory import Models
from engine.preparation import Preparation, RawRequest

SPEC = {"checkpoint": "tiny", "prompt": "a street", "width_px": 256, "height_px": 256, "steps": 2}


def request(**changes):
    return RawRequest(json.dumps({"id": "one"} | SPEC | changes).encode())


def classes_of(kernels, call):
    return {each for each in kernels.made if each.split()[0] == call}


@pytest.fixture
def folder(tiny_folder, tmp_path):
    """A catalogue of one tiny checkpoint."""
    from engine.models.adoption import Terms, adopt

    adopt(tmp_path, tiny_folder, "tiny", Terms("test", True, ""))
    return tmp_path


@pytest.fixture
def device():
    return CpuDevice(1)


def unchanged():
    """Kernels that nobody compiles."""
    return Compiled("", compiler=lambda call, _: call)


@pytest.fixture
def facts(device):
    return {"engine": VERSION, **device.facts()}


GPU = {"device": "NVIDIA X1", "cuda_driver": "580.1", "torch": "2.11", "engine": VERSION}


def test_a_gpu_that_was_not_tuned_is_told_of_with_the_command_that_tunes_it(tmp_path, caplog):
    assert isinstance(serving(tmp_path, GPU), Eager)
    assert f"-m engine.kernels --models {tmp_path}" in caplog.text
    assert "NVIDIA X1" in caplog.text


def test_kernels_of_another_driver_do_not_serve_and_both_drivers_are_told(tmp_path, caplog):
    write(tmp_path / FOLDER, Artifact(GPU | {"cuda_driver": "570.9"}, (), b""))
    assert isinstance(serving(tmp_path, GPU), Eager)
    assert "cuda_driver '570.9', not '580.1'" in caplog.text
    assert "torch" not in caplog.text.partition("(")[2].partition(")")[0]


def test_a_processor_that_was_not_tuned_is_served_by_torchs_own_kernels_and_nothing_is_said(folder, facts, caplog):
    assert isinstance(serving(folder, facts), Eager)
    assert caplog.text == ""


def test_tuning_makes_the_kernels_of_every_class_and_serving_finds_them(folder, device, facts, monkeypatch):
    loaded, made = [], []
    monkeypatch.setattr(torch.compiler, "load_cache_artifacts", loaded.append)
    kernels = Compiled("", is_tuning=True, compiler=lambda call, _: made.append(call) or call)
    requests = [request(), request(guidance=1.0)]
    tune(folder, requests, device=device, kernels=kernels, saved=lambda: b"what the compiler kept")
    found = serving(folder, facts)
    assert isinstance(found, Compiled)
    assert found.sha256
    assert loaded == [b"what the compiler kept"]
    assert len(made) == 3, "the UNet guided and not, the autoencoder once"


def tuned_for_films(folder, device, checkpoint, *sizes):
    kernels = Compiled("", is_tuning=True, compiler=lambda call, _: call)
    requests = [each for size in sizes for each in film_requests(Catalogue(folder), checkpoint, *size)]
    tune(folder, requests, device=device, kernels=kernels, saved=lambda: b"")
    return kernels


def test_a_films_shapes_are_tuned_previz_frames_long_words_and_people_among_them(tiny_catalogue, tmp_path, device):
    folder = tmp_path / "models"
    copytree(tiny_catalogue.folder, folder)
    kernels = tuned_for_films(folder, device, "sdxl-tiny", (1024, 576), (512, 512))
    unet = classes_of(kernels, "unet")
    assert len(classes_of(kernels, "encode")) == len(classes_of(kernels, "decode")) == 2
    assert len(unet) == 2 * 4
    for has_people in (False, True):
        found = {each for each in unet if ("attention_" in each) == has_people}
        assert sum(",77," in each for each in found) == sum(",154," in each for each in found) == 2


def test_without_an_ip_adapter_for_it_a_checkpoint_is_tuned_without_people(folder, device):
    assert len(classes_of(tuned_for_films(folder, device, "tiny", (512, 512)), "unet")) == 2


def test_what_a_shot_of_a_film_asks_for_afterwards_was_tuned(tiny_catalogue, tmp_path, device):
    folder = tmp_path / "models"
    copytree(tiny_catalogue.folder, folder)
    tuned = tuned_for_films(folder, device, "sdxl-tiny", (1024, 576)).made
    serves = Compiled("f00d", compiler=lambda call, _: call)
    models = Models(Catalogue(folder), device.torch_device, torch.float32, 1 << 30)
    raw = list(film_requests(Catalogue(folder), "sdxl-tiny", 1024, 576))[-1]
    people = [{"picture": number, "adapter": "tiny-ip-adapter", "scale": 0.4, "mask": number} for number in (0, 1)]
    shot = json.loads(raw.spec) | {"prompt": "rain " * 100, "references": people, "steps": 4, "sampler": "euler"}
    shot |= {"layout": {"kind": "img2img", "scale": 0.4}}
    seen = RawRequest(json.dumps(shot).encode(), layout=raw.layout, references=[raw.layout] * 2)
    seen.reference_masks = [raw.layout] * 2
    prepared = Preparation(folder)(seen)
    prepared.shape = replace(prepared.shape, sharing=1)
    reference_loop(Drawer(models, Catalogue(folder), device, serves), prepared)
    assert serves.made and serves.made <= tuned


def test_a_damaged_artifact_serves_nothing(folder, device, facts):
    path = tune(folder, [request()], device=device, kernels=unchanged(), saved=lambda: b"kept")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelUnusable):
        serving(folder, facts)


def test_prepared_kernels_draw_the_same_picture_and_are_named_by_it(folder, device):
    catalogue = Catalogue(folder)
    prepared = Preparation(folder)(request(steps=3))
    pictures = []
    for kernels in (Eager(), Compiled("f00d", compiler=lambda call, _: call)):
        models = Models(catalogue, device.torch_device, torch.float32, 1 << 30)
        pictures += reference_loop(Drawer(models, catalogue, device, kernels), prepared)
    assert (pictures[0].pixels == pictures[1].pixels).all()
    assert [each.facts["kernels_sha256"] for each in pictures] == ["", "f00d"]


def test_artifacts_are_no_models(folder, device):
    tune(folder, [request()], device=device, kernels=unchanged(), saved=lambda: b"kept")
    assert (folder / FOLDER).is_dir()
    assert [each.name for each in Catalogue(folder).entries()] == ["tiny"]
    assert not Catalogue(folder).damaged()
