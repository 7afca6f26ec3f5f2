"""What was measured, on the disk after each table, and what it comes to."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOFLINE_S = {20: 0.356, 30: 0.527}
"""Seconds an image at 1024² and 790 TFLOP/s of bf16: 281.1 and 416.4 TFLOP (FLOP counter on meta tensors)."""
TARGETS = {20: 1.25, 30: 0.85}


class Report:
    """Tables by name in a file; what is in it from runs before stays until it is measured anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        found = json.loads(path.read_text()) if path.is_file() else {}
        self.tables: dict[str, Any] = found.pop("tables", {})
        self.parts: dict[str, Any] = found.pop("parts", {})
        self.head: dict[str, Any] = found

    def add(self, name: str, measure: Callable[[], Any]) -> Any:
        """Measure and keep; a failure is kept as such, and the rest goes on."""
        began = time.monotonic()
        try:
            table = measure()
        except Exception as error:
            traceback.print_exc()
            table = {"failed": f"{type(error).__name__}: {error}"[:500]}
        self.tables[name] = table
        print(f"{name} ({time.monotonic() - began:.0f} s): {json.dumps(table)}", flush=True)
        self.write()
        return table

    def write(self) -> None:
        """Write all of it."""
        self.tables["ratios"] = ratios(self.tables)
        text = json.dumps(self.head | {"parts": self.parts, "tables": self.tables}, indent=2) + "\n"
        draft = self._path.with_suffix(".part")
        draft.write_text(text)
        draft.replace(self._path)


def ratios(tables: dict[str, Any]) -> dict[str, Any]:
    """Return the best engine against stock and against the roofline, by number of steps."""
    engines = {name: each for name, each in tables.items() if name.startswith("engine") and "failed" not in each}
    stock = tables.get("stock diffusers", {"failed": "not measured"})
    if not engines or "failed" in stock:
        return {}
    found: dict[str, Any] = {}
    for label, each in stock.items():
        steps, took_s = int(label.split()[0]), {name: engines[name][label]["median_s"] for name in engines}
        best = min(took_s, key=lambda name: took_s[name])
        best_s = took_s[best]
        found[label] = {
            "best": best,
            "images_per_s": 1 / best_s,
            "target_images_per_s": TARGETS.get(steps),
            "times_stock": each["median_s"] / best_s,
            "share_of_roofline": ROOFLINE_S[steps] / best_s if steps in ROOFLINE_S else None,
        }
    return found
