"""What no test beside the model's own asks for: fields and pictures that do not go together."""

from __future__ import annotations

import pytest

from continuity.inference.client import TritonClient
from continuity.inference.errors import RenderRefused
from continuity.inference.tensors import bytes_tensor
from services.rendering.adapters.sdxl_tensors import SDXL
from tests.integration.engine.asking import answered, require_refusal
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, Case
from tests.integration.engine.pictures import gradient, half, noise

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

IMAGE = {"image": [gradient()]}
PERSON = {"picture": 0, "adapter": "tiny-ip-adapter"}
FACE = {"references": [noise(0)]}
LIGHTNING = "tiny-sdxl-lightning-4step"
BAD = {
    "a mask of another size": (
        Case({}, IMAGE | {"mask": [half(left=True, width=128)]}), r"mask: 'a mask of 128×256'.*256×256",
    ),
    "a mask alone": (Case({}, {"mask": [half(left=True)]}), "mask"),
    "a layout and an image to begin with": (
        Case({"layout": {"kind": "img2img"}}, IMAGE | {"layout": [gradient()]}), r"layout\.kind",
    ),
    "a layout picture that nothing asks for": (Case({}, {"layout": [gradient()]}), "layout"),
    "a strength that takes no step": (Case({"strength": 0.1, "steps": 4}, IMAGE), r"strength: 0\.1"),
    "a strength above one": (Case({"strength": 1.5}, IMAGE), r"strength: 1\.5"),
    "hi-res beyond four megapixels": (Case({"hires": {"scale": 4.0}, "width_px": 2048}), r"hires\.scale"),
    "hi-res of no step": (Case({"hires": {"scale": 1.5, "strength": 0.0}}), "strength"),
    "five references": (Case({"references": [PERSON] * 5}, FACE), "references"),
    "a reference that did not come": (Case({"references": [PERSON | {"picture": 1}]}, FACE), r"s\[0\]\.picture"),
    "a mask that did not come": (Case({"references": [PERSON | {"mask": 0}]}, FACE), r"s\[0\]\.mask"),
    "a reference of two pixels": (
        Case({"references": [PERSON]}, {"references": [noise(0, side=2)]}), r"references\[0\]",
    ),
    "a picture cut off": (Case({"strength": 0.5}, {"image": [gradient()[:-40]]}), "image"),
    "a picture of nothing": (Case({}, {"image": [b""]}), "image"),
    "a scale that is infinite": (
        Case({"loras": [{"name": "tiny-lora", "scale": float("inf")}]}), r"loras\[0\]\.scale: inf",
    ),
    "rescale of not a number": (Case({"rescale": float("nan")}), "rescale: nan"),
    "nine LoRAs": (Case({"loras": [{"name": "tiny-lora"}] * 9}), "loras"),
    "a path as a LoRA": (Case({"loras": [{"name": "../sdxl-tiny"}]}), r"loras\[0\]\.name"),
    "a schedule that the sampler does not know": (
        Case({"sampler": "ddim", "schedule": "karras"}), "schedule: 'karras'.*ddim knows",
    ),
    "a sampler with a slip": (Case({"sampler": "dpm++ 2m karas"}), "did you mean"),
    "a size between the steps": (Case({"width_px": 260}), "width_px: 260.*multiple of 8"),
    "a size too large": (Case({"height_px": 2056}), "height_px: 2056"),
    "a size too small": (Case({"height_px": 248}), "height_px: 248"),
    "a prompt of nothing": (Case({"prompt": "  "}), "prompt"),
    "a prompt with half a character": (Case({"prompt": "rain \ud800"}), "prompt"),
    "too many steps for few": (Case({"checkpoint": "tiny-sdxl-turbo", "steps": 20}), "steps: 20.*sdxl-turbo"),
    "too much guidance for few": (Case({"checkpoint": LIGHTNING, "steps": None, "guidance": 7.0}), "guidance: 7"),
    "a deadline of nothing": (Case({"deadline_s": 0}), "deadline_s: 0"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
async def test_it_is_refused_with_field_value_and_limit(client: TritonClient, expected: Expected, what: str) -> None:
    case, text = BAD[what]
    await require_refusal(client, case, "refused", text)
    assert (await answered(client, CASES["plain"])).sha256 == expected("plain")


async def test_a_hundred_thousand_characters_are_too_many(client: TritonClient) -> None:
    case = Case({"negative": "rain " * 20_000})
    await require_refusal(client, case, "refused", "negative: '100000 characters'.*at most 20000 characters")


async def test_as_many_characters_as_are_permitted_are_drawn(client: TritonClient) -> None:
    answer = await answered(client, Case({"prompt": "rain " * 4_000, "steps": 1}))
    assert len(answer.manifests[0]["request"]["prompt"]) == 20_000


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"id": "a", "id": "b"}', b"\x00", b"\xff\xfe", b"[" * 100_000])
async def test_what_is_no_object_is_refused(client: TritonClient, text: bytes) -> None:
    with pytest.raises(RenderRefused) as refused:
        [each async for each in client.stream(SDXL, {"spec": bytes_tensor(text)}, request_id="one", timeout_s=60)]
    assert refused.value.detail.startswith("[refused] ")
