"""The settings of a keyframe in the words of AUTOMATIC1111, as its readers look for them under ``parameters``.

Source of the names: what that program writes itself (``Sampler: DPM++ 2M, Schedule type: Karras``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SAMPLERS = {
    "euler": "Euler",
    "euler-ancestral": "Euler a",
    "heun": "Heun",
    "dpmpp-2m": "DPM++ 2M",
    "dpmpp-2m-sde": "DPM++ 2M SDE",
    "dpmpp-sde": "DPM++ SDE",
    "ddim": "DDIM",
    "unipc": "UniPC",
    "lcm": "LCM",
}
_SCHEDULES = {
    "karras": "Karras",
    "normal": "Normal",
    "exponential": "Exponential",
    "beta": "Beta",
    "sgm-uniform": "SGM Uniform",
}
_HASH_DIGITS = 10
_FIRST_LAYER = 2
"""What counts there as the layer that SDXL takes anyway; the engine counts from it."""


def parameters_text(settings: Mapping[str, Any]) -> str:
    """Return prompt, negative prompt, then ``Steps: …, Sampler: …`` on one line; of the engine's only what is so."""
    engine = settings.get("engine", {})
    request = engine.get("request")
    named = _by_previz(settings) if request is None else _by_engine(settings, request, engine.get("weights", {}))
    prompt, negative = settings["prompt"], settings["negative_prompt"]
    if request is not None:
        prompt, negative = _tagged(request.get("prompt", prompt), request), request.get("negative", negative)
    told = ", ".join(f"{name}: {value}" for name, value in named.items() if value is not None)
    return f"{prompt}\nNegative prompt: {negative}\n{told}"


def _by_previz(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Steps": 1,
        "Sampler": "previz",
        "CFG scale": 0,
        "Seed": settings["seed"],
        "Size": _size(settings),
        "Model": settings["renderer"],
    }


def _by_engine(settings: Mapping[str, Any], request: Mapping[str, Any], weights: Mapping[str, Any]) -> dict[str, Any]:
    checkpoint, sampler, schedule = weights.get("checkpoint", {}), request.get("sampler"), request.get("schedule")
    return {
        "Steps": request.get("steps"),
        "Sampler": _SAMPLERS.get(sampler, sampler) if sampler else None,
        "Schedule type": _SCHEDULES.get(schedule, schedule) if schedule else None,
        "CFG scale": request.get("guidance"),
        "Seed": settings["seed"],
        "Size": _size(settings),
        "Model hash": checkpoint.get("sha256", "")[:_HASH_DIGITS] or None,
        "Model": request.get("checkpoint") or settings["renderer"],
        "Denoising strength": _denoising(request),
        "Clip skip": request["clip_skip"] + _FIRST_LAYER if request.get("clip_skip") else None,
        **_hires(request),
        "Refiner": _refiner(request.get("refiner"), weights.get("adapters", {})),
    }


def _size(settings: Mapping[str, Any]) -> str:
    return f"{settings['width_px']}x{settings['height_px']}"


def _tagged(prompt: str, request: Mapping[str, Any]) -> str:
    """Return the prompt with its LoRAs, which is where they are asked for there."""
    return " ".join([prompt, *(f"<lora:{each['name']}:{each['scale']:g}>" for each in request.get("loras") or ())])


def _denoising(request: Mapping[str, Any]) -> float | None:
    """Return how much is drawn anew of the picture that it begins with, else of the enlarged one."""
    layout, hires = request.get("layout") or {}, request.get("hires") or {}
    if request.get("has_image"):
        strength: float = request["strength"]
        return strength
    return round(1.0 - layout["scale"], 3) if layout.get("kind") == "img2img" else hires.get("strength")


def _hires(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the second pass; its steps are those that are run, which the engine's number is not."""
    hires = request.get("hires")
    if not hires:
        return {}
    steps = hires.get("steps") or request["steps"]
    return {"Hires upscale": hires["scale"], "Hires steps": int(steps * hires["strength"])}


def _refiner(name: str | None, adapters: Mapping[str, str]) -> str | None:
    if not name:
        return None
    return f"{name} [{adapters[name][:_HASH_DIGITS]}]" if name in adapters else name
