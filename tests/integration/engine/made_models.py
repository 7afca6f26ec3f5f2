"""Makes the models of these tests, good and bad ones; a program of the engine's environment: argument is the folder."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from engine.models.adoption import Terms, adopt
from engine.models.entry import file_sha256
from engine.models.tiny.adapters import make_tiny_embedding
from engine.models.tiny.everything import make_tiny_catalogue
from engine.models.tiny.lora import make_tiny_lora
from engine.models.tiny.single_file import write_single_file

Tensors = dict[str, torch.Tensor]
UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
FREE = Terms("Apache-2.0", commercial=True)
FAST = {
    "tiny-sdxl-turbo": "sdxl-tiny",
    "tiny-sdxl-lightning-4step": "sdxl-tiny",
    "tiny-lcm": "sdxl-tiny",
    "tiny-sd-turbo": "tiny-sd2",
}
"""``cases.FAST``, and what stands under these names."""


def copied(folder: Path, name: str, source: str = "sdxl-tiny") -> Path:
    """Return a copy of a model that may be spoilt: no file of it is another's."""
    shutil.copytree(folder / source, folder / name)
    return folder / name


def stated(model: Path, **changes: object) -> None:
    """Let ``model.json`` say what the files are now, and whatever else is asked for."""
    about = json.loads((model / "model.json").read_text())
    about["files"] = {name: file_sha256(model / name) for name in about["files"] if (model / name).is_file()}
    (model / "model.json").write_text(json.dumps(about | changes))


def rewritten(model: Path, file: str, change: Callable[[Tensors], None]) -> None:
    """Change the weights of a file, and state its hash as if it had been installed so."""
    tensors = load_file(model / file)
    change(tensors)
    save_file(tensors, model / file)
    stated(model)


def put(model: Path, file: str, content: bytes) -> None:
    """Replace a file, and state its hash."""
    (model / file).write_bytes(content)
    stated(model)


def spoilt_files(folder: Path) -> None:
    """Make checkpoints of whose files something is wrong."""
    weights = (folder / "sdxl-tiny" / UNET).read_bytes()
    (copied(folder, "other-bytes") / UNET).write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    put(copied(folder, "cut-off"), UNET, weights[: len(weights) // 2])
    put(copied(folder, "not-tensors"), UNET, b"\xff" * 4096)
    put(copied(folder, "pickled"), UNET, pickle.dumps({"unet": "os.system"}))
    put(copied(folder, "unread-settings"), "unet/config.json", b"{")
    (copied(folder, "file-missing") / VAE).unlink()
    shutil.copy(folder / "tiny-lora" / "lora.safetensors", copied(folder, "file-added") / "unet" / "more.safetensors")
    only_pickles = copied(folder, "pickle-beside")
    (only_pickles / UNET).rename(only_pickles / "unet" / "diffusion_pytorch_model.bin")
    stated(only_pickles)
    (copied(folder, "unread-about") / "model.json").write_text("{")


def spoilt_weights(folder: Path) -> None:
    """Make checkpoints whose files are sound and whose weights are not."""
    key = "conv_in.weight"
    rewritten(copied(folder, "weight-missing"), UNET, lambda tensors: tensors.pop(key))
    rewritten(copied(folder, "weight-added"), UNET, lambda tensors: tensors.update(more=torch.zeros(1)))
    rewritten(copied(folder, "other-shape"), UNET, lambda tensors: tensors.update({key: tensors[key][:8].clone()}))
    rewritten(copied(folder, "not-finite"), UNET, lambda tensors: tensors[key].view(-1)[0].fill_(torch.nan))
    stated(copied(folder, "other-architecture", "tiny-sd2"), architecture="sdxl")


def drawing_nothing(folder: Path) -> None:
    """Make checkpoints that load and draw no picture."""
    out = "conv_out.weight"
    rewritten(copied(folder, "not-a-number"), UNET, lambda tensors: tensors[out].mul_(1e38))
    rewritten(copied(folder, "overflowing"), VAE, _magnified)
    rewritten(copied(folder, "black"), VAE, _blackened)


def _magnified(tensors: Tensors) -> None:
    for key in ("decoder.conv_norm_out.weight", "decoder.conv_out.weight"):
        tensors[key].mul_(1e21)


def _blackened(tensors: Tensors) -> None:
    tensors["decoder.conv_out.weight"].zero_()
    tensors["decoder.conv_out.bias"].fill_(-1.0)


def otherwise(folder: Path) -> None:
    """Make the small checkpoint once more for larger pictures, and from one file in the layout of training."""
    larger = copied(folder, "larger")
    settings = json.loads((larger / "unet" / "config.json").read_text())
    put(larger, "unet/config.json", json.dumps(settings | {"sample_size": 34}).encode())
    file = folder / ".one-file.safetensors"
    write_single_file(folder / "sdxl-tiny", file)
    adopt(folder, file, "one-file", FREE, like=folder / "sdxl-tiny")
    file.unlink()


def small_ones(folder: Path) -> None:
    """Make what goes beside a checkpoint: LoRAs and textual inversions, some of them for others or broken."""
    scratch = folder / ".scratch"
    scratch.mkdir()
    make_tiny_lora(scratch / "other.safetensors", "peft", seed=1)
    adopt(folder, scratch / "other.safetensors", "other-lora", FREE)
    layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    sd1 = {f"{layer}.lora_down.weight": torch.ones(2, 768), f"{layer}.lora_up.weight": torch.ones(320, 2)}
    save_file(sd1, scratch / "sd1.safetensors")
    adopt(folder, scratch / "sd1.safetensors", "lora-of-sd1", FREE)
    make_tiny_embedding(scratch / "ada.safetensors", vectors=3, seed=2)
    adopt(folder, scratch / "ada.safetensors", "adalovelace", FREE)
    put(copied(folder, "cut-off-lora", "tiny-lora"), "lora.safetensors", b"\x10\0\0\0\0\0\0\0{")
    put(copied(folder, "brokenword", "tiny-embedding"), "embedding.safetensors", b"\x10\0\0\0\0\0\0\0{")
    stated(copied(folder, "not-for-sale", "tiny-lora"), commercial=False)
    shutil.rmtree(scratch)


def make(folder: Path) -> None:
    """Make all of them."""
    make_tiny_catalogue(folder)
    for name, source in FAST.items():
        adopt(folder, folder / source, name, FREE)
    spoilt_files(folder)
    spoilt_weights(folder)
    drawing_nothing(folder)
    small_ones(folder)
    otherwise(folder)


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    make(Path(sys.argv[1]))
