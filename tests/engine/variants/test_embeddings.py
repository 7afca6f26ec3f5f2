"""A word of the prompt stands for learned rows, the same that diffusers would put into its tables."""

from dataclasses import replace

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from engine.embeddings import embeddings_of
from engine.errors import ModelUnusable, Refused
from engine.models.entry import Entry
from engine.models.tiny.adapters import make_tiny_embedding
from engine.request import RenderRequest
from engine.text import encode, tokenise

REQUEST = RenderRequest("1", "tiny", "")
PROMPT = "a portrait of adafilm, smiling"


@pytest.fixture
def entry(shelf, tmp_path):
    path = tmp_path / "adafilm" / "adafilm.safetensors"
    make_tiny_embedding(path, vectors=3)
    made = Entry("adafilm", "embedding", "sdxl", "mit", True, path.parent)
    shelf.put(made)
    return made


def test_a_prompt_is_encoded_as_diffusers_does_with_the_rows_loaded(tiny, tiny_folder, shelf, entry):
    rows = load_file(entry.path / "adafilm.safetensors")
    stock = StableDiffusionXLPipeline.from_pretrained(tiny_folder)
    stock.load_textual_inversion(rows["clip_l"], "adafilm", text_encoder=stock.text_encoder, tokenizer=stock.tokenizer)
    stock.load_textual_inversion(
        rows["clip_g"], "adafilm", text_encoder=stock.text_encoder_2, tokenizer=stock.tokenizer_2
    )
    wanted, *_ = stock.encode_prompt(PROMPT, do_classifier_free_guidance=False)
    tokens = tokenise(PROMPT, "", tiny.tokenizers, {"adafilm": 3})
    names = [name for name, _ in tokens.triggers]
    got = encode(tiny, tokens, 0, embeddings_of(names, tiny, shelf, REQUEST))
    torch.testing.assert_close(got.prompt, wanted, atol=1e-4, rtol=1e-4)
    # the pooled text is not compared: transformers takes it where the highest id stands, which an added word has


def test_rows_come_by_the_number_of_the_encoder_in_the_checkpoints_dtype(tiny, shelf, entry):
    half = replace(tiny, dtype=torch.bfloat16)
    (rows,) = embeddings_of(["adafilm"], half, shelf, REQUEST).values()
    assert {number: (tuple(each.shape), each.dtype) for number, each in rows.items()} == {
        0: ((3, 24), torch.bfloat16),
        1: ((3, 32), torch.bfloat16),
    }


def test_a_refiner_takes_the_second_encoders_rows(tiny, shelf, entry):
    refiner = replace(tiny, architecture="sdxl-refiner", text_encoders=tiny.text_encoders[1:])
    assert set(embeddings_of(["adafilm"], refiner, shelf, REQUEST)["adafilm"]) == {1}


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"clip_l": torch.ones(2, 768), "clip_g": torch.ones(2, 32)}, r"'clip_l' is \(2, 768\).*rows of 24"),
        ({"emb_params": torch.ones(2, 24)}, "no rows for text encoder 1"),
        ({"string_to_param": torch.ones(2, 24)}, "'string_to_param' is none of"),
        ({"clip_l": torch.ones(0, 24), "clip_g": torch.ones(0, 32)}, r"\(0, 24\)"),
        ({"clip_l": torch.full((1, 24), float("nan")), "clip_g": torch.ones(1, 32)}, "NaN"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tiny, shelf, entry, tensors, said):
    save_file(tensors, entry.path / "adafilm.safetensors")
    with pytest.raises(ModelUnusable, match=said):
        embeddings_of(["adafilm"], tiny, shelf, REQUEST)


def test_a_commercial_project_gets_no_rows_that_forbid_it(tiny, shelf, entry):
    shelf.put(replace(entry, licence="cc-by-nc-4.0", commercial=False))
    with pytest.raises(Refused, match=r"prompt: 'adafilm'.*cc-by-nc-4\.0"):
        embeddings_of(["adafilm"], tiny, shelf, replace(REQUEST, commercial=True))
