"""The pages say what is so: settings, tests, commands and links that they name exist, and none is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from continuity.cli.settings import Settings as CommandSettings
from continuity.hosting.settings import PlatformSettings
from deploy.local.infra import InfraSettings
from deploy.local.supervisor import DistributedSettings

ROOT = Path(__file__).resolve().parents[3]
OPERATIONS = ROOT / "docs" / "operations.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/settings.py"))
NOT_FOR_PEOPLE = {"COMMAND", "DATA_HOME"}
"""What the launcher tells the command line, and what is no variable of ours."""
TEST = re.compile(r"`((?:chaos|component|contract|e2e|integration|unit)/[\w/]+\.py)::(test_\w+)`")


@dataclass(frozen=True)
class Setting:
    """``who`` has it: ``all`` services, some by name, or another program."""

    name: str
    default: str
    who: str


def settings_of(who: str, kind: type[BaseSettings]) -> Iterator[Setting]:
    prefix = (kind.model_config.get("env_prefix") or "").removeprefix("CONTINUITY_")
    for name, field in kind.model_fields.items():
        if name.upper() not in NOT_FOR_PEOPLE:
            default = "…" if field.default_factory is not None else _shown(field.default)
            yield Setting(prefix + name.upper(), default, who)


def every_setting() -> set[Setting]:
    common = set(settings_of("all", PlatformSettings))
    names = {setting.name for setting in common}
    own: dict[str, list[Setting]] = {}
    for service in SERVICES:
        for setting in settings_of(service, import_module(f"services.{service}.settings").Settings):
            if setting.name not in names:
                own.setdefault(setting.name, []).append(setting)
    joined = {Setting(name, same[0].default, ", ".join(each.who for each in same)) for name, same in own.items()}
    command = {each for each in settings_of("command line", CommandSettings) if each.name not in names}
    servers = {*settings_of("make infra-up", InfraSettings), *settings_of("make up-distributed", DistributedSettings)}
    return common | joined | command | servers


def documented() -> set[Setting]:
    found = [Setting(_bare(name), _bare(default), who) for name, default, who, *_ in rows("Settings")]
    assert len(found) == len({setting.name for setting in found}), "one line a setting"
    return set(found)


def rows(section: str) -> list[list[str]]:
    """Return the cells of every table row below the heading, heads and rules left out."""
    text = re.split(r"(?m)^## ", OPERATIONS.read_text())
    (body,) = [each for each in text if each.startswith(section)]
    lines = [line for line in body.splitlines() if line.startswith("|")]
    heads = {place - 1 for place, line in enumerate(lines) if set(line) <= set("|-: ")}
    kept = [line for place, line in enumerate(lines) if place not in heads and place - 1 not in heads]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in kept]


def test_every_setting_is_documented_with_its_default_and_nothing_else_is() -> None:
    actual, told = every_setting(), documented()
    assert {setting.name for setting in told} == {setting.name for setting in actual}
    by_name = {setting.name: setting for setting in told}
    for setting in actual:
        said = by_name[setting.name]
        assert said.who == setting.who, setting
        assert setting.default in ("…", said.default), setting


def test_every_failure_names_the_tests_that_show_it() -> None:
    failures = rows("What a failure looks like")
    assert failures
    for cells in failures:
        assert len(cells) == 4, cells
        assert TEST.findall(cells[-1]), cells


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    for file, name in TEST.findall(page.read_text()):
        assert re.search(rf"(?m)^(async )?def {name}\(", (ROOT / "tests" / file).read_text()), f"{file}::{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_target_that_a_page_tells_to_make_exists(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", page.read_text(), re.M))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_exists(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link


def _shown(default: Any) -> str:
    match default:
        case None | SecretStr():
            return ""
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case Path():
            return "…"
        case _:
            return str(default)


def _bare(cell: str) -> str:
    return cell.strip("`")
