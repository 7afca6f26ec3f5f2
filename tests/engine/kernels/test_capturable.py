"""What is captured on a GPU may neither wait for it nor copy from main memory; no GPU is needed to tell."""

import copy
import dataclasses

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from engine.drawing.autoencoder import decode, encode
from engine.drawing.evaluation import evaluate
from engine.identity import Identities, install
from engine.kernels.projections import join

GPU = torch.device("cuda", 0)
WAITING = ("aten._local_scalar_dense", "aten.nonzero", "aten.equal")


class Watched(TorchDispatchMode):
    """Notes each operation that a capture does not allow."""

    def __init__(self):
        super().__init__()
        self.forbidden = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        name, given = str(operation), [each for each in args if isinstance(each, torch.Tensor)]
        copies = name.startswith(("aten._to_copy", "aten.copy_"))
        # A single number of the processor is an argument of the GPU's function and no copy.
        near = any(each.device.type == "cpu" and (each.ndim or copies) for each in given)
        far = any(each.device.type == "cuda" for each in given)
        there = getattr(result, "device", None)
        if near and there == GPU:
            self.forbidden.append(f"{name} from main memory")
        if far and (name.startswith(WAITING) or (copies and there != GPU)):
            self.forbidden.append(f"{name} waits")
        return result


def on_gpu(mode, network):
    """A network whose weights say that they are on a GPU."""
    network = copy.deepcopy(network)
    for module in network.modules():
        for name, each in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            fake = FakeTensor(mode, each.detach().to("meta"), GPU)
            delattr(module, name)
            if isinstance(each, torch.nn.Parameter):
                module.register_parameter(name, torch.nn.Parameter(fake, requires_grad=False))
            else:
                module.register_buffer(name, fake, persistent=False)
    return network


def forbidden(checkpoint, call, **shapes):
    """Return what a capture of this call would refuse."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    there = copy.copy(checkpoint)
    there.unet, there.vae = on_gpu(mode, checkpoint.unet), on_gpu(mode, checkpoint.vae)
    if checkpoint.latent_statistics is not None:
        there.latent_statistics = tuple(FakeTensor(mode, each.to("meta"), GPU) for each in checkpoint.latent_statistics)
    with mode, torch.no_grad(), Watched() as watched:
        inputs = {name: torch.empty(shape, device=GPU) for name, shape in shapes.items()}
        result = call(there, **inputs)
    assert result.device == GPU
    return watched.forbidden


@pytest.fixture
def checkpoint(tiny):
    made = copy.deepcopy(tiny)
    install(made.unet)
    return made


@pytest.fixture
def shapes(tiny):
    config = tiny.unet.config
    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    return {
        "sample": (2, 4, 32, 32),
        "timesteps": (2,),
        "prompt": (2, 77, config.cross_attention_dim),
        "pooled": (2, pooled),
        "time_ids": (2, 6),
    }


def test_an_evaluation_can_be_captured(checkpoint, shapes):
    assert forbidden(checkpoint, evaluate, **shapes) == []


def test_one_with_joined_products_too(checkpoint, shapes):
    join(checkpoint.unet)
    assert forbidden(checkpoint, evaluate, **shapes) == []


def test_one_with_people_too(checkpoint, shapes):
    empty = Identities(None, 0).empty(checkpoint)
    people = {
        "attention_reference_keys": tuple(empty.keys.shape),
        "attention_reference_values": tuple(empty.values.shape),
        "attention_reference_shares": (2, empty.levels, 4, 32 * 32),
    }
    assert forbidden(checkpoint, evaluate, **shapes, **people) == []


def test_the_autoencoder_both_ways_too(checkpoint):
    assert forbidden(checkpoint, decode, latent=(1, 4, 16, 16)) == []
    assert forbidden(checkpoint, encode, picture=(1, 3, 64, 64)) == []


def test_one_that_scales_by_channel_too(checkpoint):
    checkpoint.vae.register_to_config(latents_mean=[0.1] * 4, latents_std=[0.8] * 4)
    assert forbidden(dataclasses.replace(checkpoint), decode, latent=(1, 4, 16, 16)) == []


def test_what_a_capture_refuses_is_seen(checkpoint):
    def waits(there, *, latent):
        return latent * latent.sum().to("cpu").to(GPU)

    def copies(there, *, latent):
        return latent + torch.ones(4).to(GPU)

    assert "waits" in "".join(forbidden(checkpoint, waits, latent=(4,)))
    assert "main memory" in "".join(forbidden(checkpoint, copies, latent=(4,)))
