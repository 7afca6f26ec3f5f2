"""Merged weights are those that diffusers' own loader gives after it has fused the same file."""

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from engine.request import LoraUse
from engine.variants import Variants

ALPHA = 2.0
DENOISER = {
    "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q": "input_blocks_1_1_transformer_blocks_0_attn1_to_q",
    "down_blocks.1.attentions.0.transformer_blocks.1.attn2.to_out.0": (
        "input_blocks_3_1_transformer_blocks_1_attn2_to_out_0"
    ),
    "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj": (
        "input_blocks_3_1_transformer_blocks_0_ff_net_0_proj"
    ),
    "mid_block.attentions.0.proj_in": "middle_block_1_proj_in",
    "up_blocks.0.attentions.1.proj_out": "output_blocks_1_1_proj_out",
    "up_blocks.1.attentions.1.transformer_blocks.0.attn1.to_v": "output_blocks_3_1_transformer_blocks_0_attn1_to_v",
}
CONVOLUTIONS = {
    "down_blocks.1.resnets.0.conv1": "input_blocks_3_0_in_layers_2",
    "down_blocks.0.downsamplers.0.conv": "input_blocks_2_0_op",
    "mid_block.resnets.1.conv2": "middle_block_2_out_layers_3",
    "up_blocks.0.upsamplers.0.conv": "output_blocks_1_2_conv",
    "up_blocks.1.resnets.0.conv_shortcut": "output_blocks_2_0_skip_connection",
    "up_blocks.1.resnets.1.time_emb_proj": "output_blocks_3_0_emb_layers_1",
}
TEXT = ["encoder.layers.0.self_attn.q_proj", "encoder.layers.1.self_attn.out_proj", "encoder.layers.2.mlp.fc1"]


def kohya(checkpoint, halves, denoiser, alpha=ALPHA):
    """Kohya's file: ``denoiser`` is the name in it by diffusers' path."""
    layers = {f"lora_unet_{name}": checkpoint.unet.get_submodule(path) for path, name in denoiser.items()}
    for number, encoder in enumerate(checkpoint.text_encoders, start=1):
        modules = dict(encoder.named_modules())
        for path in TEXT:
            module = modules.get(path) or modules[f"text_model.{path}"]
            layers[f"lora_te{number}_text_model_{path.replace('.', '_')}"] = module
    tensors = {}
    for seed, (name, module) in enumerate(layers.items()):
        for role, tensor in halves(module.weight.shape, seed).items():
            tensors[f"{name}.lora_{role}.weight"] = tensor
        tensors[f"{name}.alpha"] = torch.tensor(alpha)
    return tensors


def peft(checkpoint, halves):
    tensors = {}
    for seed, path in enumerate({**DENOISER, **CONVOLUTIONS}):
        made = halves(checkpoint.unet.get_submodule(path).weight.shape, seed)
        tensors |= {f"unet.{path}.lora_A.weight": made["down"], f"unet.{path}.lora_B.weight": made["up"]}
    for network, encoder in zip(("text_encoder", "text_encoder_2"), checkpoint.text_encoders, strict=True):
        for path, module in encoder.named_modules():
            if path.endswith("k_proj"):
                made, full = halves(module.weight.shape, 7), "text_model." + path.removeprefix("text_model.")
                tensors |= {f"{network}.{full}.lora_A.weight": made["down"]}
                tensors |= {f"{network}.{full}.lora_B.weight": made["up"]}
    return tensors


def fused(folder: Path, files: list[tuple[Path, float]]):
    pipeline = StableDiffusionXLPipeline.from_pretrained(folder, local_files_only=True)
    for number, (path, scale) in enumerate(files):
        pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name=f"lora{number}")
        pipeline.fuse_lora(lora_scale=scale, adapter_names=[f"lora{number}"])
        pipeline.unload_lora_weights()
    return {"unet": pipeline.unet, "1": pipeline.text_encoder, "2": pipeline.text_encoder_2}


