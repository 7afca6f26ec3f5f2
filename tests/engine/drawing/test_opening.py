"""A checkpoint that is loaded holds up nobody but those who want it."""

import os
import shutil
import threading

import numpy as np
import pytest
import torch

from engine.device import CpuDevice
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.errors import ModelUnusable, OutOfMemory, Refused, Stopped
from engine.models import ahead, reader
from engine.models.adoption import Terms, adopt
from engine.models.catalogue import Catalogue
from engine.models.memory import Models
from engine.models.verification import verified
from engine.request import LoraUse

LONG_S = 120.0
UNET = "unet/diffusion_pytorch_model.safetensors"


class Disk:
    """Stands still in the midst of the denoiser of the checkpoint that is asked for until it is let go on."""

    def __init__(self):
        self.is_held = False
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __call__(self, descriptor, buffers, place):
        if self.is_held and place > 1 << 20:
            self.reached.set()
            assert self.go_on.wait(LONG_S)
        return os.preadv(descriptor, buffers, place)


@pytest.fixture
def disk(monkeypatch):
    monkeypatch.setattr(reader, "CHUNK_BYTES", 256 << 10)
    made = Disk()
    yield made
    made.go_on.set()


@pytest.fixture
def models(disk, tmp_path, tiny_folder):
    """Two checkpoints of equal weights, of which the first is in memory."""
    for name in ("here", "there"):
        shutil.copytree(tiny_folder, tmp_path / "sources" / name)
        adopt(tmp_path / "models", tmp_path / "sources" / name, name, Terms())
    made = Models(Catalogue(tmp_path / "models"), torch.device("cpu"), torch.float32, 1 << 30, disk)
    made.checkpoint("here")
    disk.is_held = True
    return made


@pytest.fixture
def engine(drawer, serve):
    return serve(drawer)


def test_an_interactive_request_is_drawn_while_a_checkpoint_is_loaded_for_another(engine, prepared, disk, submit):
    _, loads = submit(engine, prepared(id="loads", checkpoint="there"))
    assert disk.reached.wait(LONG_S)
    _, urgent = submit(engine, prepared(id="urgent", checkpoint="here", priority=90))
    assert urgent.ended.wait(LONG_S) and urgent.error is None
    assert not loads.ended.is_set()
    disk.go_on.set()
    assert loads.ended.wait(LONG_S) and loads.error is None
    assert np.array_equal(loads.pictures[0], urgent.pictures[0])


def test_whoever_cancels_while_it_is_loaded_is_let_go_and_nothing_of_it_is_kept(engine, prepared, disk, models, submit):
    ticket, loads = submit(engine, prepared(id="loads", checkpoint="there"))
    assert disk.reached.wait(LONG_S)
    ticket.cancel()
    assert loads.ended.wait(LONG_S) and isinstance(loads.error, Stopped)
    _, other = submit(engine, prepared(id="other", checkpoint="here"))
    assert other.ended.wait(LONG_S) and other.error is None
    assert models.underway == [] and models.loaded == ["here"]


def test_two_requests_for_one_checkpoint_are_drawn_from_one_loading(engine, prepared, disk, models, submit):
    ears = [submit(engine, prepared(id=id, checkpoint="there"))[1] for id in "ab"]
    assert disk.reached.wait(LONG_S)
    disk.go_on.set()
    for each in ears:
        assert each.ended.wait(LONG_S) and each.error is None
    assert np.array_equal(ears[0].pictures[0], ears[1].pictures[0])
    assert sorted(models.loaded) == ["here", "there"]


def test_a_loading_that_fails_is_the_error_of_all_who_wait_and_of_nobody_else(engine, prepared, disk, models, submit):
    path = models.catalogue.folder / "there" / UNET
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    waiting = [submit(engine, prepared(id=id, checkpoint="there"))[1] for id in "ab"]
    assert disk.reached.wait(LONG_S)
    _, other = submit(engine, prepared(id="other", checkpoint="here", priority=90))
    assert other.ended.wait(LONG_S) and other.error is None
    disk.go_on.set()
    for each in waiting:
        assert each.ended.wait(LONG_S) and isinstance(each.error, ModelUnusable)


def test_memory_that_runs_out_on_the_way_ends_the_request_and_gives_back_what_was_read(models, prepared, disk):
    disk.go_on.set()
    loads = []

    def on_allocation(phase, wanted_bytes):
        loads.append(phase)
        if phase == "load" and len(loads) > 12:
            raise OutOfMemory(phase, wanted_bytes, 0)

    drawer = Drawer(models, models.catalogue, CpuDevice(1, on_allocation))
    with pytest.raises(OutOfMemory):
        reference_loop(drawer, prepared(checkpoint="there"))
    assert models.underway == [] and "there" not in models.loaded
    (picture,) = reference_loop(Drawer(models, models.catalogue, CpuDevice(1)), prepared(checkpoint="there"))
    assert picture.pixels.std() > 5


def test_each_of_a_loadings_many_units_counts_as_one_of_the_request(models, prepared, disk):
    disk.go_on.set()
    drawer = Drawer(models, models.catalogue, CpuDevice(1))
    work = drawer.begin(prepared(checkpoint="there"))
    remaining = set()
    while work.next.phase == "load":
        remaining.add(work.next.remaining)
        drawer.run([work])
    assert len(remaining) == 1
    work.close()


def test_a_lora_is_hashed_beside_the_device_and_others_are_drawn_meanwhile(
    tiny_catalogue, disk, prepared, monkeypatch, serve, submit
):
    disk.go_on.set()
    go_on, reached = threading.Event(), threading.Event()

    def held(entry, **options):
        reached.set()
        assert go_on.wait(LONG_S)
        return verified(entry, **options)

    monkeypatch.setattr(ahead, "verified", held)
    models = Models(tiny_catalogue, torch.device("cpu"), torch.float32, 1 << 30)
    engine = serve(Drawer(models, tiny_catalogue, CpuDevice(1)))
    _, merges = submit(engine, prepared(id="merges", loras=(LoraUse("tiny-lora", 0.8),)))
    assert reached.wait(LONG_S)
    _, urgent = submit(engine, prepared(id="urgent", priority=90))
    assert urgent.ended.wait(LONG_S) and urgent.error is None
    assert not merges.ended.is_set()
    go_on.set()
    assert merges.ended.wait(LONG_S) and merges.error is None


def test_a_lora_that_was_removed_meanwhile_is_an_error_of_its_request(tiny_catalogue, prepared, tmp_path):
    shutil.copytree(tiny_catalogue.folder, tmp_path / "own")
    catalogue = Catalogue(tmp_path / "own")
    models = Models(catalogue, torch.device("cpu"), torch.float32, 1 << 30)
    drawer = Drawer(models, catalogue, CpuDevice(1))
    work = drawer.begin(prepared(loras=(LoraUse("tiny-lora", 0.8),)))
    while work.next.phase == "load":
        drawer.run([work])
    shutil.rmtree(tmp_path / "own" / "tiny-lora")
    (outcome,) = drawer.run([work])
    assert isinstance(outcome, Refused)
