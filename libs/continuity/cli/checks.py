"""What the command line and its runtime need, looked at."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from continuity import __version__
from continuity.cli.engine import PREVIZ, REMEDY, TINY, RendererSettings, engine_folder
from continuity.cli.files import CHECKOUT
from continuity.cli.health import RENDERER_HEALTH, SERVING, healths
from continuity.cli.home import HomeUnusable, require_home
from continuity.cli.kernels import command, gpu, untuned
from continuity.cli.runtime import join
from continuity.cli.settings import Settings

_NOBODY = {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
OLDEST_PYTHON = (3, 11)
FREE_DISK_BYTES = 1_000_000_000
LIBRARIES = (
    "grpcio",
    "protobuf",
    "faststream",
    "aiokafka",
    "confluent-kafka",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "scipy",
    "tritonclient",
)


@dataclass(frozen=True)
class Check:
    """One thing looked at; ``needed`` where nothing can be rendered on this machine without it."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    needed: bool = True

    def document(self) -> dict[str, Any]:
        """Return the check as JSON has it."""
        return asdict(self)


async def checks(settings: Settings) -> list[Check]:
    """Look at everything, in the order in which it is to be mended."""
    here = not settings.address  # services elsewhere bring their own libraries, Triton and disk
    return [
        _python(),
        *_libraries(needed=here),
        *_triton(needed=here),
        *_renderer(settings, needed=here),
        _home(settings, needed=here),
        _disk(settings.home, needed=here),
        *await _runtime(settings),
    ]


def _python() -> Check:
    wanted = ".".join(map(str, OLDEST_PYTHON))
    return Check("Python", sys.version_info >= OLDEST_PYTHON, platform.python_version(), f"install Python {wanted}")


def _libraries(*, needed: bool) -> Iterator[Check]:
    for name in LIBRARIES:
        try:
            yield Check(name, True, importlib.metadata.version(name), needed=needed)
        except importlib.metadata.PackageNotFoundError:
            yield Check(name, False, "", "make setup", needed=needed)


def _triton(*, needed: bool) -> Iterator[Check]:
    server = next(
        CHECKOUT.glob(".venv-triton/lib/python3.*/site-packages/pytriton/tritonserver/bin/tritonserver"), None
    )
    yield Check("Triton server", server is not None, _shown(server), "make triton", needed=needed)
    stub = next(CHECKOUT.glob(".triton/backends/python/*_stub"), None)
    yield Check("Triton's Python backend", stub is not None, _shown(stub), "make triton", needed=needed)


def _renderer(settings: Settings, *, needed: bool) -> Iterator[Check]:
    """What draws: nothing is wrong where the engine of a renderer that nobody asked for is missing."""
    told = RendererSettings()
    asked = needed and told.renderer != PREVIZ
    yield Check("renderer", True, told.renderer, needed=False)
    engine = engine_folder()
    yield Check("diffusion engine", engine.exists(), engine.name if engine.exists() else "", REMEDY, needed=asked)
    if told.renderer != PREVIZ:
        model = told.model_folder(settings.home)
        there, tiny = (model / "model.json").exists(), told.renderer == TINY
        mend = "nothing: the first use generates it" if tiny else f"{settings.command} models pull {model.name}"
        yield Check(f"model {model.name}", there, str(model) if there else "", mend, needed=asked and not tiny)
        if needed:
            yield from _kernels(model)


def _kernels(model: Path) -> Iterator[Check]:
    """Without tuned ones a GPU draws slower, and nothing else is wrong."""
    if (here := gpu()) is not None:
        why = untuned(model.parent, *here)
        yield Check("tuned kernels", not why, why or f"for {here[0]}", command(model.parent, model.name), needed=False)


def _home(settings: Settings, *, needed: bool) -> Check:
    found, mend = str(settings.home), "set CONTINUITY_HOME to a folder of yours"
    try:
        require_home(settings)
    except HomeUnusable as unusable:
        return Check("home writable", False, f"{found}: {unusable.cause}", mend, needed=needed)
    return Check("home writable", True, found, mend, needed=needed)


def _disk(home: Path, *, needed: bool) -> Check:
    free = shutil.disk_usage(_nearest_existing(home)).free
    wanted = f"free {FREE_DISK_BYTES / 1e9:.0f} GB, or set CONTINUITY_HOME to another disk"
    return Check("free disk", free >= FREE_DISK_BYTES, f"{free / 1e9:.1f} GB", wanted, needed=needed)


async def _runtime(settings: Settings) -> list[Check]:
    if settings.address:
        return await _services(settings.address)
    hold = await join(settings.home)
    if hold is None:
        mend = "nothing: commands start it, or continuity up"
        return [Check("runtime", False, "not running", mend, needed=False)]
    record = hold.record
    found = f"version {record.version} at {record.address}, process {record.pid}"
    mend = f"{settings.command} down, so that version {__version__} starts"
    unneeded = {RENDERER_HEALTH: "starts when it is needed"} if await hold.waits_with_renderer() else {}
    services = await _services(record.address, unneeded)
    await hold.release()
    return [Check("runtime", record.version == __version__, found, mend, needed=False), *services]


async def _services(address: str, unneeded: Mapping[str, str] = MappingProxyType({})) -> list[Check]:
    """Ask who answers at an address how each service is, and what they all depend on unless it is not needed now."""
    told = await healths(address)
    if set(told.values()) <= _NOBODY:
        reason = ", ".join(sorted(set(told.values())))
        return [
            Check(
                "services", False, f"nobody answers at {address} ({reason})", "start them, or mend CONTINUITY_ADDRESS"
            )
        ]
    mend = "see its log, and docs/operations.md"
    answer = Check("services", True, f"answer at {address}")
    every = [Check(name, health == SERVING, health, mend) for name, health in told.items() if name not in unneeded]
    return [answer, *every, *(Check(name, True, why) for name, why in unneeded.items())]


def _shown(path: Path | None) -> str:
    return str(path.relative_to(CHECKOUT)) if path else ""


def _nearest_existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if os.path.exists(each))  # noqa: PTH110  # Path.exists raises where a folder is closed
