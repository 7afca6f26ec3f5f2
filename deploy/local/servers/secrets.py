"""Secrets of local servers, made once for a data folder and readable by their owner alone."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path


def kept_secret(folder: Path, name: str) -> str:
    """Return the folder's secret of this name; made the first time."""
    path = folder / "secrets.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if name not in known:
        known[name] = secrets.token_urlsafe(24)
        write_private(path, json.dumps(known))
    return known[name]


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    scratch.replace(path)
