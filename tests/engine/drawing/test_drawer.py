"""One request by itself: its units, what they tell, the picture."""

from traceback import walk_tb

import numpy as np
import pytest
import torch

from engine.device import CpuDevice
from engine.drawing.costs import REFERENCE_BYTES
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.errors import NotAPicture, OutOfMemory, Refused
from engine.request import HiresFix, Reference
from engine.work import Finished, Picture, Progress


def run(drawer, prepared):
    """Everything that a request's units tell, and the phases they had; loading, in however many units, counts once."""
    work = drawer.begin(prepared)
    told, phases = [], []
    while not any(isinstance(each, Finished) for each in told):
        if (phase := work.next.phase) != "load" or phases[-1:] != ["load"]:
            phases.append(phase)
        (outcome,) = drawer.run([work])
        if isinstance(outcome, Exception):
            raise outcome
        told += outcome
    work.close()
    return told, phases


def test_a_request_is_loaded_encoded_stepped_and_decoded(drawer, prepared):
    told, phases = run(drawer, prepared())
    assert phases == ["load", "encode", "step", "step", "step", "decode"]
    assert [type(each) for each in told] == [Progress, Progress, Progress, Picture, Finished]
    assert [(each.step, each.steps) for each in told[:3]] == [(1, 3), (2, 3), (3, 3)]


def test_the_picture_has_the_size_that_was_asked_for(drawer, prepared):
    (picture,) = reference_loop(drawer, prepared(width_px=200, height_px=120))
    assert picture.pixels.shape == (120, 200, 3)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.std() > 5


@pytest.mark.parametrize("asked", [{"images": 2}, {"hires": HiresFix(1.5, 0.7)}, {"image": True, "strength": 0.7}])
def test_the_units_that_remain_count_down_to_one(drawer, prepared, photograph, asked):
    work = drawer.begin(prepared(**asked | ({"image": photograph} if "image" in asked else {})))
    drawer.run([work])
    remaining = []
    outcome = ()
    while not any(isinstance(each, Finished) for each in outcome):
        remaining.append(work.next.remaining)
        (outcome,) = drawer.run([work])
    assert remaining == list(range(len(remaining), 0, -1))


def test_each_image_is_drawn_as_if_its_seed_had_been_asked_for(drawer, prepared):
    three = reference_loop(drawer, prepared(images=3, seed=2**32 - 2, sampler="euler-a"))
    assert [(each.index, each.seed) for each in three] == [(0, 2**32 - 2), (1, 2**32 - 1), (2, 0)]
    for each in three:
        (alone,) = reference_loop(drawer, prepared(seed=each.seed, sampler="euler-a"))
        assert np.array_equal(alone.pixels, each.pixels)


def test_equal_requests_give_equal_bytes_and_another_seed_gives_others(drawer, prepared):
    first, again, other = (reference_loop(drawer, prepared(seed=seed))[0].pixels for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("every", "due"), [(0, []), (1, [1, 2, 3, 4]), (3, [3])])
