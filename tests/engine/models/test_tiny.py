"""Small models behave like big ones: published formats, living activations, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file

from engine.checkpoint import Checkpoint
from engine.models.catalogue import KINDS, Catalogue
from engine.models.entry import file_sha256
from engine.models.loading import load
from engine.models.networks import configuration
from engine.models.tiny.lora import make_tiny_lora
from engine.models.tiny.sdxl import make_tiny

UNET_SHA256 = "5ff6567fb30b28044f8df3dd30bc1ec73b50e73bb0e58bbd6acdca9de41111a3"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, tiny_folder: Path) -> None:
    make_tiny(tmp_path / "again")
    make_tiny(tmp_path / "other", seed=1)
    for path in sorted(tiny_folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(tiny_folder)
            assert path.read_bytes() == (tmp_path / "again" / name).read_bytes(), name
            if path.suffix == ".safetensors":
                assert path.read_bytes() != (tmp_path / "other" / name).read_bytes(), name


def test_its_weights_are_those_of_every_machine(tiny_folder: Path) -> None:
    assert file_sha256(tiny_folder / "unet" / "diffusion_pytorch_model.safetensors") == UNET_SHA256


def test_diffusers_own_pipeline_draws_a_living_picture_that_follows_prompt_and_seed(tiny_folder: Path) -> None:
    pipeline = StableDiffusionXLPipeline.from_pretrained(tiny_folder)
    pipeline.set_progress_bar_config(disable=True)

    def drawn(prompt: str, seed: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        size = {"height": 256, "width": 256, "num_inference_steps": 4}
        return pipeline(prompt, generator=generator, output_type="np", **size).images[0] * 255

    first = drawn("a cat", 1)
    assert np.isfinite(first).all()
    assert first.std() > 20
    assert np.abs(drawn("rain over a city", 1) - first).mean() > 2
    assert np.abs(drawn("a cat", 2) - first).mean() > 2


def test_activations_keep_a_variance_of_about_one(tiny: Checkpoint) -> None:
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(1, 4, 32, 32, generator=generator)
    words = torch.randn(1, 77, 56, generator=generator)
    told = {"text_embeds": torch.randn(1, 40, generator=generator), "time_ids": torch.full((1, 6), 256.0)}
    with torch.no_grad():
        noise = tiny.unet(latent, 500, encoder_hidden_states=words, added_cond_kwargs=told).sample
    assert 0.1 < float(noise.std()) < 3


def test_its_tokenizers_know_clips_words_and_the_second_pads_with_an_exclamation_mark(tiny: Checkpoint) -> None:
    first, second = (each("a cat", padding="max_length", max_length=6).input_ids for each in tiny.tokenizers)
    assert first == [49406, 320, 2368, 49407, 49407, 49407]
    assert second == [49406, 320, 2368, 49407, 0, 0]
    assert len(tiny.tokenizers[0]) == 49408


def test_a_catalogue_has_one_of_each_kind(tiny_catalogue: Catalogue) -> None:
    assert tiny_catalogue.damaged() == []
    assert {each.kind for each in tiny_catalogue.entries()} == set(KINDS)


@pytest.mark.parametrize(("name", "encoders"), [("sdxl-tiny", 2), ("tiny-refiner", 1), ("tiny-sd2", 1)])
def test_every_architecture_is_recognised_and_loads(tiny_catalogue: Catalogue, name: str, encoders: int) -> None:
    checkpoint = load(tiny_catalogue.entry(name), "cpu", torch.float32)
    assert checkpoint.native_px == 256
    assert len(checkpoint.text_encoders) == len(checkpoint.tokenizers) == encoders


def test_an_ip_adapter_has_the_published_keys(tiny_catalogue: Catalogue) -> None:
    tensors = load_file(tiny_catalogue.entry("tiny-ip-adapter").path / "adapter.safetensors")
    assert tensors["image_proj.latents"].shape == (1, 16, 40)
    assert {"image_proj.layers.3.0.to_kv.weight", "image_proj.layers.3.1.3.weight"} <= set(tensors)
    numbers = sorted({int(key.split(".")[1]) for key in tensors if key.startswith("ip_adapter.")})
    assert numbers == list(range(1, 2 * len(numbers), 2))


def test_a_lora_has_the_same_numbers_in_every_spelling(tmp_path: Path) -> None:
    found = {}
    for spelling in ("kohya", "kohya-blocks", "peft"):
        make_tiny_lora(tmp_path / spelling, spelling)
        found[spelling] = load_file(tmp_path / spelling)
    start = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
    block = "lora_unet_input_blocks_3_1_transformer_blocks_0_attn1_to_q"
    dotted = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    down, up = (found["kohya"][f"{start}.lora_{each}.weight"] for each in ("down", "up"))
    assert torch.equal(down, found["kohya-blocks"][f"{block}.lora_down.weight"])
    assert torch.equal(down, found["peft"][f"{dotted}.lora_A.weight"])
    assert torch.equal(up @ down * (1 / 2), found["peft"][f"{dotted}.lora_B.weight"] @ down)


def test_the_refiner_is_told_five_numbers_where_the_base_is_told_six(tiny_catalogue: Catalogue) -> None:
    told = [configuration(name, tiny_catalogue.entry(name).path / "unet") for name in ("sdxl-tiny", "tiny-refiner")]
    assert [each["projection_class_embeddings_input_dim"] for each in told] == [40 + 6 * 8, 40 + 5 * 8]
