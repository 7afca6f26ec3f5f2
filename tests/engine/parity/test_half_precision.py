"""Nothing is lost beyond what half precision loses: the error against float32 is no larger than that of diffusers.

Text encoders, denoiser and autoencoder are all in bfloat16 on both sides; latents between steps only in the pipeline.
"""

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, StableDiffusionXLPipeline

from engine.device import CpuDevice
from engine.drawing import request as drawing_request
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.models.memory import Models
from engine.preparation import Prepared
from engine.request import RenderRequest
from engine.shapes import ShapeClass
from engine.text import tokenise

SIDE_PX = 128
STEPS = 12
SEEDS = range(4)


@pytest.fixture(scope="module")
def halved(tiny_catalogue):
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        tiny_catalogue.entry("sdxl-tiny").path, use_safetensors=True, local_files_only=True, dtype=torch.bfloat16
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def drawn(tiny_catalogue, monkeypatch):
    decoded = []
    rounded = drawing_request.pixels_of
    monkeypatch.setattr(drawing_request, "pixels_of", lambda each: decoded.append(each) or rounded(each))

    def draw(dtype, **told):
        models = Models(tiny_catalogue, torch.device("cpu"), dtype, budget_bytes=1 << 30)
        drawer = Drawer(models, tiny_catalogue, CpuDevice(1))
        checkpoint = models.checkpoint("sdxl-tiny")
        assert checkpoint.unet.dtype == checkpoint.vae.dtype == dtype, "the autoencoder too, as on a GPU"
        tokens = tokenise("a pier at night", "", checkpoint.tokenizers)
        for seed in SEEDS:
            request = RenderRequest(
                "r", "sdxl-tiny", "a pier at night", steps=STEPS, seed=seed, preview_every=0, **told
            )
            shape = ShapeClass("sdxl", SIDE_PX, SIDE_PX, guided=True, chunks=1)
            reference_loop(drawer, Prepared(request=request, tokens=tokens, shape=shape))
        drawn = torch.cat([(each.float() / 2 + 0.5).clamp(0, 1) for each in decoded])
        decoded.clear()
        return drawn

    return draw


def by_diffusers(pipeline, guidance):
    images = []
    for seed in SEEDS:
        noise = torch.randn(1, 4, SIDE_PX // 8, SIDE_PX // 8, generator=torch.Generator().manual_seed(seed))
        images.append(
            pipeline(
                "a pier at night", num_inference_steps=STEPS, guidance_scale=guidance, height=SIDE_PX, width=SIDE_PX,
                latents=noise.to(torch.bfloat16), output_type="pt",
            ).images.float()
        )  # fmt: skip
    return torch.cat(images)


@pytest.mark.parametrize(
    ("sampler", "schedule", "kind", "settings"),
    [
        ("euler", "normal", EulerDiscreteScheduler, {}),
        ("dpmpp-2m", "karras", DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    ],
)
def test_the_error_is_no_larger_than_diffusers(drawn, halved, tiny, sampler, schedule, kind, settings):
    told = {"sampler": sampler, "schedule": schedule, "guidance": 6.0}
    exact, ours = drawn(torch.float32, **told), drawn(torch.bfloat16, **told)
    halved.scheduler = kind.from_config(dict(tiny.scheduler_config), **settings)
    theirs = by_diffusers(halved, 6.0)
    errors = [float((each - exact).square().mean().sqrt()) for each in (ours, theirs)]
    assert 0 < errors[0] <= 1.1 * errors[1], np.round(errors, 5)
