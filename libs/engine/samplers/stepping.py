"""A sampler: one image's own scheduler and own noise, stepped evaluation by evaluation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import torch

from engine.samplers.names import chosen
from engine.samplers.schedulers import scheduler
from engine.samplers.strength import steps_taken

__all__ = ["Sampler", "sampler"]


def sampler(  # noqa: PLR0917 - the order of what a request says
    name: str, schedule: str | None, steps: int, config: Mapping[str, Any], seed: int, strength: float = 1.0
) -> Sampler:
    """Return a sampler that shares nothing with any other.

    ``name`` and ``schedule`` are usual names (see ``names``), ``config`` is that of the checkpoint's own scheduler,
    ``seed`` 0 to 2**32 - 1. ``strength`` leaves out the first steps, see ``steps_taken``. Raises ``Refused``.
    """
    own = scheduler(*chosen(name, schedule), steps, config)
    return Sampler(own, (steps - steps_taken(steps, strength)) * own.order, seed)


class Sampler:
    """Steps the latent of one image; a step is one evaluation of the model, of which Heun takes two per sigma.

    Latents are (1, C, h, w) and float32 on any device; levels of noise are float32 scalars on the CPU.
    ``timesteps`` is float32 of shape (evaluations,). ``init_noise_sigma`` is what unit noise is multiplied by to start
    from. ``generator`` is of the CPU: whoever draws more from it (an encoded picture) does so before ``noise``, in
    the order in which diffusers' pipelines ask.
    """

    def __init__(self, scheduler: Any, begin: int, seed: int) -> None:
        """Begin at this index of the scheduler's timesteps."""
        self._scheduler = scheduler
        self._times = scheduler.timesteps[begin:]
        self._mixtures = _mixtures(scheduler, begin)
        self._taken = 0
        self.generator = torch.Generator("cpu").manual_seed(seed)
        self._extra = {"generator": self.generator} if _draws(scheduler) else {}
        self.timesteps = self._times.to(torch.float32)
        self.evaluations = len(self._times)
        self.init_noise_sigma = float(scheduler.init_noise_sigma)
        self.sigmas_sha256 = _digest(_sigmas(scheduler)[begin:], self.timesteps)

    def noise(self, shape: Sequence[int]) -> torch.Tensor:
        """Draw unit noise, float32 on the CPU."""
        return torch.randn(tuple(shape), generator=self.generator, dtype=torch.float32)

    def noised(self, latent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return a picture's latent with as much noise as the first evaluation takes away from."""
        return self._mixed(latent, noise, 0)

    def renoised(self, latent: torch.Tensor, noise: torch.Tensor, i: int) -> torch.Tensor:
        """Return a picture's latent as noisy as what evaluation ``i`` has left; after the last, without noise."""
        return latent.float() if i + 1 == self.evaluations else self._mixed(latent, noise, i + 1)

    def scaled(self, latent: torch.Tensor, i: int) -> torch.Tensor:
        """Return what the model takes in at evaluation ``i``."""
        self._require_turn(i)
        scaled: torch.Tensor = self._scheduler.scale_model_input(latent.float(), self._times[i])
        return scaled

    def step(self, output: torch.Tensor, i: int, latent: torch.Tensor) -> torch.Tensor:
        """Return the latent after evaluation ``i`` of which the model gave ``output``; each is taken once, in order."""
        self._require_turn(i)
        self._taken += 1
        stepped = self._scheduler.step(output.float(), self._times[i], latent.float(), **self._extra, return_dict=False)
        after: torch.Tensor = stepped[0]
        return after

    def _mixed(self, latent: torch.Tensor, noise: torch.Tensor, i: int) -> torch.Tensor:
        kept, added = self._mixtures[i]
        return kept * latent.float() + added * noise.to(latent.device, torch.float32)

    def _require_turn(self, i: int) -> None:
        if i != self._taken:
            raise ValueError(f"evaluation {i} was asked for after {self._taken}")


def _mixtures(scheduler: Any, begin: int) -> list[tuple[float, float]]:
    """Shares of picture and noise at each evaluation, read off the scheduler before it counts its own steps."""
    picture, noise = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    counts = hasattr(scheduler, "set_begin_index")
    mixtures = []
    for i in reversed(range(begin, len(scheduler.timesteps))):
        if counts:
            scheduler.set_begin_index(i)
        kept, added = scheduler.add_noise(picture, noise, scheduler.timesteps[i : i + 1]).tolist()
        mixtures.append((kept, added))
    return mixtures[::-1]


def _draws(scheduler: Any) -> bool:
    return "generator" in inspect.signature(scheduler.step).parameters


def _sigmas(scheduler: Any) -> torch.Tensor:
    """Those of the scheduler, or the same by its definition where it reckons in alphas."""
    if hasattr(scheduler, "sigmas"):
        sigmas: torch.Tensor = scheduler.sigmas
        return sigmas
    alphas: torch.Tensor = scheduler.alphas_cumprod[scheduler.timesteps]
    return ((1 - alphas) / alphas).sqrt()


def _digest(*values: torch.Tensor) -> str:
    """SHA-256 over float32 values, little-endian."""
    return sha256(b"".join(each.numpy().astype("<f4").tobytes() for each in values)).hexdigest()
