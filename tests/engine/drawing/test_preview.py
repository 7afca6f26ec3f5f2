"""Previews are pictures whatever the latent holds."""

import numpy as np
import pytest
import torch

from engine.drawing.guidance import guided, rescaled
from engine.drawing.preview import BIAS, latent_rgb


@pytest.mark.parametrize("architecture", ["sdxl", "sd2", "sdxl-refiner"])
def test_a_latent_pixel_is_a_preview_pixel(architecture):
    preview = latent_rgb(torch.randn(1, 4, 12, 20), architecture)
    assert preview.shape == (12, 20, 3)
    assert preview.dtype == np.uint8


def test_an_empty_latent_has_the_colour_that_the_decoder_gives_it():
    assert np.array_equal(latent_rgb(torch.zeros(1, 4, 2, 2), "sdxl")[0, 0], np.uint8(BIAS["sdxl"]))


def test_the_first_channel_is_lightness():
    dark, light = (latent_rgb(torch.full((1, 1, 2, 2), v) * torch.eye(4)[:1].view(1, 4, 1, 1), "sdxl") for v in (-1, 1))
    assert (light.astype(int) - dark > 80).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_what_is_no_number_still_gives_a_preview(value):
    assert latent_rgb(torch.full((1, 4, 3, 3), value), "sdxl").shape == (3, 3, 3)


def test_noise_of_the_first_steps_is_scaled_down():
    noise = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    assert np.array_equal(latent_rgb(noise / noise.std(), "sdxl"), latent_rgb(14 * noise / noise.std(), "sdxl"))


def test_guidance_of_one_is_the_conditional_output():
    a, b = torch.randn(2, 1, 4, 8, 8)
    torch.testing.assert_close(guided(a, b, 1.0, 0.0), b)
    torch.testing.assert_close(guided(a, b, 0.0, 0.0), a)


def test_rescaling_fully_gives_the_contrast_of_the_conditional_output():
    a, b = torch.randn(2, 1, 4, 8, 8)
    output = guided(a, b, 9.0, 0.0)
    torch.testing.assert_close(rescaled(output, b, 1.0).std(), b.std())
    torch.testing.assert_close(rescaled(output, b, 0.0), output)
