"""A checkpoint is loaded whole and as it was installed, or refused with a reason that names what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from engine.checkpoint import Checkpoint
from engine.errors import ModelUnusable
from engine.models.entry import Entry
from engine.models.loading import load, vae_dtype
from engine.models.survey import zeros_for_empty
from engine.models.verification import verified

CPU = torch.device("cpu")
UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"
TOKENS = torch.tensor([[49406, 320, 2368, *[49407] * 74]])

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def copied(tiny_folder: Path, tmp_path: Path) -> Entry:
    """An entry whose files a test may spoil."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    return Entry("model", "checkpoint", "sdxl", "none", commercial=False, path=folder)


def changed(entry: Entry, file: str, change: Callable[[Tensors], object]) -> Entry:
    """Change the tensors of one file."""
    tensors = load_file(entry.path / file)
    tensors = {key: tensor.clone() for key, tensor in tensors.items()}
    change(tensors)
    save_file(tensors, entry.path / file)
    return entry


def refused(entry: Entry, dtype: torch.dtype = torch.float32) -> str:
    with pytest.raises(ModelUnusable) as caught:
        load(entry, CPU, dtype)
    assert caught.value.name == entry.name
    return caught.value.reason


def test_networks_are_those_that_the_libraries_load(tiny: Checkpoint, tiny_folder: Path) -> None:
    for network, kind, name in ((tiny.unet, UNet2DConditionModel, "unet"), (tiny.vae, AutoencoderKL, "vae")):
        wanted = kind.from_pretrained(tiny_folder / name).state_dict()
        assert list(network.state_dict()) == list(wanted)
        assert all(torch.equal(each, wanted[key]) for key, each in network.state_dict().items())


def test_text_encoders_compute_what_the_libraries_own_compute(tiny: Checkpoint, tiny_folder: Path) -> None:
    kinds = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
    for network, (name, kind) in zip(tiny.text_encoders, kinds.items(), strict=True):
        with torch.no_grad():
            found = network(TOKENS, output_hidden_states=True)
            wanted = kind.from_pretrained(tiny_folder / name).eval()(TOKENS, output_hidden_states=True)
        assert torch.equal(found.hidden_states[-2], wanted.hidden_states[-2])
        assert torch.equal(found[0], wanted[0])


def test_networks_evaluate_and_ask_for_no_gradients(tiny: Checkpoint) -> None:
    for network in (tiny.unet, tiny.vae, *tiny.text_encoders):
        assert not network.training
        assert not any(each.requires_grad for each in network.parameters())
        assert not any(each.is_meta for each in (*network.parameters(), *network.buffers()))


def test_memory_is_no_view_of_the_file(copied: Entry) -> None:
    checkpoint = load(copied, CPU, torch.float32)
    before = checkpoint.unet.conv_in.weight.clone()
    (copied.path / UNET).write_bytes(b"\xff" * (copied.path / UNET).stat().st_size)
    assert torch.equal(checkpoint.unet.conv_in.weight, before)


@pytest.mark.parametrize(
    ("dtype", "upcast", "wanted"),
    [
        (torch.float16, True, torch.float32),
        (torch.float16, False, torch.float16),
        (torch.bfloat16, True, torch.bfloat16),
        (torch.float32, True, torch.float32),
    ],
)
def test_only_an_autoencoder_that_says_it_can_computes_in_half(
    dtype: torch.dtype, upcast: bool, wanted: torch.dtype
) -> None:
    assert vae_dtype(dtype, {"force_upcast": upcast}) == wanted


def test_half_precision_leaves_the_autoencoder_in_full(copied: Entry) -> None:
    checkpoint = load(copied, CPU, torch.float16)
    assert checkpoint.unet.dtype == checkpoint.text_encoders[0].dtype == torch.float16
    assert checkpoint.vae.dtype == torch.float32


def test_the_hash_names_the_files_and_not_the_precision(copied: Entry, tiny: Checkpoint) -> None:
    assert load(copied, CPU, torch.float16).sha256 == tiny.sha256
    changed(copied, UNET, lambda tensors: tensors["conv_in.bias"].add_(1))
    assert load(copied, CPU, torch.float32).sha256 != tiny.sha256


def test_a_file_that_is_not_what_was_installed_is_refused(copied: Entry) -> None:
    entry = replace(copied, files=verified(copied))
    load(entry, CPU, torch.float32)
    changed(entry, UNET, lambda tensors: tensors["conv_in.bias"].add_(1))
    assert refused(entry) == f"{UNET} is not what was installed: its SHA-256 differs"
    (entry.path / UNET).unlink()
    assert refused(entry) == f"{UNET} is missing"


def test_a_pickle_is_not_opened(copied: Entry) -> None:
    (copied.path / UNET).rename(copied.path / "unet" / "diffusion_pytorch_model.bin")
    assert "diffusion_pytorch_model.bin is a pickle" in refused(copied)


