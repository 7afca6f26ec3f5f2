"""``continuity models``."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from continuity.cli.engine import REMEDY, RendererSettings, engine_folder, installed
from continuity.cli.exits import ExitCode
from continuity.cli.files import CHECKOUT
from continuity.cli.output import table
from continuity.cli.session import AsJson, Session, execute
from continuity.kernel.errors import Absent, ContinuityError, Invalid, Unavailable

app = typer.Typer(name="models", help="Models that the SDXL renderers draw with.", no_args_is_help=True)

_LINE_BYTES = 2**20
_GB = 1e9
_INVALID = 2
_FETCHER = shlex.join((sys.executable, "-m", "continuity.objects.download"))
"""A program of its own: the engine's environment has no client of S3."""
_WITHOUT_TORCH = ("list", "verify", "remove")
_SHARES = 20
"""Progress is told so often for each model."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the model is called here.")]


@dataclass(eq=False)
class ModelsNotReady(Unavailable):
    """What handles models could not be installed."""

    template = "torch and diffusers could not be installed in {folder}; by itself that is: {remedy}"
    folder: Path
    remedy: str = REMEDY


@dataclass(eq=False)
class ModelRefused(Invalid):
    """What was asked for is not acceptable."""

    template = "{said}"
    said: str


@dataclass(eq=False)
class ModelAbsent(Absent):
    """No model of this name is installed."""

    template = "{said}"
    said: str


@dataclass(eq=False)
class ModelUnusable(ContinuityError):
    """A model could not be fetched, read or written."""

    template = "{said}"
    said: str


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A published model such as sdxl; an unknown name lists them.")],
    as_json: AsJson = False,
) -> None:
    """Fetch a published model; one that was interrupted goes on. HF_TOKEN and HF_ENDPOINT are respected."""
    execute(lambda session: _shown(session, "pull", name), as_json=as_json)


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List what is installed, with licences and sizes."""
    execute(lambda session: _shown(session, "list"), as_json=as_json)


@app.command()
def adopt(
    *,
    path: Annotated[str, typer.Argument(help="A diffusers folder or a safetensors file of yours, or s3://BUCKET/KEY.")],
    name: Name,
    licence: Annotated[str, typer.Option(help="What its licence is called.")] = "unknown",
    commercial: Annotated[bool, typer.Option("--commercial", help="Its licence permits commercial use.")] = False,
    like: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="A diffusers folder with its configurations.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take a model of your own in; files are linked where that is possible, s3:// is read as CONTINUITY_S3_… say."""
    is_address = "://" in path
    if not is_address and not Path(path).exists():
        raise typer.BadParameter(f"{path} does not exist", param_hint="PATH")
    more = [*(["--commercial"] if commercial else []), *(["--like", str(like.absolute())] if like else [])]
    more += ["--fetcher", _FETCHER] if is_address else []
    given = ("adopt", path if is_address else str(Path(path).absolute()), name, "--licence", licence, *more)
    execute(lambda session: _shown(session, *given), as_json=as_json)


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="All without any.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare installed files with the hashes that they had; exit code 1 unless all are the same."""

    async def work(session: Session) -> ExitCode:
        found = [each["verified"] async for each in _said(session, "verify", *(names or ())) if "verified" in each]
        rows = [("ok" if each["ok"] else "DAMAGED", each["name"], each.get("reason", "")) for each in found]
        session.output.show({"verified": found}, table(("", "model", "reason"), rows) if rows else "no models")
        return ExitCode.OK if all(each["ok"] for each in found) else ExitCode.FAILED

    execute(work, as_json=as_json)


@app.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Remove a model from the disk."""

    async def work(session: Session) -> None:
        async for _ in _said(session, "remove", name):
            pass
        session.output.show({"removed": name}, f"{name} removed")

    execute(work, as_json=as_json)


async def _shown(session: Session, *arguments: str) -> ExitCode:
    """Run a command whose results are models, and show them."""
    models: list[Any] = []
    damaged: list[Any] = []
    told: dict[str, int] = {}
    async for said in _said(session, *arguments):
        if "progress" in said:
            _tell_progress(session, said["progress"], told)
        models += [said["model"]] if "model" in said else []
        damaged += [said["damaged"]] if "damaged" in said else []
    rows = [*map(_row, models), *((each["name"], "DAMAGED", "", "", each["reason"]) for each in damaged)]
    shown = table(("model", "kind", "size", "commercial use", "licence"), rows) if rows else "no models"
    session.output.show({"models": models, "damaged": damaged}, shown)
    return ExitCode.FAILED if damaged else ExitCode.OK


def _row(model: Any) -> Iterable[str]:
    use = "yes" if model["commercial"] else "NO"
    return model["name"], model["kind"], f"{model['bytes'] / _GB:.2f} GB", use, model["licence"]


def _tell_progress(session: Session, progress: Any, told: dict[str, int]) -> None:
    total = max(1, progress["total_bytes"])
    share = _SHARES * progress["done_bytes"] // total
    if told.get(progress["name"]) != share:
        told[progress["name"]] = share
        session.output.note(f"{progress['name']}: {share / _SHARES:.0%} of {total / _GB:.2f} GB")


async def _said(session: Session, *arguments: str) -> AsyncIterator[Any]:
    """Run the engine's own command and yield the documents it says. Raises what it has failed with."""
    python = await _python(session, arguments[0])
    folder = RendererSettings().models or session.settings.home / "models"
    process = await asyncio.create_subprocess_exec(
        *(python, "-m", "engine.models", *arguments),
        *("--json", "--folder", str(folder.expanduser().absolute())),
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "libs")},
        stdin=DEVNULL,
        stdout=PIPE,
        limit=_LINE_BYTES,
    )
    error: Any = None
    assert process.stdout
    async for line in process.stdout:
        said = json.loads(line)
        error = said.get("error", error)
        yield said
    code = await process.wait()
    if error:
        raise _error(error, code)


async def _python(session: Session, command: str) -> str:
    """Return the interpreter of the engine's environment; where there is none yet, what needs no torch uses ours."""
    if command in _WITHOUT_TORCH and (CHECKOUT / "libs" / "engine").exists() and not engine_folder(CHECKOUT).exists():
        return sys.executable
    if not await installed("models need", session.output.note, CHECKOUT):
        raise ModelsNotReady(CHECKOUT)
    return str(engine_folder(CHECKOUT) / "bin" / "python")


def _error(error: Any, code: int) -> ContinuityError:
    if error.get("field") == "model":
        return ModelAbsent(error["message"])
    return ModelRefused(error["message"]) if code == _INVALID else ModelUnusable(error["message"])
