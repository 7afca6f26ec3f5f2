"""Options read as the diffusion engine reads them, before anything is accepted: it needs no model for that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from continuity.kernel.errors import InvalidValue
from engine.errors import Refused
from engine.parsing.specification import parse
from engine.presets import preset
from engine.text.grammar import sections
from services.rendering.adapters.sdxl_fields import option, setting
from services.rendering.adapters.sdxl_options import SdxlChoice, SdxlOptions, lora_names
from services.rendering.adapters.sdxl_request import drawn_fields, reference_field
from services.rendering.domain.render_options import NOTHING_ASKED, RenderOptions
from services.rendering.domain.submission import DEFAULT_HEIGHT_PX, DEFAULT_WIDTH_PX

_ANY = {"id": "shot"}
"""What the engine wants of every request and has no rules for here."""
_SHOT = "shot"
"""Instead of the words that the prompt service will build."""


class EngineRules:
    """The ``OptionRules`` port."""

    def __init__(self, choose: SdxlChoice) -> None:
        self._choose = choose

    def check_settings(self) -> None:
        """Raise ``InvalidValue`` naming a setting with which every shot without options would be refused."""
        for refused in self.refusals(NOTHING_ASKED, DEFAULT_WIDTH_PX, DEFAULT_HEIGHT_PX):
            raise replace(refused, field=setting(refused.field))

    def refusals(self, asked: RenderOptions, width_px: int, height_px: int) -> Iterator[InvalidValue]:
        """Yield each option that the engine would refuse, whatever the models are.

        It tells of one at a time, so that what it has refused is left out the next time that it is asked.
        """
        while (refused := self._refusal(asked, width_px, height_px)) is not None:
            yield refused
            left = asked.without(refused.field)
            if left == asked:
                return
            asked = left

    def _refusal(self, asked: RenderOptions, width_px: int, height_px: int) -> InvalidValue | None:
        try:
            self._check(asked, width_px, height_px)
        except InvalidValue as error:
            return error
        return None

    def _check(self, asked: RenderOptions, width_px: int, height_px: int) -> None:
        options = self._choose(asked)
        spec = _ANY | {"width_px": width_px, "height_px": height_px} | drawn_fields(options, asked.images)
        spec |= {"prompt": f"{_SHOT}, {asked.prompt}", "negative": asked.negative}
        if options.adapter is not None:
            spec["references"] = [reference_field(0, options)]
        try:
            request = parse(json.dumps({name: value for name, value in spec.items() if value is not None}).encode())
            sections(request.prompt)
            sections(request.negative, "negative")
        except Refused as error:
            raise InvalidValue(option(error.field), error.value, error.limit + _because(error, options)) from None
        _require_steps(options)


def _because(refused: Refused, options: SdxlOptions) -> str:
    """Return which LoRA a limit comes from: a film may say the value and one of its shots the LoRA."""
    if preset(options.checkpoint) is None:
        for name in lora_names(options.asked):
            fast = preset(name)
            if fast is not None:
                return f", for the LoRA {name!r}" if refused.limit.startswith(f"{fast.name} ") else ""
    return ""


def _require_steps(options: SdxlOptions) -> None:
    """Raise ``InvalidValue`` where so much holds of a picture that none of the steps is left to be taken."""
    asked = options.asked
    name, value = "layout_strength", options.layout_strength
    if asked.source:
        name, value = "source.strength", asked.source.strength
    _require_step(name, value, options.steps, options.strength)
    if asked.hires:
        _require_step("hires.strength", asked.hires.strength, asked.hires.steps or options.steps, asked.hires.strength)


def _require_step(name: str, value: float, steps: int, strength: float) -> None:
    """See ``engine.samplers.stepping``: of 20 steps a strength of 0.6 takes the last 12."""
    if int(steps * strength) < 1:
        raise InvalidValue(name, value, f"of {steps} steps it leaves none to be taken")
