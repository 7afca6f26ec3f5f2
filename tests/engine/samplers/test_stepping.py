import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engine.samplers import POSSIBLE, Sampler, sampler

Model = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

EVERY = [(name, schedule) for name, schedules in POSSIBLE.items() for schedule in schedules]
SHAPE = (1, 4, 8, 8)
TWELVE = [EVERY[(5 * i) % len(EVERY)] for i in range(12)]


def begun(own: Sampler) -> torch.Tensor:
    return own.noise(SHAPE) * own.init_noise_sigma


def stepped(own: Sampler, i: int, latent: torch.Tensor, model: Model) -> torch.Tensor:
    return own.step(model(own.scaled(latent, i), own.timesteps[i]), i, latent)


def drawn(own: Sampler, latent: torch.Tensor, model: Model) -> torch.Tensor:
    for i in range(own.evaluations):
        latent = stepped(own, i, latent, model)
    return latent


def bytes_of(latent: torch.Tensor) -> bytes:
    return latent.numpy().tobytes()


def test_twelve_in_shuffled_turns_give_the_bytes_of_each_alone(config: dict[str, Any], model: Model) -> None:
    def made() -> list[Sampler]:
        return [sampler(name, schedule, 6 + k, config, 100 + k) for k, (name, schedule) in enumerate(TWELVE)]

    alone = [bytes_of(drawn(own, begun(own), model)) for own in made()]
    company = made()
    latents = [begun(own) for own in company]
    turns = [k for k, own in enumerate(company) for _ in range(own.evaluations)]
    random.Random(3).shuffle(turns)
    taken = [0] * len(company)
    for turn in turns:
        torch.manual_seed(turn)
        torch.randn(turn + 1)
        latents[turn] = stepped(company[turn], taken[turn], latents[turn], model)
        taken[turn] += 1
    assert [bytes_of(latent) for latent in latents] == alone


@pytest.mark.parametrize(("name", "schedule"), EVERY)
def test_the_global_generator_is_left_alone(name: str, schedule: str, config: dict[str, Any], model: Model) -> None:
    before = torch.get_rng_state()
    own = sampler(name, schedule, 4, config, 0)
    drawn(own, begun(own), model)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("name", "schedule"), EVERY)
def test_the_seed_decides(name: str, schedule: str, config: dict[str, Any], model: Model) -> None:
    pictures = []
    for seed in (1, 1, 2**32 - 1):
        own = sampler(name, schedule, 4, config, seed)
        pictures.append(bytes_of(drawn(own, begun(own), model)))
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize(("name", "schedule"), [each for each in EVERY if each[0] != "lcm"])
def test_a_perfect_model_gives_latents_of_the_right_variance(
    name: str, schedule: str, config: dict[str, Any], perfect: Model
) -> None:
    own = sampler(name, schedule, 120, config, 11)
    latent = drawn(own, own.noise((1, 4, 32, 32)) * own.init_noise_sigma, perfect)
    assert abs(float(latent.std()) - 1) < 0.06


@pytest.mark.parametrize(("name", "schedule"), EVERY)
def test_the_fewest_steps_give_finite_latents(name: str, schedule: str, config: dict[str, Any], model: Model) -> None:
    for steps in (1, 2, 3):
        own = sampler(name, schedule, steps, config, 0)
        assert bool(drawn(own, begun(own), model).isfinite().all())


class Crossings(TorchDispatchMode):
    """Counts what is copied from the CPU to the latent's device; reading from a meta tensor is an error of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and str(kwargs.get("device")) == "meta":
            self.copies += 1
        return func(*args, **kwargs)


@pytest.mark.parametrize(("name", "schedule"), EVERY)
def test_a_step_waits_for_the_latents_device_only_where_it_brings_noise(
    name: str, schedule: str, config: dict[str, Any]
) -> None:
    own = sampler(name, schedule, 6, config, 0)
    latent = torch.empty(SHAPE, device="meta")
    copies = []
    for i in range(own.evaluations):
        own.scaled(latent, i)
        with Crossings() as crossings:
            latent = own.step(latent, i, latent)
        copies.append(crossings.copies)
    draws = name in ("euler-ancestral", "dpmpp-2m-sde", "dpmpp-sde", "lcm")
    assert max(copies) == (1 if draws else 0)


def test_half_precision_output_is_stepped_in_float32(config: dict[str, Any]) -> None:
    own, same = (sampler("dpmpp-2m", "karras", 5, config, 0) for _ in range(2))
    latent = begun(own)
    output = torch.ones(SHAPE, dtype=torch.bfloat16) / 3
    stepped = own.step(output, 0, latent)
    assert stepped.dtype == torch.float32
    assert torch.equal(stepped, same.step(output.float(), 0, latent))


def test_the_hash_tells_schedules_steps_and_strengths_apart(config: dict[str, Any]) -> None:
    every = {
        sampler("dpmpp-2m", schedule, steps, config, 0, strength).sigmas_sha256
        for schedule in POSSIBLE["dpmpp-2m"]
        for steps in (20, 21)
        for strength in (1.0, 0.5)
    }
    assert len(every) == 4 * len(POSSIBLE["dpmpp-2m"])


def test_the_hash_does_not_depend_on_the_seed(config: dict[str, Any]) -> None:
    assert len({sampler("heun", "karras", 20, config, seed).sigmas_sha256 for seed in range(3)}) == 1


def test_an_evaluation_out_of_turn_is_a_fault(config: dict[str, Any]) -> None:
    own = sampler("euler", "normal", 5, config, 0)
    latent = begun(own)
    own.step(latent, 0, latent)
    with pytest.raises(ValueError, match="evaluation 0 was asked for after 1"):
        own.step(latent, 0, latent)


def test_heun_counts_evaluations_not_sigmas(config: dict[str, Any]) -> None:
    assert sampler("heun", "karras", 20, config, 0).evaluations == 39
