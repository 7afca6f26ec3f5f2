"""The servers' programs, built from public packages the first time they are asked for and cached by version."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.local.cache import CACHE, SetUpFailed, built_once, install_packages, run, say

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class GoProgram:
    """A program that ``go install`` builds; ``binary`` is what the package's folder is called."""

    name: str
    package: str
    version: str

    @property
    def binary(self) -> str:
        """The file name that Go gives the program."""
        return self.package.rsplit("/", 1)[-1]


# RELEASE.2025-09-07T16-13-09Z. Its tag is no version in Go's sense, and not every proxy of modules resolves it.
MINIO = GoProgram("minio", "github.com/minio/minio", "v0.0.0-20250907161309-07c3a429bfed")
CADDY = GoProgram("caddy", "github.com/caddyserver/caddy/v2/cmd/caddy", "v2.11.7")
TOXIPROXY = GoProgram("toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server", "v2.5.0")


def minio() -> Path:
    """Return the MinIO server. The first build takes minutes."""
    return _go(MINIO)


def caddy() -> Path:
    """Return the Caddy server."""
    return _go(CADDY)


def toxiproxy() -> Path:
    """Return the toxiproxy server."""
    return _go(TOXIPROXY)


def kafka() -> Path:
    """Return the folder of Apache Kafka's jars."""
    return _maven("kafka", HERE / "kafka" / "pom.xml") / "lib"


def mongo_stand_in() -> tuple[Path, Path]:
    """Return the folders of the jars and of the class ``MongoStandIn``."""
    source = HERE / "mongo_stand_in" / "MongoStandIn.java"

    def compile_with(folder: Path) -> None:
        run("javac", "-d", folder / "classes", "-cp", folder / "lib" / "*", source)

    built = _maven("mongo-stand-in", source.with_name("pom.xml"), source, then=compile_with)
    return built / "lib", built / "classes"


def java() -> str:
    """Return the Java runtime; Kafka needs 17 or later."""
    _require(java="openjdk-17-jdk-headless")
    return str(shutil.which("java"))


def _go(program: GoProgram) -> Path:
    folder = CACHE / "programs" / f"{program.name}-{program.version}-{platform.machine()}"

    def build(into: Path) -> None:
        if not shutil.which("go"):
            raise SetUpFailed(
                f"set-up: {program.name} is built with Go; install Go 1.26 or later from https://go.dev/dl"
            )
        say(f"building {program.name} {program.version}")
        source = f"{program.package}@{program.version}"
        # Niced: it takes every core for a while.
        run("nice", "go", "install", "-trimpath", source, env={**os.environ, "GOBIN": str(into), "GOFLAGS": ""})

    return built_once(folder, build) / program.binary


def _maven(name: str, pom: Path, *sources: Path, then: Callable[[Path], None] = lambda _folder: None) -> Path:
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in (pom, *sources))).hexdigest()[:12]

    def build(folder: Path) -> None:
        _require(javac="openjdk-17-jdk-headless", mvn="maven")
        say(f"fetching the jars of {name}")
        run(
            *("mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime"),
            f"-DoutputDirectory={folder / 'lib'}",
        )
        then(folder)

    return built_once(CACHE / "programs" / f"{name}-{key}", build)


def _require(**packages: str) -> None:
    """Install the Debian package of each command that is not there."""
    missing = [package for command, package in packages.items() if not shutil.which(command)]
    if missing:
        install_packages(missing)
