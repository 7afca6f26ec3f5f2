"""Which of diffusers' schedulers a sampler is, and with which settings."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
)

from engine.errors import Refused
from engine.samplers.dpm_sde import DpmSolverSde
from engine.samplers.unipc import UniPc

__all__ = ["scheduler"]

_KINDS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "euler": (EulerDiscreteScheduler, {}),
    "euler-ancestral": (EulerAncestralDiscreteScheduler, {}),
    "heun": (HeunDiscreteScheduler, {}),
    "dpmpp-2m": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "dpmpp-2m-sde": (DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp-sde": (DpmSolverSde, {"final_sigmas_type": "zero"}),
    "ddim": (DDIMScheduler, {}),
    "unipc": (UniPc, {}),
    "lcm": (LCMScheduler, {}),
}
_BENT = ("karras", "exponential", "beta")
_LATENT = {"clip_sample": False, "set_alpha_to_one": False}
"""As the scheduler files of SDXL and SD 2 say: a latent, unlike a pixel, is not bounded by one."""
_FEW_STEPS = 50
"""Below, DPM++ leaves a pattern of noise unless its last step is Euler's or its schedule Karras's."""


def scheduler(name: str, schedule: str, steps: int, config: Mapping[str, Any]) -> Any:
    """Return a scheduler of one's own, its timesteps set, all on the CPU.

    ``name`` and ``schedule`` are ``names.chosen``; ``config`` is that of the checkpoint's scheduler, of whatever class,
    and may be frozen. Raises ``Refused`` for a number of steps that the sampler cannot take.
    """
    kind, settings = _KINDS[name]
    own = kind(**_accepted(kind, {**_LATENT, **_given(config), **settings, **_spacing(schedule)}))
    # Told afterwards, because Heun reckons all thousand training steps when it is made.
    own.register_to_config(**_bend(schedule), **_ending(name, schedule, steps))
    _require_steps(name, steps, own.config)
    own.set_timesteps(steps)
    return own


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a scheduler's file says; what another class has filled in by default does not count."""
    return {key: value for key, value in config.items() if key not in config.get("_use_default_values", ())}


def _accepted(kind: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    known = inspect.signature(kind.__init__).parameters
    return {key: value for key, value in settings.items() if key in known}


def _spacing(schedule: str) -> dict[str, Any]:
    spaced = {"timestep_spacing": "trailing"} if schedule == "sgm-uniform" else {}
    return spaced | {f"use_{each}_sigmas": False for each in _BENT}


def _bend(schedule: str) -> dict[str, Any]:
    return {f"use_{schedule}_sigmas": True} if schedule in _BENT else {}


def _ending(name: str, schedule: str, steps: int) -> dict[str, Any]:
    needs = name in ("dpmpp-2m", "dpmpp-2m-sde") and schedule != "karras" and steps < _FEW_STEPS
    return {"euler_at_final": True} if needs else {}


def _require_steps(name: str, steps: int, config: Any) -> None:
    """The last timestep of training is kept free: offsets would run over it."""
    most = config.original_inference_steps if name == "lcm" else config.num_train_timesteps - 1
    if not 1 <= steps <= most:
        raise Refused("steps", steps, f"{name} takes 1 to {most}")
