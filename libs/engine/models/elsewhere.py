"""Models of the user's own that lie in a store: a program that knows the store brings them, then they are adopted.

The engine knows no stores. The program is called with the address and a folder, says one JSON document per line
(``progress``, at the end ``fetched`` or ``error``), and goes on where an earlier call has stopped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import ModelUnusable, Refused
from engine.models.adoption import Terms, adopt, free_place
from engine.models.entry import Entry
from engine.models.transfer import PullFailed, Told, alone

__all__ = ["adopt_from", "is_address"]

_INVALID, _INTERRUPTED = 2, 130


def is_address(source: str) -> bool:
    """Tell whether a source lies in a store rather than on this machine."""
    return "://" in source


def adopt_from(
    catalogue: Path,
    address: str,
    name: str,
    terms: Terms,
    *,
    fetcher: Sequence[str],
    told: Callable[[Told], None],
    like: Path | None = None,
) -> Entry:
    """Fetch what lies at an address with the program ``fetcher`` and take it in as ``adopt`` does.

    What has arrived when this fails is taken up again, unless it is no model. Raises ``Refused``, ``PullFailed``,
    ``ModelUnusable``.
    """
    free_place(catalogue, name)
    if not fetcher:
        raise Refused("path", address, "nothing here reads it; `continuity models adopt` does, or copy it here")
    arriving = catalogue / f".{name}.arriving"
    with alone(arriving, name):
        source = _fetched(address, arriving, fetcher, lambda said: told(Told(name, **said)))
        try:
            entry = adopt(catalogue, source, name, replace(terms, source=terms.source or address), like)
        except ModelUnusable:
            shutil.rmtree(arriving, ignore_errors=True)
            raise
        shutil.rmtree(arriving, ignore_errors=True)
        return entry


def _fetched(address: str, folder: Path, fetcher: Sequence[str], told: Callable[[Mapping[str, Any]], None]) -> Path:
    """Return the file or folder that has arrived."""
    last: Mapping[str, Any] = {}
    with subprocess.Popen([*fetcher, address, str(folder)], stdout=subprocess.PIPE, text=True) as program:
        for line in program.stdout or ():
            last = json.loads(line)
            if "progress" in last:
                told(last["progress"])
    if program.returncode == _INTERRUPTED:
        raise KeyboardInterrupt
    if program.returncode or "fetched" not in last:
        message = last.get("error", {}).get("message", "the program that fetches it ended")
        raise Refused("path", address, message) if program.returncode == _INVALID else PullFailed(address, message)
    return folder / str(last["fetched"])
