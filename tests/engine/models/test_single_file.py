"""A checkpoint in one file is the same checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.checkpoint import Checkpoint
from engine.errors import ModelUnusable
from engine.models.adoption import Terms, adopt
from engine.models.entry import Entry
from engine.models.layouts import LAYOUTS, write_layout
from engine.models.loading import load
from engine.models.networks import COMPONENTS, configuration
from engine.models.recognition import of_settings
from engine.models.single_file import as_components
from engine.models.tiny.single_file import as_single_file, write_single_file

PUBLISHED_PARAMETERS = {
    ("sdxl", "unet"): 2_567_463_684,
    ("sdxl", "vae"): 83_653_863,
    ("sdxl", "text_encoder"): 123_060_480,
    ("sdxl", "text_encoder_2"): 694_659_840,
    ("sd2", "unet"): 865_910_724,
    ("sd2", "text_encoder"): 340_387_840,
}


@pytest.fixture
def file(tiny_folder: Path, tmp_path: Path) -> Path:
    write_single_file(tiny_folder, tmp_path / "own.safetensors")
    return tmp_path / "own.safetensors"


def adopted(tmp_path: Path, file: Path, tiny_folder: Path) -> Entry:
    return adopt(tmp_path / "models", file, "own", Terms(), like=tiny_folder)


def empty(component: str, settings: dict[str, Any]) -> Any:
    """Return a network that has shapes and no numbers."""
    kind = COMPONENTS[component]
    with torch.device("meta"):
        return kind(kind.config_class(**settings)) if component.startswith("text") else kind.from_config(settings)


def test_every_weight_is_that_of_the_folder(tmp_path: Path, file: Path, tiny_folder: Path, tiny: Checkpoint) -> None:
    keys = set(load_file(file))
    assert {
        "model.diffusion_model.middle_block.1.proj_in.weight",
        "first_stage_model.decoder.mid.attn_1.q.weight",
    } < keys
    assert "conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight" in keys
    found = load(adopted(tmp_path, file, tiny_folder), "cpu", torch.float32)
    pairs = [(found.unet, tiny.unet), (found.vae, tiny.vae), *zip(found.text_encoders, tiny.text_encoders, strict=True)]
    for network, wanted in pairs:
        assert list(network.state_dict()) == list(wanted.state_dict())
        assert all(torch.equal(each, wanted.state_dict()[key]) for key, each in network.state_dict().items())


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("model.diffusion_model.out.2.bias", "unet lacks 1 weights: conv_out.bias"),
        ("first_stage_model.quant_conv.bias", "vae lacks 1 weights: quant_conv.bias"),
        ("conditioner.embedders.1.model.ln_final.bias", "text_encoder_2 lacks 1 weights"),
    ],
)
def test_a_weight_that_is_missing_is_named(
    tmp_path: Path, file: Path, tiny_folder: Path, key: str, reason: str
) -> None:
    tensors = load_file(file)
    del tensors[key]
    save_file(tensors, file)
    with pytest.raises(ModelUnusable, match=reason):
        load(adopted(tmp_path, file, tiny_folder), "cpu", torch.float32)


def test_a_file_without_its_autoencoder_is_refused(tmp_path: Path, file: Path, tiny_folder: Path) -> None:
    save_file({key: each for key, each in load_file(file).items() if "first_stage" not in key}, file)
    with pytest.raises(ModelUnusable, match="vae"):
        load(adopted(tmp_path, file, tiny_folder), "cpu", torch.float32)


@pytest.mark.parametrize(("architecture", "component"), PUBLISHED_PARAMETERS)
def test_built_in_settings_make_networks_of_the_published_size(architecture: str, component: str) -> None:
    network = empty(component, LAYOUTS[architecture][component])
    assert sum(each.numel() for each in network.parameters()) == PUBLISHED_PARAMETERS[architecture, component]


def test_a_checkpoint_of_the_published_size_is_understood_whole() -> None:
    settings = LAYOUTS["sdxl"]
    wanted = {component: empty(component, told).state_dict() for component, told in settings.items()}
    found = as_components("sdxl", as_single_file(wanted, settings), settings)
    for component, tensors in wanted.items():
        names = {key.removeprefix("text_model."): tensor.shape for key, tensor in found[component].items()}
        assert names == {key.removeprefix("text_model."): tensor.shape for key, tensor in tensors.items()}


@pytest.mark.parametrize("architecture", LAYOUTS)
def test_built_in_settings_are_recognised_as_what_they_are(tmp_path: Path, architecture: str) -> None:
    write_layout(tmp_path, architecture, {})
    second = tmp_path / "text_encoder_2"
    told = configuration("it", second) if second.exists() else None
    assert of_settings(configuration("it", tmp_path / "unet"), told) == architecture


def test_marks_of_the_training_become_the_schedulers_settings(tmp_path: Path, file: Path) -> None:
    save_file(load_file(file) | {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}, file)
    entry = adopt(tmp_path / "models", file, "own", Terms())
    told = configuration("own", entry.path / "scheduler", "scheduler_config.json")
    assert (told["prediction_type"], told["rescale_betas_zero_snr"]) == ("v_prediction", True)
