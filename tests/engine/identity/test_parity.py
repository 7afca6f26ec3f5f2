"""What is drawn with references is what diffusers' own pipeline draws with the same adapter, pictures and masks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from diffusers.image_processor import IPAdapterMaskProcessor
from PIL import Image
from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

from engine.identity import Identities, Identity, install
from engine.identity.pictures import squared
from engine.request import Reference, RenderRequest

FILE = "ip-adapter-plus-face_sdxl_vit-h.safetensors"
SIDE = 32


@pytest.fixture
def stock(tiny_folder, adapter_folder):
    """Diffusers' pipeline with the adapter loaded."""
    pipeline = StableDiffusionXLPipeline.from_pretrained(
        tiny_folder,
        image_encoder=CLIPVisionModelWithProjection.from_pretrained(adapter_folder / "encoder"),
        feature_extractor=CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size=224),
        local_files_only=True,
    )
    pipeline.load_ip_adapter(str(adapter_folder), subfolder="face", weight_name=FILE, image_encoder_folder=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def drawn(pipeline, guidance, **people):
    return pipeline(
        "two people in a kitchen",
        negative_prompt="blurred",
        num_inference_steps=3,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(1),
        width=8 * SIDE,
        height=8 * SIDE,
        output_type="latent",
        **people,
    ).images


def drawn_by_stock(pipeline, pictures, masks, guidance):
    pictured = [Image.fromarray(each) for each in masks or []]
    prepared = IPAdapterMaskProcessor().preprocess(pictured, 256, 256).reshape(1, -1, 256, 256) if masks else None
    return drawn(
        pipeline,
        guidance,
        ip_adapter_image=[[Image.fromarray(squared(each)) for each in pictures]],
        cross_attention_kwargs={"ip_adapter_masks": [prepared]} if masks else None,
    )


def drawn_by_engine(checkpoint, pipeline, identity, guidance):
    """The same pipeline without its adapter, with our attention: only attention differs."""
    pipeline.unet = checkpoint.unet
    install(checkpoint.unet)
    people = Identity.batch([identity], 1, guidance > 1, SIDE, SIDE)
    return drawn(pipeline, guidance, cross_attention_kwargs=people)


def compared(stock, checkpoint, shelf, pictures, masks, scales, guidance):
    marked = masks or [None] * len(pictures)
    stock.set_ip_adapter_scale([scales] if masks else scales[0])
    wanted = drawn_by_stock(stock, pictures, masks, guidance)
    references = tuple(
        Reference(number, scale, None if mask is None else number, "face")
        for number, (scale, mask) in enumerate(zip(scales, marked, strict=True))
    )
    request = RenderRequest("1", "tiny", "", references=references)
    identity = Identities(shelf, 1 << 30).of(checkpoint, request, pictures, masks or [])
    got = drawn_by_engine(checkpoint, stock, identity, guidance)
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)
    return got


@pytest.mark.parametrize("guidance", [7.5, 1.0])
def test_one_person(stock, checkpoint, shelf, people, guidance):
    got = compared(stock, checkpoint, shelf, people[:1], None, [0.6], guidance)
    plain = drawn_by_engine(checkpoint, stock, Identities(shelf, 0).empty(checkpoint), guidance)
    assert (got - plain).abs().mean() > 1e-2


def test_one_person_inside_a_mask(stock, checkpoint, shelf, people, halves):
    compared(stock, checkpoint, shelf, people[:1], halves[:1], [0.7], 5.0)


def test_two_people_each_inside_a_mask(stock, checkpoint, shelf, people, halves):
    compared(stock, checkpoint, shelf, people[:2], list(halves), [0.7, 0.4], 5.0)


def test_three_people_whose_masks_overlap(stock, checkpoint, shelf, people, halves):
    third = np.zeros((256, 256), np.uint8)
    third[80:200, 50:220] = 255
    compared(stock, checkpoint, shelf, people, [*halves, third], [0.7, 0.4, 1.0], 5.0)


def test_in_half_precision_the_error_is_no_larger_than_diffusers(stock, checkpoint, shelf, people, halves):
    """Both in bfloat16 against float32, one evaluation of the denoiser with random inputs of one seed."""
    scales, masks = [0.7, 0.4], list(halves)
    stock.set_ip_adapter_scale([scales])
    references = tuple(Reference(number, scale, number, "face") for number, scale in enumerate(scales))
    request = RenderRequest("1", "tiny", "", references=references)

    def by_stock(dtype):
        stock.to(dtype=dtype)
        shown = [Image.fromarray(squared(each)) for each in people[:2]]
        embeds = stock.prepare_ip_adapter_image_embeds([shown], None, torch.device("cpu"), 1, True)
        drawn = IPAdapterMaskProcessor().preprocess([Image.fromarray(each) for each in masks], 256, 256)
        kwargs = {"ip_adapter_masks": [drawn.reshape(1, -1, 256, 256)]}
        return evaluated(stock.unet, dtype, kwargs, {"image_embeds": embeds})

    def by_engine(dtype):
        mine = replace(checkpoint, unet=checkpoint.unet.to(dtype), dtype=dtype)
        install(mine.unet)
        identity = Identities(shelf, 1 << 30).of(mine, request, people[:2], masks)
        return evaluated(mine.unet, dtype, Identity.batch([identity], 1, True, SIDE, SIDE), {})

    exact = by_engine(torch.float32)
    torch.testing.assert_close(exact, by_stock(torch.float32), atol=1e-4, rtol=1e-4)
    errors = [(drawn - exact).square().mean().sqrt() for drawn in (by_engine(torch.bfloat16), by_stock(torch.bfloat16))]
    assert 0 < errors[0] <= 1.1 * errors[1]


@torch.no_grad()
def evaluated(unet, dtype, kwargs, more):
    made = torch.Generator().manual_seed(3)
    sample, text = torch.randn(2, 4, SIDE, SIDE, generator=made), torch.randn(2, 77, 56, generator=made)
    pooled = torch.randn(2, 40, generator=made).to(dtype)
    added = {"text_embeds": pooled, "time_ids": torch.full((2, 6), 256.0, dtype=dtype), **more}
    return unet(
        sample.to(dtype),
        500.0,
        text.to(dtype),
        added_cond_kwargs=added,
        cross_attention_kwargs=kwargs,
        return_dict=False,
    )[0].float()
