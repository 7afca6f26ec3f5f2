"""The schema that editors know and the protos that services check by have the same limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from buf.validate import validate_pb2
from continuity.api.common.v1 import render_options_pb2 as pb
from continuity.client.shotlist.schema import properties

CALLED = {"layout_guide": ("layout", "guide"), "layout_strength": ("layout", "strength")}
NO_TEXT_OF_A_LIST = {"image_sha256", "mask_sha256"}
MESSAGES = {"render": pb.RenderOptions, "lora": pb.LoraUse, "hires": pb.HiresFix, "source": pb.SourceImage}
KINDS = {"gte": "minimum", "lte": "maximum", "max_len": "maxLength", "max_items": "maxItems"}


def limits() -> Iterator[Any]:
    for definition, message in MESSAGES.items():
        for field in message.DESCRIPTOR.fields:
            rules = field.GetOptions().Extensions[validate_pb2.field]
            kind = rules.WhichOneof("type")
            if kind is None or field.name in NO_TEXT_OF_A_LIST:
                continue
            holder, name = CALLED.get(field.name, (definition, field.name))
            of_kind = getattr(rules, kind)
            limits = {schema: getattr(of_kind, proto) for proto, schema in KINDS.items() if _has(of_kind, proto)}
            yield pytest.param(holder, name, limits, id=f"{holder}.{name}")


def _has(rules: Any, name: str) -> bool:
    return name in rules.DESCRIPTOR.fields_by_name and rules.HasField(name)


@pytest.mark.parametrize(("definition", "name", "limits"), [*limits()])
def test_what_a_list_may_say_is_what_the_service_takes(definition: str, name: str, limits: dict[str, float]) -> None:
    described = properties(definition)[name]
    assert limits
    assert {kind: described.get(kind) for kind in limits} == limits
