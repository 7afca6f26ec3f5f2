"""Settings that can never work, as an operator meets them: the process ends with one line that names them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from continuity.hosting.run import MISCONFIGURED
from deploy.local.servers.minio import Minio
from tests.e2e.conftest import environment
from tests.unit.documents.test_mongo_trouble import REFUSAL, Server

pytestmark = [pytest.mark.infra, pytest.mark.slow]

SECRET = "wr0ng-horse"
LIMIT_S = 60.0


def last_words(home: Path, module: str = "services.prompts", **variables: str) -> str:
    """Start a process that is to end by itself; return the one line that it ends with."""
    named = {name: value for name, value in variables.items() if name.startswith("CONTINUITY_")}
    ended = subprocess.run(
        [sys.executable, "-m", module],
        env={**environment(home), **named},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == MISCONFIGURED, ended.stderr
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stdout + ended.stderr
    return ended.stderr.splitlines()[-1]


def objects_in(minio: Minio, **changes: str) -> dict[str, str]:
    return {**minio.variables, "CONTINUITY_S3_BUCKET": minio.create_bucket("settings"), **changes}


def test_a_bucket_that_is_missing_is_named_with_how_to_make_it(minio: Minio, tmp_path: Path) -> None:
    said = last_words(tmp_path, **objects_in(minio, CONTINUITY_S3_BUCKET="never-made"))
    assert said.startswith("CONTINUITY_S3_BUCKET: ")
    assert "aws s3 mb s3://never-made" in said
    assert "CONTINUITY_S3_CREATE_BUCKET=true" in said


@pytest.mark.parametrize("setting", ["CONTINUITY_S3_ACCESS_KEY", "CONTINUITY_S3_SECRET_KEY"])
def test_wrong_keys_of_the_object_store_are_named(minio: Minio, tmp_path: Path, setting: str) -> None:
    assert last_words(tmp_path, **objects_in(minio, **{setting: SECRET})).startswith(setting)


def test_an_object_store_without_keys_is_told_of_before_anything_is_sent(minio: Minio, tmp_path: Path) -> None:
    said = last_words(tmp_path, **objects_in(minio, CONTINUITY_S3_SECRET_KEY=""))
    assert said == "CONTINUITY_S3_SECRET_KEY: it must be set where CONTINUITY_S3_ENDPOINT is"


def test_an_address_of_documents_that_is_none_is_named(tmp_path: Path) -> None:
    said = last_words(tmp_path, CONTINUITY_MONGODB_URL=f"mongodb://operator:{SECRET}@:/")
    assert said.startswith("CONTINUITY_MONGODB_URL: ")


async def test_a_user_whom_the_documents_refuse_is_told_which_setting_it_was(tmp_path: Path) -> None:
    async with Server(saslStart=REFUSAL) as server:
        url = f"mongodb://operator:{SECRET}@127.0.0.1:{server.port}/?directConnection=true"
        said = await asyncio.to_thread(last_words, tmp_path, CONTINUITY_MONGODB_URL=url)
    assert said == "CONTINUITY_MONGODB_URL: the server refuses this user or password"


def test_the_embedded_runtime_refuses_documents_elsewhere(tmp_path: Path) -> None:
    said = last_words(tmp_path, "services.embedded", CONTINUITY_MONGODB_URL=f"mongodb://operator:{SECRET}@127.0.0.1")
    assert said.startswith("CONTINUITY_MONGODB_URL: ")
    assert "it must be empty" in said


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("CONTINUITY_LOG_FORMAT", "xml"),
        ("CONTINUITY_LOG_LEVEL", "LOUD"),
        ("CONTINUITY_KAFKA_SECURITY_PROTOCOL", "SSH"),
        ("CONTINUITY_OTLP_ENDPOINT", f"user:{SECRET}@collector"),
        ("CONTINUITY_DRAIN_S", "-1"),
    ],
)
def test_a_value_that_is_none_of_the_setting_is_named(tmp_path: Path, setting: str, value: str) -> None:
    assert last_words(tmp_path, **{setting: value}).startswith(f"{setting}: ")


def test_topics_that_are_not_declared_where_the_setting_says_are_told_of(tmp_path: Path) -> None:
    said = last_words(tmp_path, CONTINUITY_TOPICS_FOLDER=str(tmp_path))
    assert said.startswith("CONTINUITY_TOPICS_FOLDER: ")
