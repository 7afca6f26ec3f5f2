"""The commands on a folder of models. What they say is for people, or with ``--json`` one JSON document per line."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.errors import EngineError, Refused
from engine.models.catalogue import Catalogue
from engine.models.entry import Entry
from engine.models.verification import verified

__all__ = ["main"]

FAILED, INVALID, INTERRUPTED = 1, 2, 130
_GB = 1e9


def main(arguments: Sequence[str]) -> int:
    """Run one command; return 0, 1 where the work failed, 2 where what was asked for is not acceptable."""
    given = _parser().parse_args(arguments)
    said = _Said(as_json=given.json)
    try:
        return int(_COMMANDS[given.command](given, said) or 0)
    except EngineError as error:
        return said.failed(error, INVALID if isinstance(error, Refused) else FAILED)
    except OSError as error:
        return said.failed(error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


class _Said:
    """Results and progress on standard output, what went wrong on standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, document: Mapping[str, Any], text: str) -> None:
        sys.stdout.write((json.dumps(document, ensure_ascii=False) if self._as_json else text) + "\n")
        sys.stdout.flush()

    def failed(self, error: Exception, code: int) -> int:
        if self._as_json:
            field = getattr(error, "field", None)
            self.say({"error": {"message": str(error), "kind": type(error).__name__, "field": field}}, "")
        else:
            sys.stderr.write(f"{error}\n")
        return code


def _pull(given: argparse.Namespace, said: _Said) -> None:
    from engine.models.hub import Hub  # noqa: PLC0415 - takes a second, and only this command talks to a hub
    from engine.models.pull import Told, pull  # noqa: PLC0415

    def told(progress: Told) -> None:
        share = progress.done_bytes / max(1, progress.total_bytes)
        said.say({"progress": asdict(progress)}, f"{progress.name}  {share:4.0%}  {progress.file}")

    entries = pull(given.folder, given.name, Hub(), told)
    for entry in entries:
        _show(entry, said)
    if not entries:
        _show(Catalogue(given.folder).entry(given.name), said)


def _list(given: argparse.Namespace, said: _Said) -> None:
    catalogue = Catalogue(given.folder)
    for entry in catalogue.entries():
        _show(entry, said)
    for error in catalogue.damaged():
        said.say({"damaged": {"name": error.name, "reason": error.reason}}, f"{error.name}  DAMAGED  {error.reason}")


def _adopt(given: argparse.Namespace, said: _Said) -> None:
    from engine.models.adoption import Terms, adopt  # noqa: PLC0415 - torch takes seconds

    terms = Terms(given.licence, given.commercial)
    _show(adopt(given.folder, given.path.resolve(), given.name, terms, given.like), said)


def _verify(given: argparse.Namespace, said: _Said) -> int:
    catalogue = Catalogue(given.folder)
    names = given.names or [each.name for each in catalogue.entries()]
    bad = 0
    for name in names:
        try:
            verified(catalogue.entry(name))
            said.say({"verified": {"name": name, "ok": True}}, f"{name}  as installed")
        except EngineError as error:
            bad += 1
            said.say({"verified": {"name": name, "ok": False, "reason": str(error)}}, f"{name}  DAMAGED  {error}")
    return FAILED if bad else 0


def _remove(given: argparse.Namespace, said: _Said) -> None:
    """Take a model's folder away; damaged ones go, too."""
    catalogue = Catalogue(given.folder)
    damaged = {error.name for error in catalogue.damaged()}
    path = given.folder / given.name if given.name in damaged else catalogue.entry(given.name).path
    shutil.rmtree(path)
    said.say({"removed": {"name": given.name}}, f"{given.name}  removed")


def _tiny(given: argparse.Namespace, said: _Said) -> None:
    from engine.models.tiny.everything import make_tiny_model  # noqa: PLC0415 - torch takes seconds

    _show(make_tiny_model(given.path.resolve(), given.kind), said)


_COMMANDS = {"pull": _pull, "list": _list, "adopt": _adopt, "verify": _verify, "remove": _remove, "tiny": _tiny}


def _show(entry: Entry, said: _Said) -> None:
    size = sum((entry.path / name).stat().st_size for name in entry.files if (entry.path / name).is_file())
    use = "commercial use" if entry.commercial else "NO commercial use"
    facts = f"{entry.name}  {entry.kind}  {entry.architecture}  {size / _GB:.2f} GB  {entry.licence} ({use})"
    said.say({"model": {**asdict(entry), "path": str(entry.path), "bytes": size}}, facts)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    models = Path(os.environ.get("CONTINUITY_MODELS") or "models")
    common.add_argument("--folder", type=Path, default=models, help="where models lie (CONTINUITY_MODELS)")
    common.add_argument("--json", action="store_true", help="one JSON document per line")
    parser = argparse.ArgumentParser(prog="engine.models", description="Models that the engine draws with.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, parents=[common], help=text, description=text)

    command("pull", "Fetch a published model from the hub.").add_argument("name")
    command("list", "List what is installed.")
    adopting = command("adopt", "Take in a diffusers folder or a safetensors file of your own.")
    adopting.add_argument("path", type=Path)
    adopting.add_argument("name")
    adopting.add_argument("--licence", default="unknown", help="what its licence is called")
    adopting.add_argument("--commercial", action="store_true", help="its licence permits commercial use")
    adopting.add_argument("--like", type=Path, help="a diffusers folder with the configurations of this checkpoint")
    command("verify", "Compare installed files with their hashes.").add_argument("names", nargs="*")
    command("remove", "Remove an installed model.").add_argument("name")
    tiny = command("tiny", "Make a small model of random weights.")
    tiny.add_argument("path", type=Path, help="the folder that it becomes")
    tiny.add_argument("--kind", default="sdxl-tiny", help="which one of the small models")
    return parser