def assert_equal_weights(checkpoint, stock, before, snapshot, least):
    mine = snapshot(checkpoint)
    changed = [key for key in mine if not torch.equal(mine[key], before[key])]
    assert len(changed) >= least
    for key, weight in mine.items():
        network, path = key.split(".", 1)
        torch.testing.assert_close(weight, stock[network].get_parameter(path).detach(), atol=1e-6, rtol=1e-5, msg=key)


def test_kohyas_file_with_the_names_of_the_original_network(checkpoint, shelf, halves, snapshot, tiny_folder):
    before = snapshot(checkpoint)
    path = shelf.add("hat", kohya(checkpoint, halves, DENOISER | CONVOLUTIONS))
    Variants(checkpoint, shelf, 0).use((LoraUse("hat", 0.7),))
    assert_equal_weights(checkpoint, fused(tiny_folder, [(path, 0.7)]), before, snapshot, least=18)


def test_kohyas_file_with_diffusers_names(checkpoint, shelf, halves, snapshot, tiny_folder):
    before, names = snapshot(checkpoint), {path: path.replace(".", "_") for path in DENOISER}
    path = shelf.add("hat", kohya(checkpoint, halves, names))
    Variants(checkpoint, shelf, 0).use((LoraUse("hat", -1.5),))
    assert_equal_weights(checkpoint, fused(tiny_folder, [(path, -1.5)]), before, snapshot, least=12)


def test_diffusers_own_file(checkpoint, shelf, halves, snapshot, tiny_folder):
    before = snapshot(checkpoint)
    path = shelf.add("hat", peft(checkpoint, halves))
    Variants(checkpoint, shelf, 0).use((LoraUse("hat", 1.0),))
    assert_equal_weights(checkpoint, fused(tiny_folder, [(path, 1.0)]), before, snapshot, least=18)


def test_diffusers_own_file_that_states_its_alpha(checkpoint, shelf, halves, snapshot, tiny_folder):
    import json

    tensors = {key: each for key, each in peft(checkpoint, halves).items() if key.startswith("unet.")}
    settings = {"unet.r": 4, "unet.lora_alpha": 12, "unet.target_modules": list(DENOISER | CONVOLUTIONS)}
    before = snapshot(checkpoint)
    path = shelf.add("hat", tensors, {"format": "pt", "lora_adapter_metadata": json.dumps(settings)})
    Variants(checkpoint, shelf, 0).use((LoraUse("hat", 1.0),))
    assert_equal_weights(checkpoint, fused(tiny_folder, [(path, 1.0)]), before, snapshot, least=12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_two_loras_on_the_same_layers_add_up_in_float32(checkpoint, shelf, halves, dtype):
    checkpoint.unet.to(dtype)
    path = "mid_block.attentions.0.proj_in"
    module = checkpoint.unet.get_submodule(path)
    wanted = module.weight.detach().float()
    for seed, scale in ((1, 0.5), (2, -0.25)):
        made = halves(module.weight.shape, seed)
        shelf.add(f"l{seed}", {f"unet.{path}.lora_A.weight": made["down"], f"unet.{path}.lora_B.weight": made["up"]})
        wanted = wanted + scale * (made["up"] @ made["down"])
    Variants(checkpoint, shelf, 1 << 20).use((LoraUse("l1", 0.5), LoraUse("l2", -0.25)))
    assert module.weight.dtype == dtype
    assert torch.equal(module.weight, wanted.to(dtype))


def test_two_files_in_a_row_are_what_diffusers_fuses_in_a_row(checkpoint, shelf, halves, snapshot, tiny_folder):
    before = snapshot(checkpoint)
    first = shelf.add("first", kohya(checkpoint, halves, DENOISER))
    second = shelf.add("second", peft(checkpoint, halves))
    Variants(checkpoint, shelf, 0).use((LoraUse("first", 0.3), LoraUse("second", 0.9)))
    stock = fused(tiny_folder, [(first, 0.3), (second, 0.9)])
    assert_equal_weights(checkpoint, stock, before, snapshot, least=20)
