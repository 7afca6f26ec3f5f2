"""Make this checkout runnable: virtual environments, generated stubs, Triton's backend directory.

Runs on the system's Python with nothing installed. Everything that is downloaded or built lies under
``~/.cache/continuity`` (or ``CONTINUITY_CACHE``), keyed by what it was made from, so a second clone is instant.
"""

from __future__ import annotations

import argparse
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
OLDEST_PYTHON = (3, 11)
BUF = "@bufbuild/buf@1.75.0"
UV = "uv==0.13.8"


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
    with locked(folder.name):
        marker = folder / ".complete"
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


def require_system() -> None:
    """Check for the Python, ensurepip and libpython that the rest needs; install the latter two where this is root."""
    if sys.version_info < OLDEST_PYTHON:
        raise SetUpFailed(f"set-up: Python {sys.version.split()[0]} is too old, 3.11 or later is needed")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    missing = [] if has_module("ensurepip") else [f"python{version}-venv"]
    if not libpython():
        missing.append(f"libpython{version}")
    if missing:
        install_packages(missing)


def install_packages(packages: list[str]) -> None:
    """Install Debian packages as root, or say the one command that does."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetUpFailed(f"set-up: this system lacks {', '.join(packages)}; install with: sudo {' '.join(command)}")
    say(f"installing {', '.join(packages)}")
    run("apt-get", "update", "-q", stdout=subprocess.DEVNULL)
    run(*command, stdout=subprocess.DEVNULL)


def has_module(name: str) -> bool:
    """Tell whether the running Python can import ``name``."""
    return (
        subprocess.run([sys.executable, "-c", f"import {name}"], check=False, stderr=subprocess.DEVNULL).returncode == 0
    )


def libpython() -> Path | None:
    """Return the shared libpython that Triton's Python stub is linked against, or None."""
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    folders = [sysconfig.get_config_var("LIBDIR"), f"/usr/lib/{sysconfig.get_config_var('MULTIARCH') or ''}"]
    return next((Path(folder) / name for folder in folders if folder and (Path(folder) / name).exists()), None)


def environment(name: str) -> Path:
    """Return the virtual environment made from ``requirements/<name>.lock``."""
    lock = ROOT / "requirements" / f"{name}.lock"

    def build(folder: Path) -> None:
        say(f"installing {lock.relative_to(ROOT)} into {folder}")
        run(sys.executable, "-m", "venv", folder)
        run(folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", lock)

    return built_once(CACHE / "venvs" / f"{name}-{digest(lock.read_bytes())}", build)


def link(target: Path, name: str) -> None:
    """Point ``ROOT/name`` at ``target``."""
    path = ROOT / name
    if path.is_symlink() and path.resolve() == target.resolve():
        return
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        raise SetUpFailed(f"set-up: {path} is not a link of ours; move it away")
    path.symlink_to(target)


def set_up_main() -> None:
    """Install what the services and the tests import, and generate the stubs."""
    require_system()
    link(environment("dev"), ".venv")
    generate_stubs()


def generate_stubs() -> None:
    """Generate the protobuf stubs when a proto changed since the last time."""
    run(ROOT / ".venv" / "bin" / "python", ROOT / "protos" / "generate.py")


def set_up_triton() -> None:
    """Install Triton from its wheel and lay out the backend directory that it starts from."""
    require_system()
    venv = environment("triton")
    site = next(venv.glob("lib/python3.*/site-packages"))

    def build(folder: Path) -> None:
        say(f"laying out Triton's Python backend in {folder}")
        lay_out_backend(site / "pytriton" / "tritonserver", folder / "backends" / "python")

    home = built_once(CACHE / "triton" / digest(venv.name.encode()), build)
    link(venv, ".venv-triton")
    link(home, ".triton")


def lay_out_backend(wheel: Path, backend: Path) -> None:
    """Copy the Python backend and the stub of the running Python into a backend directory of our own."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(wheel / "backends" / "python", backend)
    stubs = wheel / "python_backend_stubs" / version
    stub = next(stubs.glob("*_stub"), None)
    if stub is None:
        raise SetUpFailed(f"set-up: Triton's wheel has no stub for Python {version}; use Python 3.11, 3.12 or 3.13")
    shutil.copy2(stub, backend / stub.name)


def set_up_buf() -> None:
    """Install buf, the proto linter, from npm."""
    if not shutil.which("npm"):
        install_packages(["npm"])

    def build(folder: Path) -> None:
        say(f"installing {BUF}")
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, BUF)

    link(built_once(CACHE / "buf" / digest(BUF.encode()), build), ".buf")


def make_locks() -> None:
    """Resolve ``requirements/*.in`` anew, without addresses in the result."""
    venv = CACHE / "venvs" / f"lock-{digest(UV.encode())}"

    def build(folder: Path) -> None:
        run(sys.executable, "-m", "venv", folder)
        run(folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", UV)

    uv = built_once(venv, build) / "bin" / "uv"
    for name in ("dev", "triton"):
        run(
            *(uv, "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--generate-hashes"),
            *("--no-emit-index-url", "--no-header", "--no-annotate"),
            *(f"{name}.in", "-o", f"{name}.lock"),
            cwd=ROOT / "requirements",
        )


STEPS: dict[str, Callable[[], None]] = {
    "main": set_up_main,
    "triton": set_up_triton,
    "stubs": generate_stubs,
    "buf": set_up_buf,
    "lock": make_locks,
}


def main() -> None:
    """Run the steps named on the command line in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", nargs="+", choices=sorted(STEPS))
    for step in parser.parse_args().steps:
        STEPS[step]()


if __name__ == "__main__":
    main()
