"""The engine as it is served: real workers, small weights, every file in its place."""

import hashlib
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from engine import VERSION, door
from engine.device import CpuDevice
from engine.door import Engine, Limits, build
from engine.errors import OutOfMemory, Refused
from engine.loop.phases import PhaseLimits
from engine.models.tiny.everything import make_tiny_catalogue
from engine.preparation import Preparation, RawRequest


def raw(**fields):
    spec = {"id": "a", "checkpoint": "sdxl-tiny", "prompt": "a boat", "steps": 2, "width_px": 256, "height_px": 256}
    return RawRequest(spec=json.dumps({**spec, **fields}).encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    make_tiny_catalogue(folder, ("sdxl-tiny",))
    return folder


@pytest.fixture(scope="module")
def served(folder):
    engine = build(folder, "cpu", threads=1, state_path=folder / "state")
    yield engine
    engine.close()


def drawn(engine, kit, request):
    ears = kit.Ears()
    engine.submit("a", request, ears)
    assert ears.wait() == "finished", ears.ends
    return ears


def test_a_picture_comes_with_previews_and_a_manifest_of_its_own(served, kit, folder):
    ears = drawn(served, kit, raw(preview_every=1))
    (picture,) = ears.pictures()
    manifest = json.loads(ears.heard[-1][2])
    assert picture.pixels.shape == (256, 256, 3)
    assert manifest["pixels_sha256"] == hashlib.sha256(picture.pixels.tobytes()).hexdigest()
    assert manifest["engine"] == VERSION and manifest["device"]["threads"] == 1
    assert any(each[3].startswith(b"\xff\xd8") for each in ears.heard if each[0] == "progress")
    assert json.loads((folder / "state").read_bytes())["pid"] == os.getpid()


def test_on_a_processor_every_request_has_a_batch_of_its_own(served, kit):
    ears = drawn(served, kit, raw(hires={"scale": 1.5, "strength": 0.9, "steps": 2}))
    passes = json.loads(ears.heard[-1][2])["drawn"]["passes"]
    assert [each["slots"] for each in passes] == [1, 1]


def test_what_is_asked_wrongly_is_refused_and_the_next_is_served(served, kit):
    for field, value in (("steps", 0), ("guidance", "much"), ("checkpoint", "nothing"), ("seed", -1)):
        ears = kit.Ears()
        served.submit("bad", raw(**{field: value}), ears)
        assert isinstance(ears.wait(), Refused), (field, ears.ends)
    drawn(served, kit, raw())


def test_workers_that_are_killed_cost_what_they_had_and_no_more(served, kit):
    first = drawn(served, kit, raw()).pictures()[0].pixels.tobytes()
    for pid in served._offload.pids():
        os.kill(pid, 9)
    ears = kit.Ears()
    served.submit("unlucky", raw(), ears)
    ears.wait()
    served.submit("unlucky too", raw(), ears := kit.Ears())
    ears.wait()
    assert drawn(served, kit, raw()).pictures()[0].pixels.tobytes() == first


def test_the_devices_thread_never_waits_long_for_the_interpreter(served):
    assert sys.getswitchinterval() <= 1e-4


def test_closing_leaves_no_process_and_no_thread(folder):
    engine = build(folder, "cpu", threads=1)
    pids = engine._offload.pids()
    assert len(pids) == 2
    before = {thread.name for thread in threading.enumerate()}
    assert "engine-device" in before
    engine.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_the_watcher_is_told_to_be_patient_with_a_processor(folder, kit, monkeypatch):
    made = []
    monkeypatch.setattr(door, "Engine", lambda *_args, limits, **_more: made.append(limits))
    monkeypatch.setattr(door, "Workers", lambda *_args, **_more: kit.Inline())
    build(folder, "cpu", threads=1)
    build(folder, "cpu", threads=1, limits=Limits(phases=PhaseLimits(step=5)))
    assert [limits.phases.step for limits in made] == [1800, 5]


class Rationed(CpuDevice):
    """A processor whose memory runs out at allocations of choice."""

    def __init__(self):
        self.asked, self.failing = [], range(0)
        super().__init__(threads=1, on_allocation=self._note)

    def _note(self, phase, wanted_bytes):
        self.asked.append(phase)
        if len(self.asked) - 1 in self.failing:
            raise OutOfMemory(phase, wanted_bytes, 0)


@pytest.fixture
def rationed(folder, kit):
    device = Rationed()
    engine = Engine(
        lambda: door._drawer(folder, device), Preparation(folder), kit.Inline(), free_bytes=device.free_bytes, facts={}
    )
    yield device, engine
    engine.close()


@pytest.mark.parametrize("times", [1, 2], ids=["once", "and again when others have given theirs up"])
def test_memory_that_runs_out_at_any_allocation_is_at_most_the_error_of_that_request(rationed, kit, times):
    device, engine = rationed
    whole = drawn(engine, kit, raw()).pictures()[0].pixels.tobytes()
    device.asked.clear()
    drawn(engine, kit, raw())
    phases = list(device.asked)
    assert {"encode", "step", "decode"} <= set(phases)
    finished = 0
    for failing in range(len(phases)):
        device.asked.clear()
        device.failing = range(failing, failing + times)
        engine.submit("poor", raw(), ears := kit.Ears())
        if ears.wait() == "finished":
            finished += 1
            assert ears.pictures()[0].pixels.tobytes() == whole
        else:
            assert isinstance(ears.ends[0], OutOfMemory), (phases[failing], ears.ends)
        device.failing = range(0)
        assert drawn(engine, kit, raw()).pictures()[0].pixels.tobytes() == whole
    assert bool(finished) == (times == 1)
