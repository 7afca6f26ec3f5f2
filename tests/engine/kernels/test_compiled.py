"""A group is compiled once, whatever is called how often; serving measures nothing."""

import pytest
import torch

from engine.kernels.compiled import MODES, Compiled
from engine.kernels.port import Eager


@pytest.fixture
def network():
    weights = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))

    def call(latent, scale):
        return torch.nn.functional.gelu(latent @ weights) * scale

    return call


STEP = ("unet", "1024x576", "f00d")


def inputs(seed):
    generator = torch.Generator().manual_seed(seed)
    return {"latent": torch.randn(4, 8, generator=generator), "scale": torch.full((1,), 1.5)}


@pytest.fixture
def compilations():
    return []


@pytest.fixture
def kernels(compilations):
    def compiler(call):
        compilations.append(call)
        return call

    return Compiled("f00d", compiler=compiler)


def test_a_group_is_prepared_once_and_run_often(kernels, network, compilations):
    assert not kernels.ready(STEP)
    kernels.prepare(STEP, network, inputs(1))
    assert kernels.ready(STEP)
    for seed in range(5):
        assert torch.equal(kernels.run(STEP, network, inputs(seed)), network(**inputs(seed)))
    assert len(compilations) == 1


def test_each_group_has_kernels_of_its_own(kernels, network, compilations):
    for group in (("a",), ("b",), ("a",), ("b",)):
        kernels.run(group, network, inputs(1))
    assert len(compilations) == 2


def test_a_checkpoint_that_leaves_takes_its_kernels_with_it(kernels, network):
    kernels.prepare(STEP, network, inputs(1))
    kernels.prepare(("unet", "1024x576", "other"), network, inputs(1))
    kernels.forget("f00d")
    assert not kernels.ready(STEP)
    assert kernels.ready(("unet", "1024x576", "other"))


def test_eager_kernels_are_always_ready(network):
    assert Eager().ready(("anything",))
    assert torch.equal(Eager().run(("anything",), network, inputs(3)), network(**inputs(3)))


def test_only_tuning_measures():
    assert not any(MODES["serve"].values())
    assert all(MODES["tune"].values())


@pytest.mark.slow
def test_what_torch_compiles_gives_what_the_call_gives(network):
    kernels = Compiled("")
    for seed in range(3):
        torch.testing.assert_close(kernels.run(STEP, network, inputs(seed)), network(**inputs(seed)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_captured_call_sees_new_inputs_and_new_weights():
    weights = torch.eye(8, device="cuda")

    def call(latent):
        return latent @ weights

    kernels = Compiled("")
    first = torch.ones(4, 8, device="cuda")
    assert torch.equal(kernels.run(STEP, call, {"latent": first}), first)
    assert torch.equal(kernels.run(STEP, call, {"latent": first * 3}), first * 3)
    weights.mul_(2)
    assert torch.equal(kernels.run(STEP, call, {"latent": first}), first * 2)
