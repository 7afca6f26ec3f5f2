"""What the engine's fields are called where people say them: options of a shot, else settings of the service."""

from __future__ import annotations

import re

from services.rendering.domain.asked_options import option_of
from services.rendering.domain.render_options import ABSENT, RenderOptions
from services.rendering.settings import Settings

_OPTIONS = {
    "layout": "layout_guide",
    "layout.kind": "layout_guide",
    "layout.scale": "layout_strength",
    "strength": "source.strength",
    "references": "identity",
    "references.adapter": "identity",
    "references.scale": "identity_strength",
}
"""By the engine's name, the numbers of a list left out, where theirs is another."""
_NUMBER = re.compile(r"\[\d+\]")
_FIELD = re.compile(r"[a-z_]+(\[\d+\])?(\.[a-z_]+)?(?=: )")


def option(field: str) -> str:
    """Return the option that an engine's field comes from."""
    return _OPTIONS.get(_NUMBER.sub("", field), field)


def setting(name: str) -> str:
    """Return the variable of a setting."""
    return f"CONTINUITY_{name.upper()}"


def renamed(detail: str, asked: RenderOptions) -> str:
    """Return an engine's refusal, ``field: value is not acceptable; …``, with the name that people know."""
    return _FIELD.sub(lambda found: _said_by(found[0], asked), detail, count=1) if _FIELD.match(detail) else detail


def _said_by(field: str, asked: RenderOptions) -> str:
    """Return what has said an engine's field: the option that a shot gives, else the setting where there is one."""
    name = option(field)
    top = option_of(name)
    is_set = top in Settings.model_fields and getattr(asked, top, None) in ABSENT
    return setting(top) if is_set else name
