"""Where a checkout keeps its Triton."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from continuity.inference.errors import EngineMissing, TritonMissing

ENGINE_VENV = ".venv-engine"


@dataclass(frozen=True)
class TritonInstallation:
    """The files of an installed Triton: the wheel's server and libraries, its Python, and a backend directory."""

    server: Path
    backends: Path
    programs: Path
    site_packages: Path
    libraries: tuple[Path, ...]


def locate_triton(root: Path) -> TritonInstallation:
    """Return the Triton of ``.venv-triton`` and ``.triton`` in ``root``, or raise ``TritonMissing``.

    The Python stub is linked against the shared library of the Python that the virtual environment was made from.
    """
    venv = root / ".venv-triton"
    python = _existing(venv / "bin" / "python")
    site_packages = _existing(next(iter(venv.glob("lib/python3.*/site-packages")), venv / "lib"))
    backends = root / ".triton" / "backends"
    _existing(backends / "python" / "triton_python_backend_stub")
    return TritonInstallation(
        server=_existing(site_packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"),
        backends=backends,
        programs=venv / "bin",
        site_packages=site_packages,
        libraries=(_existing(site_packages / "nvidia_pytriton.libs"), python.resolve().parents[1] / "lib"),
    )


def with_engine(installed: TritonInstallation, root: Path) -> TritonInstallation:
    """Return the same server with the environment of the diffusion engine for its models.

    The engine's holds everything that the other models import, in the same versions. Raises ``EngineMissing``.
    """
    venv = root / ENGINE_VENV
    site_packages = next(iter(venv.glob("lib/python3.*/site-packages")), None)
    if site_packages is None:
        raise EngineMissing(str(venv))
    return replace(installed, programs=venv / "bin", site_packages=site_packages)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise TritonMissing(str(path))
    return path
