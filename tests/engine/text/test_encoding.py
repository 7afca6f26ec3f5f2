import copy
import dataclasses
import json
import shutil

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

from engine.errors import ModelUnusable, Refused
from engine.models.entry import Entry
from engine.models.loading import load
from engine.text import encode, tokenise
from engine.text.emphasis import emphasised

PROMPTS = ["", "a cat", "a photo of ada lovelace, 35mm, 写真 😀!", "word " * 75]


@pytest.fixture(scope="module")
def stock(tiny_folder):
    return StableDiffusionXLPipeline.from_pretrained(tiny_folder)


def encoded(checkpoint, prompt, negative="", clip_skip=0, **more):
    triggers = {name: each[0].shape[0] for name, each in more.get("embeddings", {}).items()}
    return encode(checkpoint, tokenise(prompt, negative, checkpoint.tokenizers, triggers), clip_skip, **more)


@pytest.mark.parametrize("clip_skip", [0, 1, 2])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_plain_prompts_have_the_very_bits_of_diffusers(tiny, stock, prompt, clip_skip):
    with torch.no_grad():
        expected = stock.encode_prompt(prompt, negative_prompt="bad, worse", clip_skip=clip_skip)
    found = encoded(tiny, prompt, "bad, worse", clip_skip)
    for ours, theirs in zip(dataclasses.astuple(found), expected, strict=True):
        assert torch.equal(ours, theirs)


def test_an_empty_negative_prompt_is_zeros_as_in_diffusers(tiny, stock):
    found = encoded(tiny, "a cat")
    _, negative, _, pooled = stock.encode_prompt("a cat")
    assert torch.equal(found.negative, negative)
    assert torch.equal(found.negative_pooled, pooled)
    assert not found.negative.any()


@pytest.mark.parametrize("architecture", ["sdxl", "sdxl-refiner", "sd2"])
def test_an_empty_negative_prompt_is_encoded_for_models_that_were_trained_without_zeros(tiny, architecture):
    worded = dataclasses.replace(tiny, architecture=architecture, zeros_for_empty=False)
    found, said = (encoded(worded, prompt) for prompt in ("a cat", ""))
    assert torch.equal(found.negative, said.prompt)
    assert torch.equal(found.negative_pooled, said.pooled)


@pytest.mark.parametrize("stated", [False, True])
def test_whether_it_is_zeros_is_what_the_checkpoint_states_as_in_diffusers(tiny_folder, tmp_path, stated):
    folder = tmp_path / "stated"
    shutil.copytree(tiny_folder, folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"force_zeros_for_empty_prompt": stated}))
    entry = Entry("stated", "checkpoint", "sdxl", "none", commercial=True, path=folder)
    found = encoded(load(entry, torch.device("cpu"), torch.float32), "a cat")
    with torch.no_grad():
        expected = StableDiffusionXLPipeline.from_pretrained(folder).encode_prompt("a cat")
    for ours, theirs in zip(dataclasses.astuple(found), expected, strict=True):
        assert torch.equal(ours, theirs)
    assert bool(found.negative.any()) != stated


def test_an_unguided_request_encodes_no_negative_prompt(tiny):
    found = encoded(tiny, "a cat", "a dog", guided=False)
    assert not found.negative.any()
    assert found.negative.shape == found.prompt.shape


def test_a_long_prompt_is_its_chunks_side_by_side(tiny):
    long = encoded(tiny, "red BREAK blue", "green")
    for part, word in enumerate(("red", "blue")):
        assert torch.equal(long.prompt[:, 77 * part : 77 * (part + 1)], encoded(tiny, word).prompt)
    assert torch.equal(long.pooled, encoded(tiny, "red").pooled)
    assert torch.equal(long.negative[:, :77], encoded(tiny, "a", "green").negative)
    assert torch.equal(long.negative[:, 77:], encoded(tiny, "").prompt)


def test_a_prompt_has_the_same_bits_whatever_stands_beside_it(tiny):
    alone = encoded(tiny, "a cat", "x")
    beside = encoded(tiny, "a cat", "word " * 300)
    assert torch.equal(alone.prompt, beside.prompt[:, :77])
    assert torch.equal(alone.pooled, beside.pooled)


def test_a_weight_multiplies_its_tokens_and_keeps_the_mean_of_the_chunk(tiny):
    plain, weighted = encoded(tiny, "a cat, a dog").prompt, encoded(tiny, "a (cat:1.5), a dog").prompt
    for columns in (slice(0, 24), slice(24, 56)):
        before, after = plain[..., columns], weighted[..., columns]
        share = after[0, 0] / before[0, 0]
        assert torch.allclose(after[0, 2], before[0, 2] * 1.5 * share, rtol=1e-4)
        assert torch.allclose(after[0, 3:], before[0, 3:] * share, rtol=1e-4, atol=1e-6)
        assert torch.allclose(after.mean(), before.mean(), rtol=1e-3, atol=1e-6)


def test_weights_leave_what_is_pooled_alone(tiny):
    assert torch.equal(encoded(tiny, "a (cat:1.5)").pooled, encoded(tiny, "a cat").pooled)


