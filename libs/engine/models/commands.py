"""The commands on a folder of models. What they say is for people, or with ``--json`` one JSON document per line."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.errors import EngineError, ModelUnusable, Refused
from engine.models.catalogue import Catalogue
from engine.models.entry import Entry
from engine.models.terms import UNKNOWN, Terms, how_to_state
from engine.models.transfer import Told
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

    def progress(self, told: Told) -> None:
        share = told.done_bytes / max(1, told.total_bytes)
        self.say({"progress": asdict(told)}, f"{told.name}  {share:4.0%}  {told.file}")

    def note(self, text: str) -> None:
        """Advice, for people alone."""
        sys.stderr.write(f"{text}\n")

    def failed(self, error: Exception, code: int) -> int:
        if self._as_json:
            field = getattr(error, "field", None)
            self.say({"error": {"message": str(error), "kind": type(error).__name__, "field": field}}, "")
        else:
            sys.stderr.write(f"{error}\n")
        return code


def _pull(given: argparse.Namespace, said: _Said) -> None:
    from engine.models.hub import Hub  # noqa: PLC0415 - takes a second, and only this command talks to a hub
    from engine.models.pull import pull  # noqa: PLC0415

    entries = pull(given.folder, given.name, Hub(), said.progress)
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
    from engine.models.adoption import adopt  # noqa: PLC0415 - torch takes seconds
    from engine.models.elsewhere import adopt_from, is_address  # noqa: PLC0415

    terms = Terms(given.licence, given.commercial)
    if is_address(given.path):
        how: dict[str, Any] = {"fetcher": shlex.split(given.fetcher), "told": said.progress}
        entry = adopt_from(given.folder, given.path, given.name, terms, **how, like=given.like)
    else:
        entry = adopt(given.folder, Path(given.path).resolve(), given.name, terms, given.like)
    _show(entry, said)
    if entry.licence == UNKNOWN:
        said.note(f"{entry.name}: its licence is unknown; to state it: {how_to_state(entry.name)}")


def _verify(given: argparse.Namespace, said: _Said) -> int:
    catalogue = Catalogue(given.folder)
    damaged = {error.name: error for error in catalogue.damaged()}
    wanted = given.names or sorted([*damaged, *(each.name for each in catalogue.entries())])
    found = {name: damaged.get(name) or catalogue.entry(name) for name in wanted}
    return max([_verified(name, each, said) for name, each in found.items()], default=0)


def _verified(name: str, found: Entry | ModelUnusable, said: _Said) -> int:
    try:
        if isinstance(found, ModelUnusable):
            raise found
        verified(found)
    except ModelUnusable as error:
        said.say({"verified": {"name": name, "ok": False, "reason": str(error)}}, f"{name}  DAMAGED  {error}")
        return FAILED
    said.say({"verified": {"name": name, "ok": True}}, f"{name}  as installed")
    return 0


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
    adopting.add_argument("path", help="a file, a folder, or with a fetcher the address of one in a store")
    adopting.add_argument("name")
    adopting.add_argument("--licence", default=UNKNOWN, help="what its licence is called")
    adopting.add_argument("--commercial", action="store_true", help="its licence permits commercial use")
    adopting.add_argument("--like", type=Path, help="a diffusers folder with the configurations of this checkpoint")
    adopting.add_argument("--fetcher", default="", help="a program that fetches an address into a folder")
    command("verify", "Compare installed files with their hashes.").add_argument("names", nargs="*")
    command("remove", "Remove an installed model.").add_argument("name")
    tiny = command("tiny", "Make a small model of random weights.")
    tiny.add_argument("path", type=Path, help="the folder that it becomes")
    tiny.add_argument("--kind", default="sdxl-tiny", help="which one of the small models")
    return parser
