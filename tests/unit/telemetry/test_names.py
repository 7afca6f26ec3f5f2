import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import yaml
from opentelemetry.semconv._incubating import attributes, metrics

from continuity.telemetry.names import ATTRIBUTES, METRICS, OPERATIONS

ROOT = Path(__file__).resolve().parents[3]
DECLARED = [*(each.name for each in METRICS), *ATTRIBUTES]
CONVENTIONAL = re.compile(r"(rpc|messaging|server|error)\.[a-z_.]+")


def documented(section: str) -> set[str]:
    """The names in the first column of a table of the page."""
    page = (ROOT / "docs" / "telemetry.md").read_text()
    table = page.split(f"## {section}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def conventions() -> Iterator[str]:
    for package in (attributes, metrics):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            yield from (value for value in vars(import_module(module.name)).values() if isinstance(value, str))


def strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_name_is_documented_and_no_other() -> None:
    assert documented("Metrics") == {each.name for each in METRICS}
    assert documented("Attributes") == set(ATTRIBUTES)
    assert documented("Spans") == {each.name for each in OPERATIONS}


def test_every_name_is_declared_once() -> None:
    assert len(DECLARED) == len(set(DECLARED))


def test_names_are_ours_or_of_the_semantic_conventions() -> None:
    known = set(conventions())
    assert [name for name in DECLARED if not name.startswith("continuity.") and name not in known] == []


@pytest.mark.parametrize("folder", ["libs/continuity", "services"])
def test_no_code_spells_a_name_itself(folder: str) -> None:
    paths = [path for path in (ROOT / folder).rglob("*.py") if path.name != "names.py" and "api" not in path.parts]
    spelled = {(path.name, text) for path in paths for text in strings(path)}
    assert [each for each in spelled if CONVENTIONAL.fullmatch(each[1]) or each[1] in DECLARED] == []


def test_every_name_is_used() -> None:
    paths = [path for folder in ("libs", "services") for path in (ROOT / folder).rglob("*.py")]
    texts = [path.read_text() for path in paths if path.name != "names.py"]
    used = " ".join(text for text in texts if "continuity.telemetry" in text)
    constants = [
        node.targets[0].id
        for node in ast.parse((ROOT / "libs/continuity/telemetry/names.py").read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    unused = {name for name in constants if not re.search(rf"\b{name}\b", used)}
    assert unused == {"FAST_S", "SLOW_S", "OPERATIONS", "ATTRIBUTES"}


def test_histograms_have_rising_boundaries() -> None:
    for metric in METRICS:
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(set(metric.buckets))


def test_the_collectors_pipelines_are_whole() -> None:
    collector = yaml.safe_load((ROOT / "deploy" / "otel" / "collector.yaml").read_text())
    for pipeline in collector["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(collector[kind])
