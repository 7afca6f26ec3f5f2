"""A runtime started in the background, for as long as it takes until it serves."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from continuity.cli.home import require_home
from continuity.cli.settings import Settings
from continuity.kernel.errors import Invalid, Unavailable
from continuity.kernel.variables import PREFIX

MODULE = "services.embedded"
RUNTIME_COMMAND = (sys.executable, "-P", "-m", MODULE)
"""Without the folder that the user happens to be in on the import path."""
MISCONFIGURED = 2
"""Exit code of a runtime whose settings a person has to change; its last lines say which."""
START_TIMEOUT_S = 60.0
POLL_S = 0.1
RESPAWN_S = 3.0
MAX_LOG_BYTES = 5_000_000
TAIL_LINES = 15
H = TypeVar("H")


@dataclass(eq=False)
class RuntimeDidNotStart(Unavailable):
    """The embedded runtime ended or did not serve in time."""

    template = "the runtime did not start: {cause}\n{log_tail}the whole log: {log_file}"
    cause: str
    log_tail: str
    log_file: Path


@dataclass(eq=False)
class SettingsInvalid(Invalid):
    """The runtime refuses its settings; ``problems`` names variables, and what they may be."""

    template = "{problems}"
    problems: str


async def started(settings: Settings, join: Callable[[], Awaitable[H | None]]) -> H:
    """Start a runtime and return what ``join`` does once it serves.

    Raises ``RuntimeDidNotStart``, ``SettingsInvalid`` and ``HomeUnusable``.
    """
    runtime = _DetachedRuntime(settings)
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while (joined := await join()) is None:
                runtime.keep_starting()
                await asyncio.sleep(POLL_S)
            return joined
    except TimeoutError:
        raise runtime.did_not_start(f"it did not serve within {START_TIMEOUT_S:.0f} s") from None


async def check_settings(settings: Settings) -> None:
    """Have the services look at their settings, and start nothing. Raises ``SettingsInvalid``."""
    child = await asyncio.create_subprocess_exec(
        *RUNTIME_COMMAND, "--check", stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, env=settings.child_environment()
    )
    _, said = await child.communicate()
    if child.returncode == MISCONFIGURED:
        raise _settings_invalid(said.decode(errors="replace").splitlines())


def _settings_invalid(lines: list[str]) -> SettingsInvalid:
    """Return the error that the last of a program's lines tell of."""
    return SettingsInvalid("\n".join(line for line in lines if line.startswith(PREFIX)) or lines[-1])


class _DetachedRuntime:
    """A runtime in a session of its own: neither Ctrl-C nor the end of the command reaches it.

    A child that finds another runtime in this home ends with exit code 0. That one may be on its way in, so we wait
    for it, or on its way out, so we start again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        settings.log_file.parent.mkdir(parents=True, exist_ok=True)
        if settings.log_file.exists() and settings.log_file.stat().st_size > MAX_LOG_BYTES:
            settings.log_file.replace(settings.log_file.with_suffix(".log.1"))
        self._log_begin = settings.log_file.stat().st_size if settings.log_file.exists() else 0

    def keep_starting(self) -> None:
        """Start a child unless one is; raise why the last one failed."""
        ended = self._child.poll() if self._child else 0
        if ended:
            require_home(self._settings)  # on a disk that has filled up not even its log may say so
            raise (
                _settings_invalid(self._logged())
                if ended == MISCONFIGURED
                else self.did_not_start(f"it ended with exit code {ended}")
            )
        if ended == 0 and time.monotonic() - self._started_at > RESPAWN_S:
            self._spawn()

    def did_not_start(self, cause: str) -> RuntimeDidNotStart:
        """Return the error with what the runtime has logged since."""
        tail = "".join(f"{line}\n" for line in self._logged()[-TAIL_LINES:])
        return RuntimeDidNotStart(cause, tail, self._settings.log_file)

    def _logged(self) -> list[str]:
        return self._settings.log_file.read_bytes()[self._log_begin :].decode(errors="replace").splitlines()

    def _spawn(self) -> None:
        with self._settings.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [*RUNTIME_COMMAND, "--exit-when-idle"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._settings.child_environment(),
            )
        self._started_at = time.monotonic()
