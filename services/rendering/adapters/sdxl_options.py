"""What the diffusion engine is asked for besides the shot's words."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import Refused
from engine.parsing.tags import untagged
from engine.presets import Preset, preset
from services.rendering.domain.render_options import NOTHING_ASKED, RenderOptions, without_schedule
from services.rendering.settings import Settings

_log = logging.getLogger(__name__)

AUTO, OFF = "auto", "off"
IMG2IMG = "img2img"
ADAPTER_KIND = "ip-adapter"
_NOT_DECIDING = ("asked", "commercial", "preview_every")


@dataclass(frozen=True)
class SdxlOptions:
    """What a shot has ``asked`` and, beside it, what is so for the shot in the end.

    ``guidance``, ``sampler`` and ``schedule`` None leave it to the engine, which knows what suits the checkpoint.
    ``layout_strength`` 0 does without the previz frame, ``adapter`` None without references.
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
    asked: RenderOptions = NOTHING_ASKED

    @property
    def digest(self) -> str:
        """Eight characters that change with whatever settings may change a picture."""
        deciding = {name: value for name, value in asdict(self).items() if name not in _NOT_DECIDING}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def strength(self) -> float:
        """How much is drawn anew of the picture that it begins with; 1 where it begins with noise."""
        return _strength(self.asked, self.layout_guide, self.layout_strength)


class SdxlChoice:
    """Settings, and over them what a shot asks for.

    Where a checkpoint or LoRA was made for few steps, what nobody has set for it is the engine's preset. As much of the
    layout holds as leaves a step to be taken, unless the shot says how much. For the identity ``auto`` it looks into
    the folder of models once.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own = settings.checkpoint or settings.renderer
        self._adapter = _adapter(settings.identity, settings.models_folder)
        self.service = self._chosen(NOTHING_ASKED)
        """What a shot without options is drawn with."""

    def tell(self) -> None:
        """Log where the service is not drawn with what is set."""
        settings = self._settings
        if settings.diffuses and self.service.layout_strength != settings.layout_strength:
            told = settings.layout_strength, self.service.steps, self.service.layout_strength
            _log.warning("CONTINUITY_LAYOUT_STRENGTH: %g leaves none of %d steps to be taken; it is %g", *told)

    def __call__(self, asked: RenderOptions | None) -> SdxlOptions:
        """Return what a shot with these options is drawn with."""
        return self._chosen(asked) if asked not in (None, NOTHING_ASKED) else self.service

    def _chosen(self, asked: RenderOptions) -> SdxlOptions:
        settings = self._settings
        checkpoint = asked.checkpoint or self._own
        fast = preset(checkpoint, [*lora_names(asked)])
        layers = _Layers(settings, asked, fast, is_own=fast == preset(self._own))
        guide = asked.layout_guide or settings.layout_guide
        steps = layers.steps(guide)
        strength = 1.0 if asked.identity_strength is None else asked.identity_strength
        return SdxlOptions(
            checkpoint=checkpoint,
            steps=steps,
            guidance=layers.value("guidance"),
            sampler=layers.sampler(),
            schedule=layers.schedule(),
            layout_guide=guide,
            layout_strength=layers.layout_strength(guide, steps),
            adapter=self._adapter if strength else None,
            identity_strength=settings.identity_strength if asked.identity_strength is None else strength,
            commercial=settings.commercial,
            preview_every=settings.preview_every,
            asked=asked,
        )


@dataclass(frozen=True)
class _Layers:
    """What a shot asks for, else what is set, unless a preset knows better; ``is_own`` is the service's preset."""

    settings: Settings
    asked: RenderOptions
    fast: Preset | None
    is_own: bool

    def value(self, name: str) -> Any:
        """Return a field's value; None leaves it to the preset."""
        if self.asked.gives(name):
            return getattr(self.asked, name)
        is_set = self.is_own and name in self.settings.model_fields_set
        return getattr(self.settings, name) if self.fast is None or is_set else None

    def sampler(self) -> str | None:
        """Return the sampler; where the shot says the schedule, that of the setting's name does not count."""
        sampler: str | None = self.value("sampler")
        over = self.asked.schedule and not self.asked.sampler
        return without_schedule(sampler) if sampler and over else sampler

    def schedule(self) -> str | None:
        """Return the schedule; the default is that of the default sampler, and another is run with its own."""
        given = self.settings.model_fields_set
        if not self.asked.schedule and (self.asked.sampler or ("sampler" in given and "schedule" not in given)):
            return None
        schedule: str | None = self.value("schedule")
        return schedule

    def steps(self, guide: str) -> int:
        """Return the steps; of a preset as few as it has but as many as it takes to get away from a picture."""
        steps: int | None = self.value("steps")
        if steps is not None or self.fast is None:
            return steps or self.settings.steps
        asked = self.asked.layout_strength
        strength = _strength(self.asked, guide, self.settings.layout_strength if asked is None else asked)
        taken = max(strength, 1.0 / self.fast.most_steps)
        return min(max(self.fast.steps, math.ceil(1.0 / taken)), self.fast.most_steps)

    def layout_strength(self, guide: str, steps: int) -> float:
        """Return the strength, or the highest in thousandths with which img2img takes a step.

        That is one in ``int(steps * the rest)``. A source stands in the place that img2img would have.
        """
        if self.asked.source and guide == IMG2IMG:
            return 0.0
        if self.asked.layout_strength is not None:
            return self.asked.layout_strength
        strength = self.settings.layout_strength
        if guide != IMG2IMG or int(steps * (1.0 - strength)) >= 1:
            return strength
        return next(each / 1000 for each in range(999, -1, -1) if int(steps * (1.0 - each / 1000)) >= 1)


def lora_names(asked: RenderOptions) -> Iterator[str]:
    """Yield the LoRAs that options name, those in the prompt (``<lora:grain:0.8>``) behind the others."""
    yield from (each.name for each in asked.loras)
    with suppress(Refused):  # a tag that is none is refused where options are checked
        yield from (each.name for each in untagged(asked.prompt, "")[1])


def _strength(asked: RenderOptions, guide: str, layout_strength: float) -> float:
    if asked.source:
        return asked.source.strength
    return 1.0 - layout_strength if guide == IMG2IMG else 1.0


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
