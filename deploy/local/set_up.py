"""Make this checkout runnable: virtual environments, generated stubs, Triton's backend directory.

Runs on the system's Python with nothing installed. Everything that is downloaded or built lies under
``~/.cache/continuity`` (or ``CONTINUITY_CACHE``), keyed by what it was made from, so a second clone is instant.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from deploy.local import programs
from deploy.local.cache import CACHE, ROOT, SetUpFailed, built_once, digest, install_packages, run, say

OLDEST_PYTHON = (3, 11)
BUF = "@bufbuild/buf@1.75.0"
ASYNCAPI = "@asyncapi/specs@6.11.1"
UV = "uv==0.13.8"
LOCKS = (
    ("dev",),
    ("main", "dev"),
    ("triton",),
    ("models", "triton"),
    ("bench",),
    ("engine", "triton"),
    ("engine-dev", "engine"),
    ("vocabulary",),
)
"""Lock files in the order in which they are made; the second name is the one whose versions the first keeps to."""


ALONE = ("engine-dev", "vocabulary")
"""Locks without what their packages depend on."""


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


def environment(name: str, data: str | None = None, within: Path | None = None) -> Path:
    """Return the virtual environment made from ``requirements/<name>.lock``.

    The packages of ``data``'s lock come without what they depend on; those of ``within``'s environment are seen, too.
    """
    lock = ROOT / "requirements" / f"{name}.lock"
    data_lock = ROOT / "requirements" / f"{data}.lock" if data else None
    keys = [lock.read_bytes(), data_lock.read_bytes() if data_lock else b"", str(within or "").encode()]

    def build(folder: Path) -> None:
        say(f"installing {lock.relative_to(ROOT)} into {folder}")
        run(sys.executable, "-m", "venv", folder)
        install = (folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes")
        alone = ("--no-deps",) if within else ()
        run(*install, *alone, "-r", lock)
        if data_lock:
            run(*install, "--no-deps", "-r", data_lock)
        if within:
            (site_packages(folder) / "within.pth").write_text(f"{site_packages(within)}\n", encoding="utf-8")

    return built_once(CACHE / "venvs" / f"{name}-{digest(*filter(None, keys))}", build)


def site_packages(venv: Path) -> Path:
    """Return where a virtual environment keeps its packages."""
    return next(venv.glob("lib/python3.*/site-packages"))


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
    site = site_packages(venv)

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


def set_up_bench() -> None:
    """Install what the control-plane benchmark is measured against: Celery, and Redis from the system's packages."""
    require_system()
    if not shutil.which("redis-server"):
        install_packages(["redis-server"])
    link(environment("bench"), ".venv-bench")


def set_up_engine() -> None:
    """Install what the SDXL renderers need besides Triton: torch with CUDA's libraries, 6 GB, and diffusers."""
    set_up_triton()
    link(environment("engine", "vocabulary"), ".venv-engine")


def set_up_engine_tests() -> None:
    """Install what the engine's tests import, in an environment that sees the engine's own."""
    set_up_engine()
    link(environment("engine-dev", within=(ROOT / ".venv-engine").resolve()), ".venv-engine-dev")


def set_up_buf() -> None:
    """Install buf, the proto linter, and AsyncAPI's own schema from npm."""
    if not shutil.which("npm"):
        install_packages(["npm"])

    def build(folder: Path) -> None:
        say(f"installing {BUF} and {ASYNCAPI}")
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, BUF, ASYNCAPI)

    link(built_once(CACHE / "buf" / digest(BUF.encode(), ASYNCAPI.encode()), build), ".buf")


def set_up_infra() -> None:
    """Build Kafka, MinIO and the server that speaks MongoDB's protocol."""
    programs.java()
    if not shutil.which("openssl"):
        install_packages(["openssl"])
    for build in (programs.kafka, programs.mongo_stand_in, programs.minio):
        build()


def set_up_proxy() -> None:
    """Build the proxy that stands before the services and the one that breaks connections in tests."""
    programs.caddy()
    programs.toxiproxy()


def make_locks() -> None:
    """Resolve ``requirements/*.in`` anew, without addresses in the result."""
    venv = CACHE / "venvs" / f"lock-{digest(UV.encode())}"

    def build(folder: Path) -> None:
        run(sys.executable, "-m", "venv", folder)
        run(folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", UV)

    uv = built_once(venv, build) / "bin" / "uv"
    for name, *within in LOCKS:
        run(
            *(uv, "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--generate-hashes"),
            *("--no-emit-index-url", "--no-header", "--no-annotate"),
            *(f"--constraint={each}.lock" for each in within),
            *(("--no-deps",) if name in ALONE else ()),
            *(f"{name}.in", "-o", f"{name}.lock"),
            cwd=ROOT / "requirements",
        )


STEPS: dict[str, Callable[[], None]] = {
    "main": set_up_main,
    "triton": set_up_triton,
    "engine": set_up_engine,
    "engine-tests": set_up_engine_tests,
    "stubs": generate_stubs,
    "buf": set_up_buf,
    "bench": set_up_bench,
    "infra": set_up_infra,
    "proxy": set_up_proxy,
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
