"""Latents are scaled as their checkpoint says: by one number, or by channel as well."""

import copy
from dataclasses import replace

import pytest
import torch

from engine.drawing.autoencoder import decode, drawn_from, encode

MEAN, STD = [0.3, -0.2, 0.1, 0.0], [0.5, 2.0, 1.0, 0.8]


@pytest.fixture
def scaling(tiny):
    """A checkpoint whose autoencoder has a mean and a deviation for each channel."""
    vae = copy.deepcopy(tiny.vae)
    vae.register_to_config(latents_mean=MEAN, latents_std=STD)
    return replace(tiny, vae=vae)


@pytest.fixture
def columns():
    return (torch.tensor(each).view(1, -1, 1, 1) for each in (MEAN, STD))


def test_a_latent_is_decoded_as_diffusers_pipelines_do(tiny, scaling, columns):
    latent = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    scale, (mean, std) = tiny.vae.config.scaling_factor, columns
    with torch.no_grad():
        assert torch.equal(decode(tiny, latent), tiny.vae.decode(latent / scale).sample)
        assert torch.equal(decode(scaling, latent), tiny.vae.decode(latent * std / scale + mean).sample)


def test_a_picture_is_encoded_the_other_way_round(tiny, scaling, columns):
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    scale, (mean, std) = tiny.vae.config.scaling_factor, columns
    with torch.no_grad():
        moments = encode(tiny, picture)
        plain, scaled = (drawn_from(each, moments, torch.Generator().manual_seed(3)) for each in (tiny, scaling))
    torch.testing.assert_close(scaled, (plain / scale - mean) * scale / std)
