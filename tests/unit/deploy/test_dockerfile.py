"""What the Dockerfile copies, installs and starts exists, and images hold no more than they need."""

import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from continuity.messaging.topics import TOPICS_FOLDER
from deploy.local.distributed import service_names
from deploy.local.set_up import LOCKS
from tests.unit.deploy.described import ROOT, containers, dockerfile, ignored, pins

FINAL = {each["build"]["target"] for each in containers().values() if "build" in each}


def sources(stage: str, service: str = "rendering") -> list[str]:
    return [source.replace("${SERVICE}", service) for source in dockerfile()[1][stage].sources()]


def test_every_image_that_is_built_has_a_stage() -> None:
    assert {"service", "triton", "sdxl", "objects", "collector"} == FINAL
    assert set(dockerfile()[1]) >= FINAL


def test_every_stage_stands_on_another_or_on_a_pinned_image() -> None:
    arguments, stages = dockerfile()
    for stage in stages.values():
        base = re.sub(r"(?<=-)\$\{(\w+)\}", lambda each: arguments[each[1]], stage.base)
        assert base in stages or base.removeprefix("${").removesuffix("}") in arguments
        for copy in stage.all("COPY"):
            assert set(re.findall(r"--from=(\S+)", copy)) <= set(stages)


@pytest.mark.parametrize("stage", dockerfile()[1])
def test_what_is_copied_exists_and_reaches_the_builder(stage: str) -> None:
    for service in service_names():
        for source in sources(stage, service):
            assert (ROOT / source).exists()
            assert not ignored(source)


def test_stubs_caches_and_secrets_do_not_reach_the_builder() -> None:
    kept_away = [".env", ".git/config", "tests/conftest.py", "libs/continuity/api/x_pb2.py", "libs/buf/x.py"]
    kept_away += ["services/rendering/__pycache__/x.pyc", "libs/continuity/rpc/__pycache__/x.pyc"]
    assert all(map(ignored, kept_away))


def test_an_image_holds_one_service_the_libraries_and_the_topics() -> None:
    assert sources("service", "vision") == ["libs", "deploy/kafka/topics", "services/vision"]


def test_the_topics_are_where_the_code_looks_for_them() -> None:
    topics = str(TOPICS_FOLDER.relative_to(ROOT))
    assert f"{topics} {topics}" in dockerfile()[1]["service"].all("COPY")


@pytest.mark.parametrize("service", service_names())
def test_what_an_image_starts_is_a_program(service: str) -> None:
    shell, dash_c, line = json.loads(dockerfile()[1]["service"].last("ENTRYPOINT"))
    assert (shell, dash_c) == ("/bin/sh", "-c")
    exec_, python, dash_m, module = line.replace("${SERVICE}", service).split()
    assert (exec_, python, dash_m) == ("exec", "python", "-m")
    assert Path(ROOT, *module.split("."), "__main__.py").exists()
    assert import_module(module)


@pytest.mark.parametrize("stage", sorted(FINAL))
def test_no_image_runs_as_root(stage: str) -> None:
    assert int(dockerfile()[1][stage].last("USER").split(":")[0]) > 0


def test_services_and_triton_are_ended_by_the_signal_that_they_drain_on() -> None:
    assert [dockerfile()[1][stage].last("STOPSIGNAL") for stage in ("service", "triton", "sdxl")] == 3 * ["SIGTERM"]


def test_packages_are_installed_by_hash_and_never_compiled() -> None:
    installs = [run for stage in dockerfile()[1].values() for run in stage.all("RUN") if "pip install" in run]
    assert len(installs) == 7
    for run in installs:
        assert "--require-hashes" in run
        assert "--only-binary :all:" in run


def versions(lock: str) -> dict[str, set[str]]:
    """Return the versions of each package, several where they differ by system."""
    found: dict[str, set[str]] = {}
    for pin in pins(lock):
        package, version = pin.split("==")
        found.setdefault(package, set()).add(version)
    return found


def test_services_run_on_the_versions_that_tests_ran_on() -> None:
    for name, *within in LOCKS:
        for other in within:
            for package, found in versions(name).items():
                assert versions(other).get(package, found) == found
    assert pins("main") < pins("dev")
    assert pins("models") < pins("triton")
    assert pins("models") < pins("engine"), "previz draws the same bytes beside the diffusion engine"


def test_images_of_services_hold_no_tools() -> None:
    names = {pin.split("==")[0] for pin in pins("main")}
    assert not names & {"pytest", "mypy", "ruff", "grpcio-tools", "hypothesis", "pre-commit"}


@pytest.mark.parametrize(("name", "models"), [("triton", ["previz"]), ("sdxl", ["previz", "sdxl"])])
def test_triton_hosts_the_models_and_what_they_import(name: str, models: list[str]) -> None:
    stages = dockerfile()[1]
    stage, packages = stages[name], {"triton": "/opt/models", "sdxl": "/opt/engine"}[name]
    assert "deploy/triton/model_repository" in stages["triton"].sources()
    assert [word.split("=")[1] for word in stage.command() if word.startswith("--load-model=")] == models
    for model in models:
        assert (ROOT / "deploy" / "triton" / "model_repository" / model / "config.pbtxt").exists()
    assert any(f"/app/libs:{packages}" in environment for environment in stage.all("ENV"))
    assert any(packages in copy for copy in stage.all("COPY"))


def test_the_engines_image_stands_on_the_composers() -> None:
    stages = dockerfile()[1]
    assert stages["sdxl"].base == "triton"
    assert stages["engine"].base == "engine-${ENGINE}"
    assert {"engine-cuda", "engine-cpu"} < set(stages)


def test_what_ends_a_hanging_engine_is_in_its_image_and_wants_nothing_installed(tmp_path: Path) -> None:
    for copied in dockerfile()[1]["sdxl"].all("COPY")[1:]:
        *sources, target = copied.split()
        for source in sources:
            place = tmp_path / target / (Path(source).name if target.endswith("/") else "")
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
            copy(ROOT / source, place)
    line = "from continuity.inference.engine_watch import EngineWatch"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(tmp_path / 'libs')!r}); {line}"]
    subprocess.run(command, check=True)


def test_the_engine_for_processors_is_the_same_but_for_torch_and_what_cuda_needs() -> None:
    """The program is the image's; only what it drops is decided there."""
    (make, *_installs) = dockerfile()[1]["engine-cpu"].all("RUN")
    program = make.partition("awk ")[2].partition(" >")[0]
    kept = subprocess.run(
        ["/bin/sh", "-c", f"awk {program}"], cwd=ROOT / "requirements", stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    names = set(re.findall(r"^([\w.-]+)==", kept, re.MULTILINE))
    dropped = {pin.split("==")[0] for pin in pins("engine")} - names
    assert {"torch", "triton", "nvidia-cublas", "cuda-toolkit"} <= dropped
    assert all(re.match("torch|triton|nvidia-|cuda-", name) for name in dropped)
    assert {"diffusers", "transformers", "numpy", "sympy", "filelock"} <= names
    orphans = [line for line in kept.splitlines() if not line.startswith(" ") and "==" not in line]
    assert orphans == []
    (argument,) = dockerfile()[1]["engine-cpu"].all("ARG")
    (version,) = versions("engine")["torch"]
    assert f"/torch-{version}%2Bcpu-" in argument
    assert re.search("#sha256=[0-9a-f]{64}$", argument)
