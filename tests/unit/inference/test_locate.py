from pathlib import Path

import pytest

from continuity.inference.errors import EngineMissing, TritonMissing
from continuity.inference.locate import locate_triton, with_engine

FILES = (
    ".venv-triton/bin/python",
    ".venv-triton/lib/python3.11/site-packages/nvidia_pytriton.libs/lib.so",
    ".venv-triton/lib/python3.11/site-packages/pytriton/tritonserver/bin/tritonserver",
    ".triton/backends/python/triton_python_backend_stub",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_an_installed_triton_is_found(checkout: Path) -> None:
    found = locate_triton(checkout)
    assert found.server == checkout / FILES[2]
    assert found.backends == checkout / ".triton" / "backends"
    assert found.site_packages == checkout / ".venv-triton" / "lib" / "python3.11" / "site-packages"
    assert found.libraries[0] == found.site_packages / "nvidia_pytriton.libs"


@pytest.mark.parametrize("missing", [FILES[0], FILES[2], FILES[3]])
def test_a_missing_part_is_named_with_the_command_that_installs_it(checkout: Path, missing: str) -> None:
    (checkout / missing).unlink()
    with pytest.raises(TritonMissing) as caught:
        locate_triton(checkout)
    assert caught.value.missing == str(checkout / missing)
    assert "make triton" in str(caught.value)


def test_a_fresh_checkout_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TritonMissing, match="make triton"):
        locate_triton(tmp_path)


def test_the_models_of_the_engine_get_its_environment_and_the_server_stays(checkout: Path) -> None:
    site_packages = checkout / ".venv-engine" / "lib" / "python3.11" / "site-packages"
    site_packages.mkdir(parents=True)
    plain = locate_triton(checkout)
    found = with_engine(plain, checkout)
    assert (found.programs, found.site_packages) == (checkout / ".venv-engine" / "bin", site_packages)
    assert (found.server, found.backends, found.libraries) == (plain.server, plain.backends, plain.libraries)


def test_without_the_engines_environment_the_command_that_installs_it_is_told(checkout: Path) -> None:
    with pytest.raises(EngineMissing, match=r"\.venv-engine does not exist.*deploy\.local\.set_up engine"):
        with_engine(locate_triton(checkout), checkout)
