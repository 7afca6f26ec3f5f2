"""LoRAs that a prompt names by itself, as AUTOMATIC1111's web UI has made usual: ``<lora:film-grain:0.8>``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import Refused
from engine.parsing.fields import Fields
from engine.request import LoraUse

__all__ = ["MAX_SCALE", "untagged"]

MAX_SCALE = 4
_TAG = re.compile(r"<(lora|lyco|hypernet):([^<>]*)>", re.IGNORECASE)
_FORM = "<lora:name:scale>, without a scale 1; in the prompt"


def untagged(prompt: str, negative: str) -> tuple[str, tuple[LoraUse, ...]]:
    """Return a prompt without its tags, and the LoRAs that they name, in order.

    Other kinds of tags, two different scales for text and picture, and tags in the negative prompt are ``Refused``.
    """
    if found := _TAG.search(negative):
        raise Refused("negative", found[0], _FORM)
    return _TAG.sub("", prompt), tuple(_uses(prompt))


def _uses(prompt: str) -> Iterator[LoraUse]:
    for tag in _TAG.finditer(prompt):
        name, *scales = (part.strip() for part in tag[2].split(":"))
        if tag[1].lower() == "hypernet" or len(set(scales)) > 1:
            raise Refused("prompt", tag[0], _FORM)
        try:
            yield _use({"name": name, "scale": float(scales[0]) if scales else 1.0})
        except ValueError:
            raise Refused("prompt", tag[0], _FORM) from None
        except Refused as refused:
            raise Refused("prompt", tag[0], f"{refused.field}: {refused.limit}") from None


def _use(values: Mapping[str, Any]) -> LoraUse:
    fields = Fields(values, "", values)
    return LoraUse(fields.name("name"), fields.number("scale", 1.0, -MAX_SCALE, MAX_SCALE))
