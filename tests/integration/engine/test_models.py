"""Models that are broken, of another kind or not permitted: refused in a word, and nothing else is touched."""

from __future__ import annotations

import pytest

from continuity.inference.client import TritonClient
from tests.integration.engine.asking import answered, require_refusal
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, Case
from tests.integration.engine.pictures import gradient, noise

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

LAYOUT = {"layout": [gradient()]}
FACE = {"references": [noise(1)]}

UNUSABLE = {
    "other-bytes": r"unet/diffusion_pytorch_model\.safetensors is not what was installed: its SHA-256 differs",
    "cut-off": r"unet",
    "not-tensors": r"unet",
    "pickled": r"unet",
    "pickle-beside": r"unet",
    "unread-settings": r"unet/config\.json",
    "file-missing": r"vae/diffusion_pytorch_model\.safetensors is missing",
    "file-added": r"unet/more\.safetensors is not among its files",
    "unread-about": r"model\.json cannot be read",
    "weight-missing": r"unet lacks 1 weights: conv_in\.weight",
    "weight-added": r"unet has 1 weights too many: more",
    "other-shape": r"unet's conv_in\.weight has the shape \(8, 4, 3, 3\), \(16, 4, 3, 3\) was expected",
    "not-finite": r"unet has weights that are not finite, conv_in\.weight among them",
    "other-architecture": r"it is sd2 and not sdxl",
}


async def is_well(client: TritonClient, expected: Expected) -> bool:
    return (await answered(client, CASES["plain"])).sha256 == expected("plain")


@pytest.mark.parametrize("name", UNUSABLE)
async def test_a_broken_checkpoint_is_refused_by_name_and_reason(
    client: TritonClient, expected: Expected, name: str
) -> None:
    await require_refusal(
        client, Case({"checkpoint": name}), "model", rf"model '{name}' cannot be used: .*{UNUSABLE[name]}"
    )
    assert await is_well(client, expected)


NO_PICTURES = {
    "not-a-number": "step gave NaN",
    "overflowing": "decode gave (NaN|infinite values)",
    "black": "decode gave black all over",
}


@pytest.mark.parametrize("name", NO_PICTURES)
async def test_what_is_no_picture_is_an_error_and_no_result(
    client: TritonClient, expected: Expected, name: str
) -> None:
    await require_refusal(client, Case({"checkpoint": name}), "picture", NO_PICTURES[name])
    assert await is_well(client, expected)


MISUSED = {
    "a LoRA as a checkpoint": (Case({"checkpoint": "tiny-lora"}), "refused", r"checkpoint: 'tiny-lora'"),
    "a refiner as a checkpoint": (Case({"checkpoint": "tiny-refiner"}), "refused", r"checkpoint: 'tiny-refiner'"),
    "a checkpoint as a refiner": (Case({"refiner": "tiny-sd2"}), "refused", r"refiner: 'tiny-sd2'"),
    "a refiner for another base": (
        Case({"checkpoint": "tiny-sd2", "refiner": "tiny-refiner"}), "(refused|model)", "refiner",
    ),
    "a LoRA of another base": (Case({"loras": [{"name": "lora-of-sd1"}]}), "(refused|model)", "lora-of-sd1"),
    "a LoRA for another base": (
        Case({"checkpoint": "tiny-sd2", "loras": [{"name": "tiny-lora"}]}), "(refused|model)", "tiny-lora",
    ),
    "a LoRA that is cut off": (Case({"loras": [{"name": "cut-off-lora"}]}), "model", "cut-off-lora"),
    "a checkpoint as a LoRA": (Case({"loras": [{"name": "tiny-sd2"}]}), "refused", "tiny-sd2"),
    "a LoRA that is not there": (Case({"loras": [{"name": "tiny-loar"}]}), "refused", "did you mean 'tiny-lora'"),
    "a LoRA not for sale": (Case({"commercial": True, "loras": [{"name": "not-for-sale"}]}), "refused", "commercial"),
    "a broken inversion": (Case({"prompt": "a brokenword"}), "model", "brokenword"),
    "a ControlNet for another base": (
        Case({"checkpoint": "tiny-sd2", "layout": {"kind": "tiny-controlnet"}}, LAYOUT),
        "(refused|model)", "tiny-controlnet",
    ),
    "a LoRA as a ControlNet": (Case({"layout": {"kind": "tiny-lora"}}, LAYOUT), "refused", "tiny-lora"),
    "an adapter for another base": (
        Case({"checkpoint": "tiny-sd2", "references": [{"picture": 0, "adapter": "tiny-ip-adapter"}]}, FACE),
        "(refused|model)", "tiny-ip-adapter",
    ),
    "an encoder as an adapter": (
        Case({"references": [{"picture": 0, "adapter": "tiny-image-encoder"}]}, FACE), "refused", "tiny-image-encoder",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MISUSED)
async def test_a_model_that_does_not_fit_is_refused_by_name(
    client: TritonClient, expected: Expected, what: str
) -> None:
    case, word, text = MISUSED[what]
    await require_refusal(client, case, word, text)
    assert await is_well(client, expected)


async def test_what_was_refused_may_be_drawn_with_what_is_permitted(client: TritonClient) -> None:
    sold = Case({"commercial": False, "loras": [{"name": "not-for-sale"}]})
    assert (await answered(client, sold)).sha256 == (await answered(client, CASES["a LoRA"])).sha256
