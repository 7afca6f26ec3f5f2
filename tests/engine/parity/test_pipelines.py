"""Tiny weights draw noise, so a wrong engine could pass for a right one: here it draws what diffusers' pipelines draw.

Float32 on the CPU; a decoded picture, 0..1, is compared before it is rounded to bytes. The engine's batch has eight
rows where the pipelines' has two, so the last digits of the products differ.
"""

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    UniPCMultistepScheduler,
)
from diffusers.image_processor import IPAdapterMaskProcessor
from PIL import Image

from engine.device import CpuDevice
from engine.drawing import request as drawing_request
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.identity.pictures import squared
from engine.models.memory import Models
from engine.preparation import Prepared
from engine.request import LayoutGuide, LoraUse, Reference, RenderRequest
from engine.samplers.schedulers import scheduler as own_scheduler
from engine.shapes import ShapeClass
from engine.text import encode, tokenise

TOLERANCE = 1e-4
SIDE_PX = 128
STEPS = 5
STOCK = {
    ("euler", "normal"): (EulerDiscreteScheduler, {}),
    ("euler", "karras"): (EulerDiscreteScheduler, {"use_karras_sigmas": True}),
    ("euler-ancestral", "normal"): (EulerAncestralDiscreteScheduler, {}),
    ("heun", "normal"): (HeunDiscreteScheduler, {}),
    ("dpmpp-2m", "karras"): (DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    ("dpmpp-2m", "normal"): (DPMSolverMultistepScheduler, {"euler_at_final": True}),
    ("dpmpp-2m-sde", "karras"): (
        DPMSolverMultistepScheduler,
        {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True},
    ),
    ("dpmpp-sde", "karras"): None,  # diffusers' own draws noise that no seed decides
    ("ddim", "normal"): (DDIMScheduler, {"clip_sample": False, "set_alpha_to_one": False}),
    ("unipc", "normal"): (UniPCMultistepScheduler, {}),
    ("lcm", "normal"): (LCMScheduler, {"clip_sample": False, "set_alpha_to_one": False}),
}
WAYS = {
    "text to image": {},
    "no guidance": {"guidance": 1.0},
    "rescale": {"rescale": 0.7},
    "clip skip": {"clip_skip": 1},
    "long prompts": {"prompt": "a harbour at dawn, gulls, nets, " * 20, "negative": "people"},
    "image to image": {"image": True, "strength": 0.61},
    "inpainting": {"image": True, "mask": True, "strength": 0.61},
    "inpainting from noise": {"image": True, "mask": True, "strength": 1.0},
    "inpainting without guidance": {"image": True, "mask": True, "strength": 0.61, "guidance": 1.0},
    "LoRA": {"loras": (LoraUse("tiny-lora", 0.8),)},
    "two people in masks": {
        "references": tuple(Reference(i, scale, i, "tiny-ip-adapter") for i, scale in enumerate((0.7, 0.4)))
    },
    "ControlNet": {"layout": LayoutGuide("tiny-controlnet", 0.7)},
}


@pytest.fixture
def pictures():
    generator = np.random.default_rng(7)
    image, other = (
        np.kron(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8)) for _ in "ab"
    )
    mask, left = np.zeros((2, SIDE_PX, SIDE_PX), np.uint8)
    mask[16:72, 40:120] = 255
    left[:, : SIDE_PX // 2] = 255
    people = {"references": [image, other], "reference_masks": [left, 255 - left]}
    return {"image": image, "mask": mask, "layout": image, **people}


@pytest.fixture(scope="session")
def models(tiny_catalogue):
    return Models(tiny_catalogue, torch.device("cpu"), torch.float32, budget_bytes=1 << 30)


@pytest.fixture(scope="session")
def drawer(models):
    return Drawer(models, models.catalogue, CpuDevice(1))


@pytest.fixture
def drawn(drawer, models, monkeypatch):
    """Draws a request with the engine; gives the decoded picture (1, 3, h, w), 0..1."""
    decoded = []
    rounded = drawing_request.pixels_of
    monkeypatch.setattr(drawing_request, "pixels_of", lambda each: decoded.append(each) or rounded(each))

    def draw(request, **shown):
        tokens = tokenise(request.prompt, request.negative, models.checkpoint("sdxl-tiny").tokenizers)
        shape = ShapeClass(
            "sdxl", SIDE_PX, SIDE_PX, request.guidance > 1, tokens.chunks,
            reference_slots=4 if request.references else 0, control=request.layout is not None,
            inpaint=request.has_mask,
        )  # fmt: skip
        reference_loop(drawer, Prepared(**shown, request=request, tokens=tokens, shape=shape))
        return (decoded.pop() / 2 + 0.5).clamp(0, 1)

    return draw


def stock(pipelines, models, request, denoising_end=None, output_type="pt", **shown):
    """The same from diffusers."""
    pipeline = pipelines[_kind(request)]
    pipeline.scheduler = _scheduler(request, models.checkpoint("sdxl-tiny").scheduler_config)
    asked = {"num_inference_steps": request.steps, "guidance_scale": request.guidance}
    asked |= {"generator": torch.Generator().manual_seed(request.seed), "output_type": output_type}
    asked |= {"denoising_end": denoising_end} if denoising_end else {}
    asked |= {"guidance_rescale": request.rescale} if request.rescale else {}
    asked |= _words(request, models) | _shown(request, **shown)
    return pipeline(**asked).images


def _kind(request):
    special = {"lora": request.loras, "people": request.references, "layout": request.layout}
    starts = {"mask": request.has_mask, "image": request.has_image, "text": True}
    return next(name for name, there in (special | starts).items() if there)


def _scheduler(request, config):
    kind = STOCK[request.sampler, request.schedule]
    if kind is None:
        return own_scheduler(request.sampler, request.schedule, request.steps, config)
    return kind[0].from_config(dict(config), **kind[1])


def _words(request, models):
    if len(request.prompt) < 200:
        words = {"prompt": request.prompt, "negative_prompt": request.negative or None}
        return words | {"clip_skip": request.clip_skip or None}
    checkpoint = models.checkpoint("sdxl-tiny")
    text = encode(checkpoint, tokenise(request.prompt, request.negative, checkpoint.tokenizers))
    embeds = {"prompt_embeds": text.prompt, "negative_prompt_embeds": text.negative}
    return embeds | {"pooled_prompt_embeds": text.pooled, "negative_pooled_prompt_embeds": text.negative_pooled}


def _shown(request, image=None, mask=None, layout=None, references=(), reference_masks=()):
    size = {"height": SIDE_PX, "width": SIDE_PX}
    if request.layout:
        return size | {"image": Image.fromarray(layout), "controlnet_conditioning_scale": request.layout.scale}
    if request.references:
        masks = IPAdapterMaskProcessor().preprocess(
            [Image.fromarray(each) for each in reference_masks], SIDE_PX, SIDE_PX
        )
        kwargs = {"ip_adapter_masks": [masks.reshape(1, -1, SIDE_PX, SIDE_PX)]}
        people = [[Image.fromarray(squared(each)) for each in references]]
        return size | {"ip_adapter_image": people, "cross_attention_kwargs": kwargs}
    if image is None:
        return size
    start = {"image": torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0, "strength": request.strength}
    return start if mask is None else start | size | {"mask_image": torch.from_numpy(mask)[None, None] / 255.0}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("sampler", "schedule"), STOCK)
