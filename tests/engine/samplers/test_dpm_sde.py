"""DPM++ SDE against diffusers' scheduler, whose noise comes from one path of Brownian motion over sigma."""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
import torch

from engine.samplers import POSSIBLE, sampler

Model = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

SHAPE = (1, 4, 8, 8)
SETTINGS: dict[str, dict[str, Any]] = {
    "normal": {},
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
    "sgm-uniform": {"timestep_spacing": "trailing"},
}


class Path:
    """Brownian motion over falling sigmas, drawn where it is first asked for."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.known: dict[float, torch.Tensor] = {}

    def __call__(self, sigma: torch.Tensor, to: torch.Tensor) -> torch.Tensor:
        start = self.known.setdefault(float(sigma), torch.zeros(SHAPE))
        last = min(self.known)
        way = (last - float(to)) ** 0.5
        self.known[float(to)] = self.known[last] + way * torch.randn(SHAPE, generator=self.generator)
        return (self.known[float(to)] - start) / (float(sigma) - float(to)) ** 0.5


@pytest.fixture
def stock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its module imports torchsde, of which nothing is used where the noise is given."""
    monkeypatch.setitem(sys.modules, "torchsde", ModuleType("torchsde"))
    return import_module("diffusers.schedulers.scheduling_dpmsolver_sde").DPMSolverSDEScheduler


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("schedule", POSSIBLE["dpmpp-sde"])
def test_it_goes_where_diffusers_goes(
    stock: Any, schedule: str, strength: float, prediction: str, config: dict[str, Any], model: Model
) -> None:
    steps, config = 10, {**config, "prediction_type": prediction}
    own = sampler("dpmpp-sde", schedule, steps, config, 5, strength)
    latent = own.noise(SHAPE)
    theirs = stock.from_config(config, **SETTINGS[schedule])
    theirs.set_timesteps(steps)
    begin = (steps - int(steps * strength)) * 2
    theirs.set_begin_index(begin)
    expected = theirs.add_noise(torch.zeros(SHAPE), latent, theirs.timesteps[begin : begin + 1])
    latent = own.noised(torch.zeros(SHAPE), latent)
    torch.testing.assert_close(latent, expected, rtol=1e-5, atol=1e-5)
    assert torch.allclose(own.timesteps, theirs.timesteps[begin:].float(), rtol=1e-5, atol=1e-3)

    generator = torch.Generator().manual_seed(5)
    torch.randn(SHAPE, generator=generator)
    theirs.noise_sampler = Path(generator)
    for i, time in enumerate(theirs.timesteps[begin:]):
        scaled = theirs.scale_model_input(expected, time)
        torch.testing.assert_close(own.scaled(latent, i), scaled, rtol=1e-4, atol=1e-4)
        expected = theirs.step(model(scaled, time), time, expected, return_dict=False)[0]
        latent = own.step(model(own.scaled(latent, i), own.timesteps[i]), i, latent)
        torch.testing.assert_close(latent, expected, rtol=1e-4, atol=1e-4)


def test_a_step_is_two_evaluations_and_the_last_one(config: dict[str, Any]) -> None:
    assert sampler("dpmpp-sde", "karras", 10, config, 0).evaluations == 19
    assert sampler("dpmpp-sde", "karras", 10, config, 0, strength=0.5).evaluations == 9


def test_half_way_what_inpainting_puts_back_is_as_noisy_as_the_latent(config: dict[str, Any]) -> None:
    own = sampler("dpmpp-sde", "karras", 10, config, 0)
    zero, noise = torch.zeros(SHAPE), own.noise(SHAPE)
    before, half, after = own.noised(zero, noise), own.renoised(zero, noise, 0), own.renoised(zero, noise, 1)
    torch.testing.assert_close(half, (before * after).sqrt() * half.sign(), rtol=1e-4, atol=1e-6)
