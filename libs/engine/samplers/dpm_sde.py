"""DPM++ SDE with noise of the request's own generator."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import EulerDiscreteScheduler

__all__ = ["DpmSolverSde"]


class DpmSolverSde(EulerDiscreteScheduler):
    """SDE-DPM-Solver++(2S) with its second evaluation half way in log sigma: two evaluations a step, one in the last.

    Source: Lu et al., DPM-Solver++ (2022), section 5, for latents of variance 1 + sigma². diffusers has it as
    ``DPMSolverSDEScheduler``, which draws its noise on the device from a tree of seeds and needs torchsde. Here the
    sigmas stand as they are met, midpoints among them, so everything inherited works on ``sigmas[step_index]``.
    """

    order = 2
    sigmas: torch.Tensor
    timesteps: torch.Tensor

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        """Set 2n - 1 timesteps and 2n sigmas, the last of them 0."""
        super().set_timesteps(num_inference_steps, device=device)
        whole = self.sigmas[:-1]
        midpoints = (whole[:-1] * whole[1:]).sqrt()
        trained = (((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5).log().numpy()
        middle_times = torch.from_numpy(self._sigma_to_t(midpoints.numpy(), trained)).float()
        self.sigmas = torch.cat([_alternating(whole, midpoints), self.sigmas[-1:]])
        self.timesteps = _alternating(self.timesteps, middle_times)
        self._start: torch.Tensor | None = None
        self._noise: torch.Tensor | None = None

    def step(
        self,
        model_output: torch.Tensor,
        timestep: torch.Tensor,
        sample: torch.Tensor,
        generator: torch.Generator,
        return_dict: bool = False,
    ) -> tuple[torch.Tensor]:
        """Return the sample after one evaluation, at a midpoint or at a step's end. ``generator`` is of the CPU."""
        if self.step_index is None:
            self._init_step_index(timestep)
        i = self.step_index
        denoised = self._denoised(model_output, sample, self.sigmas[i])
        self._step_index += 1
        if self.sigmas[i + 1] == 0:
            return (denoised,)
        noise = torch.randn(sample.shape, generator=generator, dtype=torch.float32).to(sample.device)
        if i % 2 == 0:
            self._start, self._noise = sample, noise
            return (_moved(sample, denoised, noise, self.sigmas[i], self.sigmas[i + 1]),)
        noise = _joined(self._noise, noise, self.sigmas[i - 1 : i + 2])
        moved = _moved(self._start, denoised, noise, self.sigmas[i - 1], self.sigmas[i + 1])
        self._start = self._noise = None
        return (moved,)

    def _denoised(self, output: torch.Tensor, sample: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        kind = self.config.prediction_type
        if kind == "epsilon":
            return sample - sigma * output
        if kind == "v_prediction":
            return sample / (sigma**2 + 1) - output * (sigma / (sigma**2 + 1) ** 0.5)
        return output


def _moved(
    sample: Any, denoised: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor, to: torch.Tensor
) -> torch.Tensor:
    """The exact solution from ``sigma`` down to ``to`` where the denoised picture stays as it is."""
    kept = (to / sigma) ** 2
    return kept * sample + (1 - kept) * denoised + to * (1 - kept).sqrt() * noise


def _joined(first: Any, second: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """Unit noise of a whole step from that of its halves: one path of Brownian motion over sigma runs through both."""
    start, middle, end = sigmas
    return ((start - middle).sqrt() * first + (middle - end).sqrt() * second) / (start - end).sqrt()


def _alternating(whole: torch.Tensor, between: torch.Tensor) -> torch.Tensor:
    """Put n - 1 values between n."""
    mixed = whole.new_empty(len(whole) + len(between))
    mixed[0::2], mixed[1::2] = whole, between
    return mixed