def test_a_cut_file_is_refused(copied: Entry) -> None:
    whole = (copied.path / UNET).read_bytes()
    (copied.path / UNET).write_bytes(whole[:-100])
    assert "diffusion_pytorch_model.safetensors is damaged" in refused(copied)


def test_missing_surplus_and_misshapen_weights_are_refused_by_name(copied: Entry, tiny_folder: Path) -> None:
    changed(copied, UNET, lambda tensors: tensors.pop("conv_out.bias"))
    assert refused(copied) == "unet lacks 1 weights: conv_out.bias"
    shutil.copy(tiny_folder / UNET, copied.path / UNET)
    changed(copied, UNET, lambda tensors: tensors.update({"mid_block.more": torch.zeros(1)}))
    assert refused(copied) == "unet has 1 weights too many: mid_block.more"
    shutil.copy(tiny_folder / UNET, copied.path / UNET)
    changed(copied, UNET, lambda tensors: tensors.update({"conv_out.bias": torch.zeros(5)}))
    assert refused(copied) == "unet's conv_out.bias has the shape (5,), (4,) was expected"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(copied: Entry, value: float) -> None:
    changed(copied, VAE, lambda tensors: tensors["decoder.conv_in.weight"][0, 0, 0].fill_(value))
    assert refused(copied) == "vae has weights that are not finite, decoder.conv_in.weight among them"


def test_weights_that_half_precision_cannot_hold_are_refused_in_it(copied: Entry) -> None:
    changed(copied, UNET, lambda tensors: tensors["conv_in.bias"].fill_(1e6))
    load(copied, CPU, torch.float32)
    assert "not finite" in refused(copied, torch.float16)


def test_another_architecture_than_stated_is_refused(copied: Entry) -> None:
    assert refused(replace(copied, architecture="sd2")) == "it is sdxl and not sd2"


def test_settings_that_fit_no_network_are_refused(copied: Entry) -> None:
    path = copied.path / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"down_block_types": ["NoSuchBlock"] * 2}))
    assert "unet's configuration is not usable" in refused(copied)
    path.write_text("{")
    assert "unet/config.json cannot be read" in refused(copied)


def test_shards_and_half_variants_are_found(copied: Entry, tiny: Checkpoint) -> None:
    tensors = load_file(copied.path / UNET)
    (copied.path / UNET).unlink()
    for number, keys in enumerate((sorted(tensors)[:100], sorted(tensors)[100:]), start=1):
        name = f"diffusion_pytorch_model-0000{number}-of-00002.safetensors"
        save_file({key: tensors[key] for key in keys}, copied.path / "unet" / name)
    (copied.path / TEXT).rename(copied.path / "text_encoder" / "model.fp16.safetensors")
    found = load(copied, CPU, torch.float32)
    assert torch.equal(found.unet.conv_out.weight, tiny.unet.conv_out.weight)


def test_keys_of_older_files_are_understood(copied: Entry, tiny: Checkpoint) -> None:
    def older(tensors: Tensors) -> None:
        names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        for key in [each for each in tensors if ".attentions." in each and "norm" not in each]:
            new, old = next((new, old) for new, old in names.items() if f".{new}." in key)
            tensor = tensors.pop(key)
            tensors[key.replace(new, old)] = tensor[..., None, None] if tensor.ndim == 2 else tensor

    changed(copied, VAE, older)
    changed(copied, TEXT, lambda tensors: tensors.update({"text_model.embeddings.position_ids": torch.arange(77)}))
    found = load(copied, CPU, torch.float32)
    assert all(torch.equal(each, tiny.vae.state_dict()[key]) for key, each in found.vae.state_dict().items())


@pytest.mark.parametrize(
    ("architecture", "stated", "zeros"),
    [
        ("sdxl", {}, True),
        ("sdxl", {"force_zeros_for_empty_prompt": False}, False),
        ("sdxl-refiner", {}, False),
        ("sdxl-refiner", {"force_zeros_for_empty_prompt": True}, True),
        ("sd2", {"force_zeros_for_empty_prompt": True}, False),
    ],
)
def test_whether_no_words_are_zeros_is_what_the_index_states(
    tmp_path: Path, architecture: str, stated: dict[str, bool], zeros: bool
) -> None:
    entry = Entry("model", "checkpoint", architecture, "none", commercial=True, path=tmp_path)
    (tmp_path / "model_index.json").write_text(json.dumps(stated))
    assert zeros_for_empty(entry) is zeros


def test_an_index_that_is_not_there_states_nothing_and_one_that_states_no_truth_is_refused(tmp_path: Path) -> None:
    entry = Entry("model", "checkpoint", "sdxl", "none", commercial=True, path=tmp_path)
    assert zeros_for_empty(entry)
    (tmp_path / "model_index.json").write_text('{"force_zeros_for_empty_prompt": "no"}')
    with pytest.raises(ModelUnusable, match=r"model_index\.json states force_zeros_for_empty_prompt 'no'"):
        zeros_for_empty(entry)