def test_previews_come_when_they_are_due(drawer, prepared, every, due):
    asked = prepared(steps=4, preview_every=every)
    told, _ = run(drawer, asked)
    previews = {each.step: each.latent_rgb for each in told if isinstance(each, Progress)}
    assert [step for step, preview in previews.items() if preview is not None] == due
    for preview in previews.values():
        if preview is not None:
            assert preview.shape == (asked.shape.height_px // 8, asked.shape.width_px // 8, 3)
            assert preview.dtype == np.uint8


def test_a_model_that_is_not_there_is_refused_before_its_first_unit(drawer, prepared):
    with pytest.raises(Refused, match="checkpoint: 'none'"):
        drawer.begin(prepared(checkpoint="none"))


def test_what_the_picture_was_drawn_with_is_told(drawer, prepared, models):
    (picture,) = reference_loop(drawer, prepared())
    sha256 = models.checkpoint("sdxl-tiny").sha256
    assert picture.facts["checkpoint"] == {"name": "sdxl-tiny", "sha256": sha256}
    assert picture.facts["variant_sha256"] == sha256
    (one,) = picture.facts["passes"]
    assert (one["width_px"], one["height_px"], one["evaluations"]) == (160, 96, 3)


@pytest.mark.parametrize("phase", ["load", "encode", "step", "decode"])
def test_memory_that_runs_out_ends_one_request_and_the_next_is_drawn_the_same(models, prepared, phase):
    failing = []

    def on_allocation(present, wanted_bytes):
        if present in failing:
            raise OutOfMemory(present, wanted_bytes, 0)

    drawer = Drawer(models, models.catalogue, CpuDevice(1, on_allocation))
    (before,) = reference_loop(drawer, prepared())
    failing.append(phase)
    with pytest.raises(OutOfMemory, match=phase):
        reference_loop(drawer, prepared())
    failing.clear()
    (after,) = reference_loop(drawer, prepared())
    assert np.array_equal(before.pixels, after.pixels)


def test_a_latent_that_is_not_finite_is_no_picture(drawer, prepared):
    with pytest.raises(NotAPicture):
        reference_loop(drawer, prepared(guidance=1e38))


def test_what_a_request_takes_grows_with_its_size_and_is_known_better_once_the_model_is(models, prepared):
    fresh = Drawer(models, models.catalogue, CpuDevice(1))
    large = prepared(hires=HiresFix(2.0, 0.5))
    models.drop("sdxl-tiny")
    guessed = fresh.begin(large).memory_bytes
    models.checkpoint("sdxl-tiny")
    known = fresh.begin(large).memory_bytes
    assert fresh.begin(prepared()).memory_bytes < known < guessed


def test_people_are_counted_in_what_a_request_takes(drawer, prepared, photograph):
    person = {"references": (Reference(0, 0.6, adapter="tiny-ip-adapter"),), "references_shown": [photograph]}
    nobody, somebody = (drawer.begin(prepared(**each)).memory_bytes for each in ({}, person))
    assert somebody - nobody == 4 * REFERENCE_BYTES


def test_an_error_that_somebody_keeps_keeps_no_tensors(drawer, prepared):
    work = drawer.begin(prepared(guidance=1e38))
    outcome = []
    while not isinstance(outcome, Exception):
        (outcome,) = drawer.run([work])
    frames = [frame for frame, _ in walk_tb(outcome.__traceback__)]
    assert len(frames) > 2
    assert not any(isinstance(each, torch.Tensor) for frame in frames for each in frame.f_locals.values())


def test_a_closed_work_holds_no_tensors(drawer, prepared):
    work = drawer.begin(prepared())
    for _ in range(3):
        drawer.run([work])
    work.close()
    assert work.want.row is None


class Kernels:
    """Are not there until they were prepared."""

    sha256 = "f00d"

    def __init__(self):
        self.prepared = []

    def ready(self, group):
        return group in self.prepared

    def prepare(self, group, call, inputs):
        assert call(**inputs).isfinite().all()
        self.prepared.append(group)

    def run(self, group, call, inputs):
        assert group in self.prepared
        return call(**inputs)

    def forget(self, checkpoint):
        self.prepared = [each for each in self.prepared if checkpoint not in each]


def test_what_is_not_compiled_is_compiled_once_in_units_of_its_own(models, drawer, prepared):
    kernels = Kernels()
    compiling = Drawer(models, models.catalogue, CpuDevice(1), kernels)
    told, phases = run(compiling, prepared())
    assert phases == ["load", "encode", "compile", "step", "step", "step", "compile", "decode"]
    assert run(compiling, prepared(seed=5, guidance=3.0))[1].count("compile") == 0
    assert run(compiling, prepared(guidance=1.0))[1].count("compile") == 1
    assert told[-2].facts["kernels_sha256"] == "f00d"
    assert np.array_equal(told[-2].pixels, reference_loop(drawer, prepared())[0].pixels)
