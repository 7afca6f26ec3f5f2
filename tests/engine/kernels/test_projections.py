"""Joined products give what the single ones gave, and follow weights that are replaced in place."""

import copy

import pytest
import torch

from engine.drawing.evaluation import evaluate
from engine.identity import Identities, install
from engine.identity.attention import places
from engine.kernels.arrangement import arrange
from engine.kernels.compiled import Compiled
from engine.kernels.projections import join
from engine.variants.live import LiveWeights

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture
def plain(tiny):
    checkpoint = copy.deepcopy(tiny)
    install(checkpoint.unet)
    return checkpoint


@pytest.fixture
def joined(plain):
    checkpoint = copy.deepcopy(plain)
    join(checkpoint.unet)
    return checkpoint


@pytest.fixture
def inputs(tiny):
    torch.manual_seed(1)
    config = tiny.unet.config
    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    return {
        "sample": torch.randn(2, 4, 32, 32),
        "timesteps": torch.tensor([500.0, 500.0]),
        "prompt": torch.randn(2, 77, config.cross_attention_dim),
        "pooled": torch.randn(2, pooled),
        "time_ids": torch.tensor([[256.0, 256, 0, 0, 256, 256]] * 2),
    }


def drawn(checkpoint, inputs, **more):
    with torch.no_grad():
        return evaluate(checkpoint, **inputs, **more)


def test_joined_products_give_what_single_ones_give(plain, joined, inputs):
    torch.testing.assert_close(drawn(joined, inputs), drawn(plain, inputs), **CLOSE)


def test_on_a_processor_nothing_is_arranged(plain, inputs):
    before, told = drawn(plain, inputs), {*plain.unet.attn_processors.values()}
    arrange(plain)
    assert torch.equal(drawn(plain, inputs), before)
    assert {*plain.unet.attn_processors.values()} == told


def test_joining_again_changes_nothing(joined, inputs):
    before = drawn(joined, inputs)
    install(joined.unet)
    join(joined.unet)
    assert torch.equal(drawn(joined, inputs), before)


def test_with_people_as_well(plain, joined, inputs):
    empty = Identities(None, 0).empty(plain)
    people = {
        "attention_reference_keys": torch.randn_like(empty.keys),
        "attention_reference_values": torch.randn_like(empty.values),
        "attention_reference_shares": torch.rand(2, empty.levels, 4, 32 * 32),
    }
    told = drawn(plain, inputs, **people)
    torch.testing.assert_close(drawn(joined, inputs, **people), told, **CLOSE)
    assert not torch.allclose(told, drawn(plain, inputs), **CLOSE), "people change something"


@pytest.mark.parametrize("layer", ["to_q", "to_k", "to_v"])
@pytest.mark.parametrize("attention", ["attn1", "attn2"])
def test_weights_that_are_replaced_in_place_are_computed_with(plain, joined, inputs, attention, layer):
    name = next(iter(places(plain.unet))).removesuffix(".attn2.processor")
    before = drawn(joined, inputs)
    for checkpoint in (plain, joined):
        live, place = LiveWeights({"unet": checkpoint.unet}), ("unet", f"{name}.{attention}.{layer}")
        tripled = live.untouched(place) * 3
        live.replace([place], {place: tripled}.__getitem__)
    after = drawn(joined, inputs)
    assert not torch.allclose(after, before, **CLOSE)
    torch.testing.assert_close(after, drawn(plain, inputs), **CLOSE)


def test_weights_count_once_and_keep_their_names(plain, joined):
    assert joined.weight_bytes == plain.weight_bytes
    assert {*joined.unet.state_dict()} == {*plain.unet.state_dict()}
    for key, value in plain.unet.state_dict().items():
        assert torch.equal(joined.unet.state_dict()[key], value)


def test_torchs_compiler_takes_them_as_one_graph(joined, inputs):
    kernels = Compiled("", compiler=lambda call, _: torch.compile(call, fullgraph=True, dynamic=False, backend="eager"))

    def call(**given):
        return evaluate(joined, **given)

    with torch.no_grad():
        assert torch.equal(kernels.run(("unet",), call, inputs), drawn(joined, inputs))


def test_a_layer_with_a_bias_is_left_alone(plain):
    name = next(iter(places(plain.unet))).removesuffix(".processor")
    plain.unet.get_submodule(name).to_k = torch.nn.Linear(8, 8, bias=True)
    with pytest.raises(ValueError, match="bias"):
        join(plain.unet)
