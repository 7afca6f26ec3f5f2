"""Previews are pictures whatever the latent holds."""

import numpy as np
import pytest
import torch

from engine.drawing import steps
from engine.drawing.guidance import guided, rescaled
from engine.drawing.preview import BIAS, Preview
from engine.drawing.steps import Steps


def latent_rgb(latent, architecture):
    return Preview(latent, architecture).pixels()


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


class Late:
    """A preview that arrives when its step is over by so many."""

    arrives_after = 0

    def __init__(self, latent, _architecture):
        self.latent, self.asked = latent, 0

    @property
    def has_arrived(self):
        self.asked += 1
        return self.asked > self.arrives_after

    def pixels(self):
        return self.latent


@pytest.mark.parametrize(
    ("every", "late", "shown"),
    [
        (2, 0, {2: 2, 4: 4, 6: 6}),
        (2, 1, {3: 2, 5: 4, 7: 6}),
        (2, 9, {7: 6}),
        (1, 1, {2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 7}),
        (0, 0, {}),
    ],
)
def test_a_preview_that_is_on_its_way_comes_with_a_later_step_and_at_the_latest_with_the_last(
    monkeypatch, every, late, shown
):
    monkeypatch.setattr(steps, "Preview", Late)
    monkeypatch.setattr(Late, "arrives_after", late)
    told = []
    counted = Steps(7, every, "sdxl", told.append)
    for number in range(1, 8):
        counted.taken(number)
    assert [each.step for each in told] == list(range(1, 8))
    assert {each.step: each.latent_rgb for each in told if each.latent_rgb is not None} == shown


def test_guidance_of_one_is_the_conditional_output():
    a, b = torch.randn(2, 1, 4, 8, 8)
    torch.testing.assert_close(guided(a, b, 1.0, 0.0), b)
    torch.testing.assert_close(guided(a, b, 0.0, 0.0), a)


def test_rescaling_fully_gives_the_contrast_of_the_conditional_output():
    a, b = torch.randn(2, 1, 4, 8, 8)
    output = guided(a, b, 9.0, 0.0)
    torch.testing.assert_close(rescaled(output, b, 1.0).std(), b.std())
    torch.testing.assert_close(rescaled(output, b, 0.0), output)
