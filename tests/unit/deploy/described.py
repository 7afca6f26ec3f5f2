"""``docker-compose.yml``, the Dockerfile and ``.dockerignore`` as data."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


@cache
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def containers() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """The containers that run a service of ours."""
    return {name: each for name, each in containers().items() if each.get("build", {}).get("target") == "service"}


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """Fill variables in as compose does: what is given, else the default."""

    def value(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        return given[name] if kind == "?" else given.get(name, default or "")

    return VARIABLE.sub(value, text)


def variables(kind: str) -> set[str]:
    """The names that the file must be given (``?``) or may be given (``-``)."""
    return {name for name, found, _ in VARIABLE.findall((ROOT / "docker-compose.yml").read_text()) if found == kind}


@dataclass
class Stage:
    """One ``FROM`` of the Dockerfile and its instructions."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [arguments for name, arguments in self.instructions if name == instruction]

    def last(self, instruction: str) -> str:
        return self.all(instruction)[-1]

    def command(self) -> list[str]:
        """``ENTRYPOINT`` and ``CMD``, which must be in the form that no shell interprets."""
        words = [json.loads(each) for name in ("ENTRYPOINT", "CMD") for each in self.all(name)]
        return [word for part in words for word in part]

    def sources(self) -> list[str]:
        """What is copied from the checkout."""
        copies = [each.split() for each in self.all("COPY") if "--from=" not in each]
        return [source for *sources, _ in copies for source in sources]


@cache
def dockerfile() -> tuple[dict[str, str], dict[str, Stage]]:
    """Return the arguments before the first stage and the stages by name."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for instruction, rest in _instructions():
        if instruction == "FROM":
            base, _, name = rest.split()
            stage = stages[name] = Stage(base, name)
        elif stage is None:
            name, _, value = rest.partition("=")
            arguments[name] = value
        else:
            stage.instructions.append((instruction, rest))
    return arguments, stages


def _instructions() -> Iterator[tuple[str, str]]:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            instruction, rest = line.split(None, 1)
            yield instruction, rest


def ignored(path: str) -> bool:
    """Tell whether ``.dockerignore`` keeps a path from the builder: the last rule that meets it or a parent decides."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().split("\n") if line and not line.startswith("#")]
    parents = [path, *map(str, Path(path).parents)][:-1]
    result = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        if any(_meets(each, pattern) for each in parents):
            result = not rule.startswith("!")
    return result


def _meets(path: str, pattern: str) -> bool:
    """As the builder does: a star stands for anything in one name, ``**/`` for any folders."""
    if pattern.startswith("**/"):
        return fnmatch(Path(path).name, pattern.removeprefix("**/"))
    return path.count("/") == pattern.count("/") and fnmatch(path, pattern)


def pins(lock: str) -> set[str]:
    """The ``name==version`` of a lock file."""
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    return set(re.findall(r"^([\w.-]+==[^\s;\\]+)", text, re.MULTILINE))
