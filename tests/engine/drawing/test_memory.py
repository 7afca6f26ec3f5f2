"""Memory that runs out: what is idle leaves, what runs goes on, and only those who cannot be drawn hear of it."""

import gc

import numpy as np
import pytest
import torch

from engine import door
from engine.device import CpuDevice
from engine.drawing import pace
from engine.drawing.budgets import budgets_of
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.errors import OutOfMemory
from engine.kernels.port import Eager
from engine.models.memory import Models
from engine.request import LayoutGuide, LoraUse, Reference
from engine.variants import variants
from engine.work import Finished, Picture

GIB = 1 << 30


@pytest.fixture
def models(tiny_catalogue):
    """Weights that no other test has merged anything into."""
    return Models(tiny_catalogue, torch.device("cpu"), torch.float32, budget_bytes=GIB)


@pytest.fixture
def people(photograph):
    return {
        "references": (Reference(0, 0.6, adapter="tiny-ip-adapter"),),
        "references_shown": [photograph],
        "layout": LayoutGuide("tiny-controlnet", 0.7),
        "layout_picture": photograph,
    }


class Small(CpuDevice):
    """A device with ``total`` bytes, of which the weights that are kept take theirs."""

    def __init__(self, total, on_allocation=lambda phase, wanted: None):
        super().__init__(1, on_allocation)
        self.total = total
        self.kept = lambda: 0

    def free_bytes(self):
        return self.total - self.kept()


def weights_of(drawer):
    """Bytes of weights that a drawer keeps, by what they are."""
    studio = drawer._studio
    return {
        "checkpoints": studio.models.used_bytes,
        "variants": sum(each.kept_bytes for _, each in studio._variants.values()),
        "identities": studio.identities.weight_bytes,
        "controls": studio.controls.weight_bytes,
    }


def pixels(drawer, prepared):
    (picture,) = reference_loop(drawer, prepared)
    return picture.pixels


def failing_once(phase):
    """Let the first allocation of a phase fail that wants anything."""
    failed = []

    def on_allocation(present, wanted_bytes):
        if present == phase and not failed:
            failed.append(phase)
            raise OutOfMemory(present, wanted_bytes, 0)

    return on_allocation, failed


def to_the_steps(drawer, works):
    for work in works:
        while work.next.phase != "step":
            drawer.run([work])


def all_outcomes(drawer, works):
    """Pictures and errors by id; all step together, each does the rest alone."""
    to_the_steps(drawer, works)
    ended, left = {}, list(works)
    while left:
        group = [each for each in left if each.next.group == left[0].next.group] if left[0].next.group else left[:1]
        for work, outcome in zip(group, drawer.run(group), strict=True):
            told = [outcome] if isinstance(outcome, Exception) else outcome
            for each in told:
                if isinstance(each, Exception | Picture):
                    ended[work.id] = each
                if isinstance(each, Exception | Finished):
                    left.remove(work)
                    work.close()
    return ended


class Faulty(Eager):
    """Raises what ``fault`` returns for the timesteps of a step."""

    def __init__(self, fault):
        self.fault = fault

    def run(self, group, call, inputs):
        if "timesteps" in inputs and (error := self.fault(inputs["timesteps"].tolist())):
            raise error
        return call(**inputs)


def test_budgets_are_shares_of_what_is_free_and_leave_room_to_compute():
    small, large = budgets_of(24 * GIB), budgets_of(48 * GIB)
    assert large.checkpoint_bytes == pytest.approx(2 * small.checkpoint_bytes, abs=2)
    weights = (small.checkpoint_bytes, small.variant_bytes, small.identity_bytes, small.control_bytes)
    assert min(weights) > 0
    assert sum(weights) + small.working_bytes == 24 * GIB
    assert small.working_bytes > 2 * GIB
    assert small.checkpoint_bytes > 12.5 * GIB, "SDXL and its refiner"


def test_the_engine_divides_the_memory_of_its_device(tiny_catalogue):
    studio = door._drawer(tiny_catalogue.folder, Small(10 * GIB))._studio
    assert studio.models.budget_bytes == budgets_of(10 * GIB).checkpoint_bytes
    assert studio._budgets == budgets_of(10 * GIB)


@pytest.mark.parametrize("phase", ["load", "encode", "step", "decode"])
def test_memory_that_runs_out_once_changes_nothing(models, drawer, prepared, people, phase):
    asked = prepared(loras=(LoraUse("tiny-lora"),), **people)
    expected = pixels(drawer, asked)
    on_allocation, failed = failing_once(phase)
    drawer._studio.give_up()
    assert models.loaded == []
    assert np.array_equal(pixels(Drawer(models, models.catalogue, CpuDevice(1, on_allocation)), asked), expected)
    assert failed == [phase]