def test_the_engine_draws_what_diffusers_draws(drawn, pipelines, models, pictures, sampler, schedule, way):
    asked = {name: value for name, value in WAYS[way].items() if value is not True}
    shown = {name: pictures[name] for name in ("image", "mask", "layout", "references") if name in WAYS[way]}
    shown |= {"reference_masks": pictures["reference_masks"]} if "references" in shown else {}
    told = {"prompt": "a lighthouse in a storm", "guidance": 5.0, "seed": 17} | asked
    request = RenderRequest(
        id="r", checkpoint="sdxl-tiny", steps=STEPS, sampler=sampler, schedule=schedule, preview_every=0,
        width_px=SIDE_PX, height_px=SIDE_PX, has_image="image" in shown, has_mask="mask" in shown, **told,
    )  # fmt: skip
    ours, theirs = drawn(request, **shown), stock(pipelines, models, request, **shown)
    assert float(theirs.std()) > 0.02
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("way", ["text to image", "no guidance", "image to image"])
@pytest.mark.parametrize(("sampler", "schedule"), [("euler", "normal"), ("ddim", "normal")])
def test_the_last_fifth_is_what_the_refiner_makes_of_it(drawn, pipelines, models, pictures, sampler, schedule, way):
    told = {"sampler": sampler, "schedule": schedule, "steps": 10, "seed": 3, "refiner": "tiny-refiner"}
    told |= {"width_px": SIDE_PX, "height_px": SIDE_PX, "preview_every": 0, "negative": "people", "guidance": 5.0}
    shown = {"image": pictures["image"]} if "image" in WAYS[way] else {}
    told |= {name: value for name, value in WAYS[way].items() if value is not True}
    request = RenderRequest(id="r", checkpoint="sdxl-tiny", prompt="a pier", has_image=bool(shown), **told)
    latents = stock(pipelines, models, request, **shown, denoising_end=0.8, output_type="latent")
    refiner = pipelines["refiner"]
    refiner.scheduler = _scheduler(request, models.checkpoint("sdxl-tiny").scheduler_config)
    theirs = refiner(
        "a pier", negative_prompt="people", image=latents, num_inference_steps=10, denoising_start=0.8,
        guidance_scale=request.guidance, output_type="pt",
    ).images  # fmt: skip
    torch.testing.assert_close(drawn(request, **shown), theirs, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("guidance", [1.0, 6.0])
@pytest.mark.parametrize(("sampler", "schedule"), [("euler-ancestral", "sgm-uniform"), ("dpmpp-2m", "karras")])
def test_the_older_architecture_is_drawn_as_well(drawn, pipelines, models, sampler, schedule, guidance):
    request = RenderRequest(
        id="r", checkpoint="tiny-sd2", prompt="a pier", negative="people", sampler=sampler, schedule=schedule,
        steps=4, seed=3, guidance=guidance, width_px=SIDE_PX, height_px=SIDE_PX, preview_every=0,
    )  # fmt: skip
    pipeline = pipelines["sd2"]
    config = models.checkpoint("tiny-sd2").scheduler_config
    pipeline.scheduler = own_scheduler(sampler, schedule, 4, config)
    theirs = pipeline(
        "a pier", negative_prompt="people", num_inference_steps=4, guidance_scale=guidance, height=SIDE_PX,
        width=SIDE_PX, generator=torch.Generator().manual_seed(3), output_type="pt",
    ).images  # fmt: skip
    torch.testing.assert_close(drawn(request), theirs, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("change", [{"seed": 18}, {"guidance": 5.5}, {"steps": STEPS + 1}, {"prompt": "a lighthouse"}])
def test_what_differs_would_be_seen(drawn, pipelines, models, change):
    asked = {"id": "r", "checkpoint": "sdxl-tiny", "prompt": "a lighthouse in a storm", "guidance": 5.0, "seed": 17}
    asked |= {"sampler": "euler", "schedule": "normal", "width_px": SIDE_PX, "height_px": SIDE_PX, "steps": STEPS}
    ours = drawn(RenderRequest(**asked, preview_every=0))
    theirs = stock(pipelines, models, RenderRequest(**asked | change))
    assert float((ours - theirs).abs().max()) > 10 * TOLERANCE
