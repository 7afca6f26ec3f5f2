"""What tuning found, in a file with its hash, so that every process that serves runs the same kernels.

Autotuning picks kernels by timing them, so two runs may pick differently and draw other bytes. It is done once for each
(device, driver, torch, cuDNN, engine version); serving only reads what was found. The file holds compiler caches that
were pickled by torch: it is trusted like the program itself, and read from the engine's own folder alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ModelUnusable

__all__ = ["FOLDER", "KEYS", "Artifact", "differences", "key_of", "path_of", "read", "write"]

FOLDER = ".kernels"
"""Beside the models, in their folder."""
KEYS = ("device", "instructions", "cuda_driver", "torch", "cuda", "cudnn", "engine")
"""What an artifact is valid for; one made with another value of any of them is not found."""
SUFFIX = ".kernels"
MAX_BYTES = 4 * 1024**3
_MAX_HEAD_BYTES = 1 << 20
_MAGIC = b"continuity kernels 2\n"


@dataclass(frozen=True)
class Artifact:
    """``facts`` by ``KEYS``, ``classes`` the calls and shapes that were tuned, ``payload`` torch's compiler caches.

    ``options`` names what they were compiled with: the caches are found again under the same options alone.
    """

    facts: Mapping[str, str]
    classes: tuple[str, ...]
    payload: bytes
    options: str = "tuned"

    @property
    def sha256(self) -> str:
        """What the manifest of a picture says of the kernels that drew it."""
        return hashlib.sha256(self.head + self.payload).hexdigest()

    @property
    def head(self) -> bytes:
        """One line that tells everything but the payload."""
        facts = {name: str(self.facts.get(name, "")) for name in KEYS}
        told = {"facts": facts, "classes": sorted(self.classes), "options": self.options}
        return json.dumps(told, sort_keys=True).encode() + b"\n"


def key_of(facts: Mapping[str, Any]) -> str:
    """Return the name of the artifact that fits a device's facts; absent ones count as empty."""
    return hashlib.sha256("\n".join(f"{name}={facts.get(name, '')}" for name in KEYS).encode()).hexdigest()[:16]


def path_of(folder: Path, facts: Mapping[str, Any]) -> Path:
    """Return where the artifact for these facts is kept."""
    return folder / f"{key_of(facts)}{SUFFIX}"


def write(folder: Path, artifact: Artifact) -> Path:
    """Write an artifact; return where. A reader sees the whole file or the one before."""
    path = path_of(folder, artifact.facts)
    folder.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_bytes(_MAGIC + artifact.sha256.encode() + b"\n" + artifact.head + artifact.payload)
    draft.replace(path)
    return path


def read(folder: Path, facts: Mapping[str, Any]) -> Artifact | None:
    """Return the artifact that fits these facts, None when nobody has tuned for them.

    Raises ``ModelUnusable`` for a file that is not what its hash says, or larger than 4 GiB.
    """
    path = path_of(folder, facts)
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise ModelUnusable(path.name, f"it has {path.stat().st_size} bytes, at most {MAX_BYTES} are read")
    lines = path.read_bytes().split(b"\n", 3)
    if len(lines) != 4 or lines[0] + b"\n" != _MAGIC:
        raise ModelUnusable(path.name, "it is no kernel artifact")
    artifact = _parsed(path.name, lines[2], lines[3])
    if artifact.sha256.encode() != lines[1]:
        raise ModelUnusable(path.name, "its bytes are not those that were tuned; remove it and tune again")
    return artifact


def differences(folder: Path, facts: Mapping[str, Any]) -> dict[str, tuple[str, str]] | None:
    """Return which of these facts, as tuned and as given, the nearest artifact does not fit; None where there is none.

    Facts that are not given fit. Only the first lines are read; a file whose lines are others is no artifact.
    """
    given = {name: str(facts[name]) for name in KEYS if name in facts}
    known = [found for path in sorted(folder.glob(f"*{SUFFIX}")) if (found := _facts_of(path)) is not None]
    unfit = [
        {name: (str(each.get(name, "")), here) for name, here in given.items() if str(each.get(name, "")) != here}
        for each in known
    ]
    return min(unfit, key=len, default=None)


def _facts_of(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            magic, _sha256, head = (file.readline(_MAX_HEAD_BYTES) for _ in range(3))
        return dict(json.loads(head)["facts"]) if magic == _MAGIC else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _parsed(name: str, head: bytes, payload: bytes) -> Artifact:
    try:
        told = json.loads(head)
        return Artifact(told["facts"], tuple(told["classes"]), payload, str(told["options"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelUnusable(name, "its first lines cannot be read") from error