def test_idle_weights_leave_when_memory_runs_out_and_those_in_use_stay(models, prepared, people):
    on_allocation, failed = failing_once("decode")
    armed = []
    device = CpuDevice(1, lambda phase, wanted: on_allocation(phase, wanted) if armed else None)
    drawer = Drawer(models, models.catalogue, device)
    pixels(drawer, prepared(loras=(LoraUse("tiny-lora"),), **people))
    gc.collect()
    assert min(weights_of(drawer).values()) > 0
    armed.append(1)
    models.checkpoint("tiny-refiner")
    pixels(drawer, prepared())
    assert failed
    left = weights_of(drawer)
    assert (left["variants"], left["identities"], left["controls"]) == (0, 0, 0)
    assert models.loaded == ["sdxl-tiny"]


def test_a_network_that_guides_a_request_stays_and_its_kernels_too(models, prepared, people):
    forgotten = []
    kernels = Eager()
    kernels.forget = forgotten.append
    drawer = Drawer(models, models.catalogue, CpuDevice(1), kernels)
    work = drawer.begin(prepared(**people))
    to_the_steps(drawer, [work])
    held = weights_of(drawer)["controls"]
    drawer._studio.give_up()
    assert weights_of(drawer)["controls"] == held > 0
    assert forgotten == []
    work.close()
    del work
    drawer._studio.give_up()
    assert weights_of(drawer)["controls"] == 0
    assert len(forgotten[0].split()[-1]) == 64


def test_kernels_stay_as_long_as_their_checkpoint_stays_in_memory(models, prepared):
    forgotten = []
    kernels = Eager()
    kernels.forget = forgotten.append
    studio = Drawer(models, models.catalogue, CpuDevice(1), kernels)._studio
    idle = opened(studio, "sdxl-tiny", prepared().request)
    studio.use(idle, (LoraUse("tiny-lora"),))
    studio.shut("sdxl-tiny")
    opened(studio, "tiny-sd2", prepared().request)
    assert forgotten == []
    assert studio.ready(idle, (LoraUse("tiny-lora"),))
    models.budget_bytes = models.used_bytes
    assert "tiny-refiner" not in models.loaded
    studio.open("tiny-refiner", "refiner", prepared().request)
    assert forgotten == [idle.place]
    assert models.loaded == ["tiny-sd2"]


def test_a_checkpoint_that_was_replaced_on_disk_leaves_when_memory_runs_out(drawer, models, prepared, monkeypatch):
    pixels(drawer, prepared())
    monkeypatch.setattr(Models, "_is_installed", lambda self, name: False)
    drawer._studio.give_up()
    assert models.used_bytes == 0
    assert drawer._studio._variants == {}


def opened(studio, name, request):
    """A checkpoint, in memory and claimed."""
    studio.open(name, "checkpoint", request)
    checkpoint = studio.models.checkpoint(name)
    studio.variant(checkpoint, ())
    return checkpoint


def test_ever_new_variants_never_fill_the_device(models, prepared):
    checkpoint = models.checkpoint("sdxl-tiny")
    device = Small(0)
    device.total = 4 * checkpoint.weight_bytes + GIB
    drawer = Drawer(models, models.catalogue, device)
    device.kept = lambda: sum(weights_of(drawer).values())
    drawer._studio._budgets = budgets_of(GIB)  # as wide as it was when variants had room for ten
    device.total = checkpoint.weight_bytes + drawer.begin(prepared()).memory_bytes
    plain = pixels(drawer, prepared())
    for number in range(12):
        assert pixels(drawer, prepared(loras=(LoraUse("tiny-lora", 0.1 * number + 0.1),))).any()
    assert np.array_equal(pixels(drawer, prepared()), plain)


def test_a_merge_asks_for_the_copies_of_untouched_weights_before_it_changes_any(models, prepared):
    asked, merges = [], prepared(loras=(LoraUse("tiny-lora"),))
    device = Small(1 << 40, lambda phase, wanted: asked.append(wanted) if phase == "load" else None)
    drawer = Drawer(models, models.catalogue, device)
    plain = pixels(drawer, prepared())
    device.kept = lambda: 1 << 40 if any(asked) else 0
    with pytest.raises(OutOfMemory) as caught:
        pixels(drawer, merges)
    (variants,) = (each for _, each in drawer._studio._variants.values())
    assert caught.value.phase == "load"
    assert caught.value.wanted_bytes == variants.copied_bytes((LoraUse("tiny-lora"),)) > 0
    device.kept = lambda: 0
    assert np.array_equal(pixels(drawer, prepared()), plain)
    assert not np.array_equal(pixels(drawer, merges), plain)


