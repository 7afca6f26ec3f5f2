"""On a GPU: captured kernels draw the same bytes in any company, and its memory is counted as it is."""

import gc
import threading

import pytest
import torch

from engine.device import CudaDevice, is_sticky
from engine.drawing.evaluation import evaluate
from engine.errors import OutOfMemory
from engine.identity import install
from engine.kernels.arrangement import arrange
from engine.kernels.compiled import Compiled
from engine.models.entry import Entry
from engine.models.loading import load
from engine.variants.live import LiveWeights

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
GROUP = ("unet", "256x256")


@pytest.fixture(scope="module")
def device():
    return CudaDevice()


@pytest.fixture
def checkpoint(device, tiny_folder):
    entry = Entry("tiny", "checkpoint", "sdxl", "none", commercial=True, path=tiny_folder)
    loaded = load(entry, device.torch_device, torch.bfloat16)
    install(loaded.unet)
    arrange(loaded)
    return loaded


def inputs(checkpoint, seed):
    generator, config = torch.Generator().manual_seed(seed), checkpoint.unet.config
    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    shapes = {"sample": (2, 4, 32, 32), "prompt": (2, 77, config.cross_attention_dim), "pooled": (2, pooled)}
    made = {name: torch.randn(shape, generator=generator).cuda().bfloat16() for name, shape in shapes.items()}
    ids = torch.tensor([[256.0, 256, 0, 0, 256, 256]] * 2).cuda().bfloat16()
    return made | {"timesteps": torch.full((2,), 500.0).cuda(), "time_ids": ids}


def unchanged():
    return Compiled("", compiler=lambda call, _: call)


@pytest.fixture
def call(checkpoint):
    def called(**given):
        return evaluate(checkpoint, **given)

    return called


@torch.no_grad()
def test_a_captured_evaluation_gives_the_bytes_of_torchs_own(checkpoint, call):
    kernels = unchanged()
    for seed in (1, 2, 1):
        assert torch.equal(kernels.run(GROUP, call, inputs(checkpoint, seed)), call(**inputs(checkpoint, seed)))
    assert kernels.uncaptured == set()


@torch.no_grad()
def test_weights_that_are_replaced_in_place_are_computed_with(checkpoint, call):
    kernels, live = unchanged(), LiveWeights({"unet": checkpoint.unet})
    path = next(name for name, _ in checkpoint.unet.named_modules() if name.endswith("attn1.to_q"))
    given, place = inputs(checkpoint, 1), ("unet", path)
    before = kernels.run(GROUP, call, given)
    live.replace([place], lambda _: live.untouched(place) * 3)
    after = kernels.run(GROUP, call, given)
    assert not torch.equal(after, before)
    assert torch.equal(after, call(**given))
    live.replace([], lambda _: before)
    assert torch.equal(kernels.run(GROUP, call, given), before)


@torch.no_grad()
def test_a_class_that_is_captured_between_changes_no_bytes_of_the_others(checkpoint, call):
    kernels = unchanged()
    first = kernels.run(GROUP, call, inputs(checkpoint, 1))
    larger = inputs(checkpoint, 2) | {"sample": torch.randn(2, 4, 64, 64).cuda().bfloat16()}
    kernels.run(("unet", "512x512"), call, larger)
    assert torch.equal(kernels.run(GROUP, call, inputs(checkpoint, 1)), first)


@torch.no_grad()
def test_another_thread_may_copy_to_the_gpu_while_a_class_is_captured(checkpoint, call):
    is_over, copied = threading.Event(), []

    def copy():
        while not is_over.is_set():
            copied.append(float(torch.ones(1 << 20).cuda()[0]))

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        kernels = unchanged()
        kernels.prepare(GROUP, call, inputs(checkpoint, 1))
    finally:
        is_over.set()
        thread.join()
    assert kernels.uncaptured == set() and copied


@torch.no_grad()
def test_what_a_graph_writes_to_is_not_counted_as_free(device):
    device.release()
    before = device.free_bytes()
    kernels = unchanged()

    def call(*, latent):
        return (latent.repeat(1 << 14) * 2).sum()  # half a GiB in between

    kernels.prepare(("any",), call, {"latent": torch.ones(1 << 14, device="cuda", dtype=torch.bfloat16)})
    device.release()
    assert before - device.free_bytes() > 1 << 28
    kernels.forget("any")
    del kernels
    gc.collect()
    device.release()
    assert before - device.free_bytes() < 1 << 28


def test_no_memory_is_the_error_of_who_asked_and_the_device_goes_on(device):
    total = torch.cuda.get_device_properties(device.torch_device).total_memory
    with pytest.raises(OutOfMemory), device.allocating("step", 1):
        torch.empty(2 * total, dtype=torch.uint8, device="cuda")
    assert torch.ones(4, device="cuda").sum().item() == 4


def test_a_capture_that_is_not_allowed_is_not_the_end_of_the_device():
    kernels = unchanged()

    def call(*, latent):
        return latent * latent.sum().item()  # waits, which a capture forbids

    given = {"latent": torch.ones(2, device="cuda")}
    assert kernels.run(("any",), call, given).tolist() == [2.0, 2.0]
    assert kernels.uncaptured
    assert not any(is_sticky(RuntimeError(each)) for each in kernels.uncaptured)
    assert kernels.run(("other",), lambda *, latent: latent + 1, given).tolist() == [2.0, 2.0]
