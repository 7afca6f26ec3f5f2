"""The models of one folder: each in a folder of its own, with a ``model.json`` that says what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import ModelUnusable, Refused
from engine.models.absent import absent
from engine.models.entry import Entry
from engine.models.unreadable import unreadable

__all__ = ["ABOUT", "KINDS", "About", "Catalogue", "entry_of", "valid_name", "write_about"]

KINDS = ("checkpoint", "refiner", "lora", "ip-adapter", "image-encoder", "controlnet", "embedding")
ABOUT = "model.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKENIZERS = ("tokenizer", "tokenizer_2")


@dataclass(frozen=True)
class Catalogue:
    """What can be asked for by name. It reads the disk at every call, so what was just installed is there."""

    folder: Path

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return the models by name; those whose ``model.json`` cannot be read are in ``damaged``."""
        found = [each for each in self._read() if isinstance(each, Entry)]
        return [each for each in found if kind in (None, each.kind)]

    def damaged(self) -> list[ModelUnusable]:
        """Return why each model that cannot be listed cannot."""
        return [each for each in self._read() if isinstance(each, ModelUnusable)]

    def entry(self, name: str, kind: str | None = None) -> Entry:
        """Return a model by name. Raises ``Refused`` where there is none, ``ModelUnusable`` for a damaged one.

        ``kind`` is what is wanted, for what to say then; whoever asks compares it with that of the model.
        """
        if not _NAME.fullmatch(name) or not (self.folder / name / ABOUT).is_file():
            raise absent(name, kind, self.entries())
        return entry_of(self.folder / name)

    def tokenizer_folders(self, name: str) -> list[Path]:
        """Return where a checkpoint's tokenizers lie, in the order of its text encoders."""
        path = self.entry(name).path
        return [path / each for each in _TOKENIZERS if (path / each).is_dir()]

    def _read(self) -> list[Entry | ModelUnusable]:
        folders = [path.parent for path in sorted(self.folder.glob(f"*/{ABOUT}"))]
        return [_entry_or_error(folder) for folder in folders if _NAME.fullmatch(folder.name)]


@dataclass(frozen=True)
class About:
    """The content of ``model.json``. ``source`` says where the files have come from."""

    kind: str
    architecture: str
    licence: str
    commercial: bool
    source: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def write_about(folder: Path, about: About) -> None:
    """Write ``model.json``."""
    said = {**vars(about), "files": dict(sorted(about.files.items()))}
    (folder / ABOUT).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def valid_name(name: str) -> str:
    """Return the name if a model may be called that. Raises ``Refused``."""
    if not _NAME.fullmatch(name):
        raise Refused("name", name, "1 to 64 letters, digits, dots, underscores and hyphens; the first no sign")
    return name


def _entry_or_error(folder: Path) -> Entry | ModelUnusable:
    try:
        return entry_of(folder)
    except ModelUnusable as error:
        return error


def entry_of(folder: Path) -> Entry:
    """Return what a model's folder says that it is. Raises ``ModelUnusable``."""
    said = _said(folder)
    try:
        entry = Entry(
            name=folder.name,
            kind=_text(said, "kind"),
            architecture=_text(said, "architecture"),
            licence=_text(said, "licence"),
            commercial=said["commercial"] is True,
            path=folder,
            files={str(name): str(digest) for name, digest in said["files"].items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelUnusable(folder.name, f"{ABOUT} lacks or misstates {error}") from error
    if entry.kind not in KINDS:
        raise ModelUnusable(folder.name, f"{ABOUT} states the kind {entry.kind!r}; known: {', '.join(KINDS)}")
    for name in entry.files:
        _require_inside(folder, name)
    return entry


def _said(folder: Path) -> dict[str, Any]:
    try:
        said = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(folder.name, ABOUT, error) from error
    if not isinstance(said, dict):
        raise ModelUnusable(folder.name, f"{ABOUT} holds no object")
    return said


def _text(said: Mapping[str, Any], field_name: str) -> str:
    if not isinstance(said[field_name], str):
        raise TypeError(field_name)
    return str(said[field_name])


def _require_inside(folder: Path, name: str) -> None:
    """Refuse names and links that lead out of a model's folder."""
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise ModelUnusable(folder.name, f"{ABOUT} names {name!r}, which lies outside its folder")
