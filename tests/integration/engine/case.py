"""A request to the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from continuity.inference.tensors import Tensors, bytes_tensor

__all__ = ["PLAIN", "Case"]

PROMPT = "a launch pad in the rain"
PLAIN = {"checkpoint": "sdxl-tiny", "prompt": PROMPT, "seed": 7, "width_px": 256, "height_px": 256, "steps": 2}


@dataclass(frozen=True)
class Case:
    """``fields`` are those in which the request differs from ``PLAIN``, ``pictures`` go by the names of the inputs.

    ``models`` are named by its manifest beside checkpoint and LoRAs. ``drawn_px`` are the sizes of its passes, where
    they are what is shown.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    models: Sequence[str] = ()
    drawn_px: Sequence[tuple[int, int]] = ()

    def spec(self, id: str, **more: object) -> dict[str, Any]:
        """Return the request's JSON; None takes a field away."""
        asked = {"id": id, **PLAIN, **self.fields, **more}
        return {name: value for name, value in asked.items() if value is not None}

    def inputs(self, id: str, **more: object) -> Tensors:
        """Return the request as Triton takes it."""
        sent = {name: bytes_tensor(*encoded) for name, encoded in self.pictures.items()}
        return {"spec": bytes_tensor(json.dumps(self.spec(id, **more)).encode()), **sent}
