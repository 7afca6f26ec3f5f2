"""The settings that a command may bring along, as a runtime tells of those that it was started with."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from continuity.hosting.settings import PlatformSettings
from engine.presets import preset
from services.embedded.settings import Settings
from services.rendering.settings import Settings as RenderingSettings

FROM_THE_PLATFORM = ("s3_endpoint", "s3_bucket", "cpu_workers")
"""Of what all services have: what a user may want otherwise for one film and not for the next."""
NOT_BROUGHT = frozenset({"root", "triton_address", "render_replicas", "sole_renderer", "idle_exit_s"})
"""What the runtime decides itself, and what concerns nobody but the runtime that has it."""
OF_THE_PRESET = frozenset({"steps", "guidance", "sampler", "schedule"})
"""What follows from a checkpoint of few steps where nobody has set it."""


def brought(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return value and default by name, as JSON has them; None is left to the checkpoint. No secrets."""
    rendering = RenderingSettings(**settings.model_dump())
    return {name: _told(rendering if name in rendering_names() else settings, name) for name in names()}


def names() -> tuple[str, ...]:
    """Return the names of all such settings, in the order of the alphabet."""
    own = (rendering_names() | set(Settings.model_fields)) - set(PlatformSettings.model_fields) - NOT_BROUGHT
    return tuple(sorted(name for name in own | set(FROM_THE_PLATFORM) if not _is_secret(name)))


def rendering_names() -> set[str]:
    """Return the names of the rendering service's settings."""
    return set(RenderingSettings.model_fields)


def _told(holder: Settings | RenderingSettings, name: str) -> dict[str, Any]:
    default = type(holder).model_fields[name].get_default(call_default_factory=True)
    told = {"value": holder.model_dump(mode="json", include={name})[name], "default": default}
    if name not in OF_THE_PRESET or not isinstance(holder, RenderingSettings) or not _is_fast(holder):
        return told
    return {"value": told["value"] if name in holder.model_fields_set else None, "default": None}


def _is_fast(settings: RenderingSettings) -> bool:
    return preset(settings.checkpoint or settings.renderer) is not None


def _is_secret(name: str) -> bool:
    described = RenderingSettings.model_fields.get(name) or Settings.model_fields[name]
    return described.annotation is SecretStr
