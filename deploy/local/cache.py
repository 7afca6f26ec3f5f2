"""What set-up builds once and keeps: ``~/.cache/continuity`` (or ``CONTINUITY_CACHE``), keyed by what it was made from.

Runs on the system's Python with nothing installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("CONTINUITY_CACHE") or Path.home() / ".cache" / "continuity")


class SetUpFailed(SystemExit):
    """Set-up cannot go on; the message says what the user can do."""


def say(text: str) -> None:
    """Print one line of progress to standard error."""
    print(f"set-up: {text}", file=sys.stderr, flush=True)


def digest(*parts: bytes) -> str:
    """Return twelve hex digits that change with any of the parts and with the Python in use."""
    tag = f"{sys.version_info.major}.{sys.version_info.minor} {sysconfig.get_platform()} {sys.base_prefix}"
    return hashlib.sha256(b"\0".join([tag.encode(), *parts])).hexdigest()[:12]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the named lock of the cache, so that two clones never build the same thing at once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def built_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """Return ``folder``, built by ``build`` unless an earlier run finished it."""
    marker = folder / ".complete"
    if marker.exists():
        return folder
    with locked(folder.name):
        if not marker.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            build(folder)
            marker.touch()
    return folder


def run(*command: str | Path, **options: object) -> None:
    """Run a command and stop set-up with its output when it fails."""
    done = subprocess.run([str(part) for part in command], check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise SetUpFailed(f"set-up: {' '.join(map(str, command))} failed with exit code {done.returncode}")


def install_packages(packages: list[str]) -> None:
    """Install Debian packages as root, or say the one command that does."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetUpFailed(f"set-up: this system lacks {', '.join(packages)}; install with: sudo {' '.join(command)}")
    say(f"installing {', '.join(packages)}")
    run("apt-get", "update", "-q", stdout=subprocess.DEVNULL)
    run(*command, stdout=subprocess.DEVNULL)
