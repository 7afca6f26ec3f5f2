"""Every sampler goes where diffusers' own scheduler goes, driven as diffusers' own pipelines drive it."""

import inspect
from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch

from engine.samplers import POSSIBLE, Sampler, sampler

Model = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

STOCK: dict[str, tuple[Any, dict[str, Any]]] = {
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler-ancestral": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "heun": (diffusers.HeunDiscreteScheduler, {}),
    "dpmpp-2m": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "dpmpp-2m-sde": (diffusers.DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "ddim": (diffusers.DDIMScheduler, {}),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "lcm": (diffusers.LCMScheduler, {}),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "normal": {},
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
    "sgm-uniform": {"timestep_spacing": "trailing"},
}
BOTH = [(name, schedule) for name in STOCK for schedule in POSSIBLE[name]]
SHAPE = (1, 4, 8, 8)


def stock(name: str, schedule: str, steps: int, config: dict[str, Any]) -> Any:
    kind, settings = STOCK[name]
    made = kind.from_config(config, **settings, **SETTINGS[schedule])
    made.set_timesteps(steps)
    return made


def stock_timesteps(scheduler: Any, steps: int, strength: float) -> torch.Tensor:
    begin = max(steps - min(int(steps * strength), steps), 0) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    return scheduler.timesteps[begin:]


def stock_steps(
    scheduler: Any, times: torch.Tensor, latent: torch.Tensor, generator: torch.Generator, model: Model
) -> list[torch.Tensor]:
    extra = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    path = []
    for time in times:
        output = model(scheduler.scale_model_input(latent, time), time)
        latent = scheduler.step(output, time, latent, **extra, return_dict=False)[0]
        path.append(latent)
    return path


def own_steps(own: Sampler, latent: torch.Tensor, model: Model) -> list[torch.Tensor]:
    path = []
    for i in range(own.evaluations):
        latent = own.step(model(own.scaled(latent, i), own.timesteps[i]), i, latent)
        path.append(latent)
    return path


def assert_same(own: list[torch.Tensor], stock: list[torch.Tensor]) -> None:
    assert len(own) == len(stock)
    for i, (mine, theirs) in enumerate(zip(own, stock, strict=True)):
        assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-5), f"evaluation {i}"


@pytest.mark.parametrize("steps", [1, 7, 20])
@pytest.mark.parametrize(("name", "schedule"), BOTH)
def test_from_noise_alone(name: str, schedule: str, steps: int, config: dict[str, Any], model: Model) -> None:
    theirs = stock(name, schedule, steps, config)
    generator = torch.Generator().manual_seed(7)
    start = torch.randn(SHAPE, generator=generator) * theirs.init_noise_sigma
    expected = stock_steps(theirs, theirs.timesteps, start, generator, model)

    own = sampler(name, schedule, steps, config, 7)
    assert torch.equal(own.timesteps, theirs.timesteps.float())
    assert_same(own_steps(own, own.noise(SHAPE) * own.init_noise_sigma, model), expected)


@pytest.mark.parametrize("strength", [0.35, 0.6, 1.0])
@pytest.mark.parametrize(("name", "schedule"), BOTH)
def test_from_a_picture(name: str, schedule: str, strength: float, config: dict[str, Any], model: Model) -> None:
    picture = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    theirs = stock(name, schedule, 20, config)
    times = stock_timesteps(theirs, 20, strength)
    generator = torch.Generator().manual_seed(7)
    start = theirs.add_noise(picture, torch.randn(SHAPE, generator=generator), times[:1])
    expected = stock_steps(theirs, times, start, generator, model)

    own = sampler(name, schedule, 20, config, 7, strength)
    begun = own.noised(picture, own.noise(SHAPE))
    assert torch.allclose(begun, start, rtol=1e-6, atol=1e-6)
    assert_same(own_steps(own, begun, model), expected)


@pytest.mark.parametrize(("name", "schedule"), BOTH)
def test_what_inpainting_puts_back(name: str, schedule: str, config: dict[str, Any], model: Model) -> None:
    picture = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    theirs = stock(name, schedule, 12, config)
    times = stock_timesteps(theirs, 12, 0.75)
    own = sampler(name, schedule, 12, config, 7, 0.75)
    noise = own.noise(SHAPE)
    latent = own.noised(picture, noise)
    extra = {"generator": torch.Generator()} if "generator" in inspect.signature(theirs.step).parameters else {}
    for i, time in enumerate(times):
        output = model(theirs.scale_model_input(latent, time), time)
        theirs.step(output, time, latent, **extra, return_dict=False)
        expected = picture if i + 1 == len(times) else theirs.add_noise(picture, noise, times[i + 1 : i + 2])
        assert torch.allclose(own.renoised(picture, noise, i), expected, rtol=1e-6, atol=1e-6), f"evaluation {i}"


@pytest.mark.parametrize("name", ["euler", "dpmpp-2m", "ddim", "unipc", "lcm"])
def test_a_checkpoint_that_predicts_velocity(name: str, config: dict[str, Any], model: Model) -> None:
    velocity = {**config, "prediction_type": "v_prediction", "rescale_betas_zero_snr": name != "lcm"}
    theirs = stock(name, "normal", 10, velocity)
    generator = torch.Generator().manual_seed(7)
    start = torch.randn(SHAPE, generator=generator) * theirs.init_noise_sigma
    expected = stock_steps(theirs, theirs.timesteps, start, generator, model)
    own = sampler(name, "normal", 10, velocity, 7)
    assert_same(own_steps(own, own.noise(SHAPE) * own.init_noise_sigma, model), expected)


@pytest.mark.parametrize(("name", "schedule"), BOTH)
def test_defaults_that_another_class_filled_in_do_not_count(
    name: str, schedule: str, config: dict[str, Any], model: Model
) -> None:
    loaded = diffusers.DDIMScheduler.from_config(config).config
    own, same = sampler(name, schedule, 9, loaded, 7), sampler(name, schedule, 9, config, 7)
    assert own.sigmas_sha256 == same.sigmas_sha256


def test_a_latent_is_never_clipped_like_pixels(config: dict[str, Any], model: Model) -> None:
    bare = {key: value for key, value in config.items() if key not in ("clip_sample", "set_alpha_to_one")}
    own, same = sampler("ddim", None, 5, bare, 7), sampler("ddim", None, 5, config, 7)
    start = 3 * own.noise(SHAPE)
    assert torch.equal(own_steps(own, start, model)[-1], own_steps(same, start, model)[-1])
