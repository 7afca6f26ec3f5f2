from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

Model = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@pytest.fixture(scope="session")
def config() -> dict[str, Any]:
    """The file beside SDXL's weights says this of its scheduler."""
    return {
        "_class_name": "EulerDiscreteScheduler",
        "_diffusers_version": "0.19.0.dev0",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": False,
        "interpolation_type": "linear",
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "sample_max_value": 1.0,
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
        "steps_offset": 1,
        "timestep_spacing": "leading",
        "trained_betas": None,
        "use_karras_sigmas": False,
    }


@pytest.fixture(scope="session")
def model() -> Model:
    """A model that is not linear and depends on latent and time."""
    return lambda latent, time: torch.tanh(0.7 * latent + torch.sin(time.float() / 100)) + 0.1 * latent


@pytest.fixture(scope="session")
def perfect(config: dict[str, Any]) -> Model:
    """The exact model of latents that are noise of variance 1: it predicts the noise that was added to them."""
    root = np.linspace(config["beta_start"] ** 0.5, config["beta_end"] ** 0.5, 1000)
    alphas = np.cumprod(1 - root**2)
    levels = ((1 - alphas) / alphas) ** 0.5

    def predict(latent: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        sigma = float(np.interp(float(time), np.arange(1000), levels))
        return latent * sigma / (1 + sigma**2) ** 0.5

    return predict