def test_checkpoints_share_one_budget_of_variants(models, prepared, tiny_catalogue):
    drawer = Drawer(models, tiny_catalogue, CpuDevice(1))
    pixels(drawer, prepared(loras=(LoraUse("tiny-lora"),)))
    (one,) = (each for _, each in drawer._studio._variants.values())
    drawer._studio._budgets = budgets_of(int(1.5 * one.kept_bytes / 0.12))
    other = variants.Variants(one._checkpoint, tiny_catalogue, GIB)
    assert drawer._studio._has_room(other, one.kept_bytes // 4)
    assert one.kept_bytes > 0
    assert drawer._studio._has_room(other, one.kept_bytes)
    assert one.kept_bytes == 0


def test_one_request_that_breaks_a_batch_is_charged_alone(models, drawer, prepared):
    asked = [prepared(id=str(number), seed=number, steps=3) for number in range(3)]
    odd = prepared(id="odd", steps=7)
    alone = {each.request.id: pixels(drawer, each) for each in asked}
    usual = {999.0, *(drawer_timesteps(drawer, asked[0]))}
    faulty = Faulty(lambda steps: None if set(steps) <= {*usual, 0.0} else RuntimeError("shapes differ"))
    broken = Drawer(models, models.catalogue, CpuDevice(1), faulty)
    ended = all_outcomes(broken, [broken.begin(each) for each in (asked[0], odd, *asked[1:])])
    assert isinstance(ended.pop("odd"), RuntimeError)
    assert {name: np.array_equal(each.pixels, alone[name]) for name, each in ended.items()} == dict.fromkeys(
        alone, True
    )


def drawer_timesteps(drawer, prepared):
    """All timesteps of a request."""
    seen = []
    work = drawer.begin(prepared)
    to_the_steps(drawer, [work])
    while work.next.phase == "step":
        seen += work.want.row.timestep.tolist()
        drawer.run([work])
    work.close()
    return seen


def test_a_batch_that_memory_does_not_suffice_for_is_drawn_one_by_one(models, drawer, prepared):
    asked = [prepared(id=str(number), seed=number) for number in range(4)]
    alone = {each.request.id: pixels(drawer, each) for each in asked}
    crowded = Faulty(lambda steps: MemoryError() if sum(each > 0 for each in steps) > 2 else None)
    small = Drawer(models, models.catalogue, CpuDevice(1), crowded)
    ended = all_outcomes(small, [small.begin(each) for each in asked])
    assert all(np.array_equal(ended[name].pixels, expected) for name, expected in alone.items())


def test_an_error_that_poisons_the_device_is_nobodys_own(models, prepared):
    poisoned = RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`")
    drawer = Drawer(models, models.catalogue, CpuDevice(1), Faulty(lambda _: poisoned))
    work = drawer.begin(prepared())
    to_the_steps(drawer, [work])
    with pytest.raises(RuntimeError, match="CUBLAS"):
        drawer.run([work])


def test_before_a_request_is_charged_the_device_is_asked_whether_it_still_works(models, prepared):
    class Broken(CpuDevice):
        def synchronize(self):
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    drawer = Drawer(models, models.catalogue, Broken(1), Faulty(lambda _: RuntimeError("an engine was not found")))
    work = drawer.begin(prepared())
    to_the_steps(drawer, [work])
    with pytest.raises(torch.AcceleratorError):
        drawer.run([work])


def test_what_is_merged_again_is_merged_in_a_unit_of_loading(models, drawer, prepared, monkeypatch):
    loras = [(LoraUse("tiny-lora", scale),) for scale in (0.4, 0.8)]
    alone = [pixels(drawer, prepared(loras=each)) for each in loras]
    drawer._studio.give_up()
    phases, merged = [], []
    device = CpuDevice(1, lambda phase, _: phases.append(phase))
    changes_of = variants.changes_of
    monkeypatch.setattr(variants, "changes_of", lambda *told: merged.append(phases[-1]) or changes_of(*told))
    small = Drawer(models, models.catalogue, device, budgets=budgets_of(1000))
    works = [small.begin(prepared(id=str(number), loras=each)) for number, each in enumerate(loras)]
    drawn = {}
    for _ in range(6):
        for work in works:
            (outcome,) = small.run([work])
            while (work.want.weights and work.is_preceded) or work.next.phase == "load":
                (outcome,) = small.run([work])
            drawn |= {f"{work.id}": each.pixels for each in outcome if isinstance(each, Picture)}
    assert [np.array_equal(drawn[str(number)], each) for number, each in enumerate(alone)] == [True, True]
    assert len(merged) > 2
    assert set(merged) == {"load"}


def test_a_step_is_put_off_once_even_if_another_request_comes_between(models, prepared):
    small = Drawer(models, models.catalogue, CpuDevice(1), budgets=budgets_of(1000))
    work, other = (small.begin(prepared(id=str(i), loras=(LoraUse("tiny-lora", 0.4 + i),))) for i in range(2))
    to_the_steps(small, [work, other])
    assert (small.run([work]), work.next.phase) == ([[]], "load")
    assert (small.run([work]), work.next.phase) == ([[]], "step")
    small._studio.use(*other.want.weights)
    ((progress,),) = small.run([work])
    assert progress.step == 1


def test_who_may_still_be_running_is_told_beside_the_present_step(monkeypatch):
    class Event:
        def record(self):
            pass

        def synchronize(self):
            pass

    monkeypatch.setattr(pace.torch.cuda, "Event", Event)
    steps = pace.Pace(torch.device("cuda"))
    assert steps.queued == ()
    steps.keep(["a", "b"])
    steps.keep(["c"])
    assert steps.queued == ("c",)