def test_brackets_that_weigh_one_change_no_bit(tiny):
    assert torch.equal(encoded(tiny, "(a cat:1.0)").prompt, encoded(tiny, "a cat").prompt)


def test_a_weighted_mean_of_nothing_gives_no_nan():
    state = torch.ones(1, 2, 3)
    assert torch.equal(emphasised(state, (1.0, -1.0)), torch.tensor([[[1.0] * 3, [-1.0] * 3]]))


def rows_of(tiny, word: str) -> dict[int, torch.Tensor]:
    (token,) = tiny.tokenizers[0](word, add_special_tokens=False).input_ids
    encoders = enumerate(tiny.text_encoders)
    return {index: encoder.get_input_embeddings().weight[token : token + 1].detach() for index, encoder in encoders}


def test_an_embedding_that_is_a_words_own_row_draws_that_word(tiny):
    found = encoded(tiny, "a photo of sks123, red", "no SKS123", embeddings={"sks123": rows_of(tiny, "cat")})
    expected = encoded(tiny, "a photo of cat, red", "no cat")
    for ours, theirs in zip(dataclasses.astuple(found), dataclasses.astuple(expected), strict=True):
        assert torch.equal(ours, theirs)


def test_an_embedding_leaves_the_model_as_it_was(tiny):
    before = encoded(tiny, "a cat")
    tables = [encoder.get_input_embeddings().weight.clone() for encoder in tiny.text_encoders]
    encoded(tiny, "a ada", embeddings={"ada": {0: torch.randn(3, 24), 1: torch.randn(3, 32)}})
    assert torch.equal(encoded(tiny, "a cat").prompt, before.prompt)
    for encoder, table in zip(tiny.text_encoders, tables, strict=True):
        assert torch.equal(encoder.get_input_embeddings().weight, table)
        assert not encoder.get_input_embeddings()._forward_hooks


@pytest.mark.parametrize(
    "rows",
    [
        {0: torch.zeros(2, 24)},
        {0: torch.zeros(2, 24), 1: torch.zeros(2, 24)},
        {0: torch.zeros(2, 24), 1: torch.zeros(1, 32)},
    ],
)
def test_an_embedding_for_another_base_is_refused_and_leaves_no_trace(tiny, rows):
    with pytest.raises(ModelUnusable):
        encoded(tiny, "ada", embeddings={"ada": rows})
    assert not any(encoder.get_input_embeddings()._forward_hooks for encoder in tiny.text_encoders)


def test_skipping_more_layers_than_there_are_is_refused(tiny):
    with pytest.raises(Refused, match="at most 2 with this checkpoint"):
        encoded(tiny, "a cat", clip_skip=3)


def test_the_refiner_takes_the_second_encoders_tokens(tiny):
    refiner = copy.copy(tiny)
    refiner.architecture, refiner.text_encoders = "sdxl-refiner", tiny.text_encoders[1:]
    refiner.zeros_for_empty = False
    tokens = tokenise("a cat", "", tiny.tokenizers)
    found, base = encode(refiner, tokens), encode(tiny, tokens)
    assert torch.equal(found.prompt, base.prompt[..., 24:])
    assert torch.equal(found.pooled, base.pooled)
    assert found.negative.any()


def one_encoder(tiny):
    small = copy.copy(tiny)
    small.architecture, small.text_encoders, small.tokenizers = "sd2", tiny.text_encoders[:1], tiny.tokenizers[:1]
    return small


def test_sd2_has_the_very_bits_of_diffusers_and_pools_nothing(tiny):
    checkpoint = one_encoder(tiny)
    found = encoded(checkpoint, "a cat", "a dog")
    networks = (tiny.vae, checkpoint.text_encoders[0], checkpoint.tokenizers[0], tiny.unet)
    scheduler = DDIMScheduler(steps_offset=1, clip_sample=False)
    stock = StableDiffusionPipeline(*networks, scheduler, None, None, requires_safety_checker=False)
    with torch.no_grad():
        expected, negative = stock.encode_prompt("a cat", "cpu", 1, True, negative_prompt="a dog")
    assert torch.equal(found.prompt, expected)
    assert torch.equal(found.negative, negative)
    assert found.pooled is None


def test_sd2_takes_a_skipped_layer_through_the_final_norm(tiny):
    checkpoint = one_encoder(tiny)
    (encoder,), (tokenizer,) = checkpoint.text_encoders, checkpoint.tokenizers
    ids = tokenizer("a cat", padding="max_length", max_length=77, return_tensors="pt").input_ids
    with torch.no_grad():
        expected = encoder.final_layer_norm(encoder(ids, output_hidden_states=True).hidden_states[-2])
    assert torch.equal(encoded(checkpoint, "a cat", clip_skip=1).prompt, expected)


def test_the_result_has_the_checkpoints_dtype(tiny):
    half = copy.copy(tiny)
    half.dtype = torch.bfloat16
    assert encoded(half, "a (cat:1.2)").prompt.dtype == torch.bfloat16
