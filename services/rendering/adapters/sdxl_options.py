"""What the diffusion engine is asked for besides the shot."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.presets import Preset, preset
from services.rendering.settings import Settings

_log = logging.getLogger(__name__)

AUTO, OFF = "auto", "off"
IMG2IMG = "img2img"
ADAPTER_KIND = "ip-adapter"


@dataclass(frozen=True)
class SdxlOptions:
    """The same for every job of a service; ``adapter`` None does without references.

    ``guidance``, ``sampler`` and ``schedule`` None leave it to the engine, which knows what suits the checkpoint.
    """

    checkpoint: str
    steps: int
    guidance: float | None
    sampler: str | None
    schedule: str | None
    layout_guide: str
    layout_strength: float
    adapter: str | None
    identity_strength: float
    commercial: bool
    preview_every: int

    @property
    def digest(self) -> str:
        """Eight characters that change with whatever may change a picture."""
        deciding = {name: value for name, value in asdict(self).items() if name not in ("commercial", "preview_every")}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:8]


def options_of(settings: Settings) -> SdxlOptions:
    """Return what the settings ask for; for the identity ``auto`` they look into the folder of models once.

    Where the checkpoint was made for few steps, what nobody has set is the engine's preset. As much of the layout holds
    as leaves a step to be taken.
    """
    checkpoint = settings.checkpoint or settings.renderer
    fast = preset(checkpoint)
    steps = _steps(settings, fast)
    return SdxlOptions(
        checkpoint=checkpoint,
        steps=steps,
        guidance=_asked(settings, "guidance", fast),
        sampler=_asked(settings, "sampler", fast),
        schedule=_schedule(settings, fast),
        layout_guide=settings.layout_guide,
        layout_strength=_layout_strength(settings, steps),
        adapter=_adapter(settings.identity, settings.models_folder),
        identity_strength=settings.identity_strength,
        commercial=settings.commercial,
        preview_every=settings.preview_every,
    )


def _asked(settings: Settings, name: str, fast: Preset | None) -> Any:
    return getattr(settings, name) if fast is None or name in settings.model_fields_set else None


def _schedule(settings: Settings, fast: Preset | None) -> str | None:
    """The default is that of the default sampler; another one is run with its own."""
    given = settings.model_fields_set
    if "sampler" in given and "schedule" not in given:
        return None
    schedule: str | None = _asked(settings, "schedule", fast)
    return schedule


def _steps(settings: Settings, fast: Preset | None) -> int:
    """Where a preset decides, as few as it has but as many as img2img needs to take one."""
    if fast is None or "steps" in settings.model_fields_set:
        return settings.steps
    if settings.layout_guide != IMG2IMG:
        return fast.steps
    taken = max(1.0 - settings.layout_strength, 1.0 / fast.most_steps)
    return min(max(fast.steps, math.ceil(1.0 / taken)), fast.most_steps)


def _layout_strength(settings: Settings, steps: int) -> float:
    """Return the strength, or the highest in thousandths with which img2img takes a step: ``int(steps * the rest)``."""
    strength = settings.layout_strength
    if settings.layout_guide != IMG2IMG or int(steps * (1.0 - strength)) >= 1:
        return strength
    highest = next(each / 1000 for each in range(999, -1, -1) if int(steps * (1.0 - each / 1000)) >= 1)
    _log.warning(
        "CONTINUITY_LAYOUT_STRENGTH: %g leaves none of %d steps to be taken; it is %g", strength, steps, highest
    )
    return highest


def _adapter(identity: str, models: Path) -> str | None:
    if identity == OFF:
        return None
    return _first_adapter(models) if identity == AUTO else identity


def _first_adapter(models: Path) -> str | None:
    """Return the name of the first IP-Adapter among the models; those whose description cannot be read are none."""
    for description in sorted(models.glob("*/model.json")):
        try:
            if json.loads(description.read_bytes())["kind"] == ADAPTER_KIND:
                return description.parent.name
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None
