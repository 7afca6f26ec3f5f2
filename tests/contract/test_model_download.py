"""Models in a bucket of a real server, fetched by the program that the command line uses."""

import hashlib
import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import minio as s3
import pytest

from continuity.kernel.errors import InvalidValue
from continuity.objects.download.bucket import Bucket, ObjectReplaced, address_of
from continuity.objects.download.folder import ArrivedDamaged, download
from continuity.objects.port import ObjectStoreUnavailable
from deploy.local.servers.minio import Minio
from deploy.local.servers.toxiproxy import Toxiproxy

pytestmark = pytest.mark.infra

ROOT = Path(__file__).resolve().parents[2]
PART_BYTES = 5 * 2**20
LARGE = os.urandom(1000) * 12_000
"""Of three parts."""
MODEL = {
    "film/model_index.json": b"{}",
    "film/unet/config.json": b'{"a": 1}',
    "film/unet/diffusion_pytorch_model.safetensors": LARGE,
    "film/unet/diffusion_pytorch_model.bin": b"pickle",
    "film/readme.md": b"#",
    "film-other/unet/diffusion_pytorch_model.safetensors": b"another",
}


class Store:
    """A bucket, and what the program is told of it."""

    def __init__(self, server: Minio) -> None:
        self.bucket = server.create_bucket(f"models-{uuid.uuid4()}")
        self.variables = server.variables
        self._client = s3.Minio(server.address, server.access_key, server.secret_key, secure=False)

    def put(self, key: str, content: bytes, **metadata: Any) -> None:
        self._client.put_object(
            self.bucket, key, io.BytesIO(content), len(content), part_size=PART_BYTES, metadata=metadata
        )

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def fetch(self, url: str, folder: Path, **changes: str) -> tuple[int, list[Any]]:
        ended = subprocess.run(
            [sys.executable, "-m", "continuity.objects.download", url, folder],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "libs"), **self.variables, **changes},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]

    def opened(self, key: str, monkeypatch: pytest.MonkeyPatch, **changes: str) -> Bucket:
        from continuity.objects.download.__main__ import settings_of

        for name, value in {**self.variables, **changes}.items():
            monkeypatch.setenv(name, value)
        address = address_of(self.url(key))
        return Bucket(settings_of(address), address)


@pytest.fixture
def store(minio: Minio) -> Iterator[Store]:
    store = Store(minio)
    for key, content in MODEL.items():
        store.put(key, content)
    yield store


def arrived(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("key", ["film", "film/"])
def test_a_prefix_arrives_with_what_belongs_to_a_model_and_nothing_beside_it(
    store: Store, tmp_path: Path, key: str
) -> None:
    code, said = store.fetch(store.url(key), tmp_path / "new")
    assert (code, said[-1]) == (0, {"fetched": ""})
    total = len(LARGE) + 10
    assert said[-2]["progress"]["done_bytes"] == said[-2]["progress"]["total_bytes"] == total
    assert arrived(tmp_path / "new") == {
        "model_index.json": b"{}",
        "unet/config.json": b'{"a": 1}',
        "unet/diffusion_pytorch_model.safetensors": LARGE,
    }


def test_one_object_arrives_alone_and_is_named(store: Store, tmp_path: Path) -> None:
    store.put("loras/noir.safetensors", b"weights")
    store.put("loras/noir.safetensors.json", b"{}")
    assert store.fetch(store.url("loras/noir.safetensors"), tmp_path)[1][-1] == {"fetched": "noir.safetensors"}
    assert arrived(tmp_path) == {"noir.safetensors": b"weights"}


def test_a_download_that_was_cut_goes_on_where_it_was_and_parts_are_compared(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = store.opened("film/unet/diffusion_pytorch_model.safetensors", monkeypatch)
    ((file,), _) = bucket.files()
    assert (file.md5.partition("-")[2], file.part_bytes) == ("3", PART_BYTES)
    (tmp_path / file.part_name).write_bytes(LARGE[:7_000_000])
    asked: list[int] = []
    pieces = bucket.pieces
    monkeypatch.setattr(bucket, "pieces", lambda file, offset: asked.append(offset) or pieces(file, offset))
    download(bucket, [file], tmp_path, lambda _: None)
    assert asked == [7_000_000]
    assert arrived(tmp_path) == {file.name: LARGE}
    (tmp_path / file.name).unlink()
    (tmp_path / file.part_name).write_bytes(b"x" * 7_000_000)
    with pytest.raises(ArrivedDamaged):
        download(bucket, [file], tmp_path, lambda _: None)


def test_connections_that_break_off_again_and_again_bring_the_file_all_the_same(
    store: Store, minio: Minio, toxiproxy: Toxiproxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = toxiproxy.proxy(f"s3-{uuid.uuid4()}", minio.address)
    key = "film/unet/diffusion_pytorch_model.safetensors"
    bucket = store.opened(key, monkeypatch, CONTINUITY_S3_ENDPOINT=f"http://{way.address}")
    files, _ = bucket.files()
    breaking = {"name": "break", "type": "limit_data", "stream": "downstream", "attributes": {"bytes": 5_000_000}}
    toxiproxy.call("POST", f"/proxies/{way.name}/toxics", breaking)
    pauses: list[float] = []
    download(bucket, files, tmp_path, lambda _: None, pause=pauses.append)
    assert len(pauses) >= 2
    assert arrived(tmp_path) == {files[0].name: LARGE}
    way.cut()
    with pytest.raises(ObjectStoreUnavailable):
        download(bucket, files, tmp_path / "again", lambda _: None, pause=lambda _: None)


def test_a_hash_that_was_noted_with_an_object_is_what_counts(store: Store, tmp_path: Path) -> None:
    store.put("a/x.safetensors", b"weights", **{"x-amz-meta-sha256": hashlib.sha256(b"other").hexdigest()})
    code, said = store.fetch(store.url("a/x.safetensors"), tmp_path)
    assert code == 1
    assert "other bytes than the store states" in said[-1]["error"]["message"]


def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = store.opened("film/unet/diffusion_pytorch_model.safetensors", monkeypatch)
    ((file,), _) = bucket.files()
    store.put(file.key, b"x" + LARGE[1:])
    pauses: list[float] = []
    with pytest.raises(ObjectReplaced, match="was replaced while it was read"):
        download(bucket, [file], tmp_path, lambda _: None, pause=pauses.append)
    assert pauses == []


@pytest.mark.parametrize(
    ("key", "objects", "reason"),
    [
        ("nothing", {}, "nothing lies there"),
        ("old", {"old/unet/model.bin": b"x"}, "unet/model.bin is a pickle, which can run code"),
        ("old.ckpt", {"old.ckpt": b"x"}, "old.ckpt is a pickle"),
        ("text", {"text/config.json": b"{}"}, "no safetensors lie there"),
    ],
)
def test_what_is_no_model_is_refused_before_anything_is_fetched(
    store: Store, tmp_path: Path, key: str, objects: dict[str, bytes], reason: str
) -> None:
    for name, content in objects.items():
        store.put(name, content)
    code, (said,) = store.fetch(store.url(key), tmp_path / "new")
    assert (code, reason in said["error"]["message"]) == (2, True), said
    assert not (tmp_path / "new").exists()


def test_more_files_than_a_model_has_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("continuity.objects.download.bucket.MOST_FILES", 3)
    with pytest.raises(InvalidValue, match="more than 3 files"):
        store.opened("film", monkeypatch).files()


@pytest.mark.parametrize(
    ("url", "changes", "reason"),
    [
        ("s3://no-such-bucket-here/film", {}, "has no such bucket"),
        ("s3://B/film", {}, "a bucket's name"),
        ("s3:///film", {}, "s3://bucket/prefix"),
        ("gs://bucket/film", {}, "s3://bucket/prefix"),
        ("s3://bucket/film", {"CONTINUITY_S3_ENDPOINT": ""}, "CONTINUITY_S3_ENDPOINT: it must be set"),
        ("s3://bucket/film", {"CONTINUITY_S3_ACCESS_KEY": ""}, "CONTINUITY_S3_ACCESS_KEY: it must be set"),
        ("s3://bucket/film", {"CONTINUITY_S3_ACCESS_KEY": "nobody"}, "CONTINUITY_S3_ACCESS_KEY: "),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(
    store: Store, tmp_path: Path, url: str, changes: dict[str, str], reason: str
) -> None:
    code, (said,) = store.fetch(url, tmp_path, **changes)
    assert (code, reason in said["error"]["message"]) == (2, True), said


def test_a_server_that_is_not_there_is_told(store: Store, tmp_path: Path) -> None:
    code, (said,) = store.fetch("s3://bucket/film", tmp_path, CONTINUITY_S3_ENDPOINT="http://127.0.0.1:9")
    assert (code, "no proper answer" in said["error"]["message"]) == (1, True)


def test_a_version_is_another_part(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ((file,), _) = store.opened("film/unet/diffusion_pytorch_model.safetensors", monkeypatch).files()
    assert replace(file, etag="other").part_name != file.part_name


@pytest.mark.engine
@pytest.mark.skipif(not (ROOT / ".venv-engine").exists(), reason="the engine's environment is not installed")
def test_a_model_in_a_bucket_is_adopted_by_the_command(store: Store, tmp_path: Path) -> None:
    engine = [ROOT / ".venv-engine" / "bin" / "python", "-m", "engine.models", "tiny"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "libs"), **store.variables}
    subprocess.run([*engine, tmp_path / "tiny", "--kind", "tiny-embedding"], env=variables, check=True)
    (weights,) = (tmp_path / "tiny").glob("*.safetensors")
    store.put("mine/person.safetensors", weights.read_bytes())
    store.put("mine/strange.safetensors", b"no safetensors at all")
    variables |= {"CONTINUITY_MODELS": str(tmp_path / "models"), "CONTINUITY_HOME": str(tmp_path / "home")}

    def adopt(key: str, name: str) -> tuple[int, Any]:
        command = [ROOT / "bin" / "continuity", "models", "adopt", store.url(key), name, "--licence", "MIT", "--json"]
        ended = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=False)
        return ended.returncode, json.loads(ended.stdout)

    code, said = adopt("mine/person.safetensors", "person")
    assert (code, [each["name"] for each in said["models"]]) == (0, ["person"])
    about = json.loads((tmp_path / "models" / "person" / "model.json").read_text())
    assert (about["kind"], about["source"]) == ("embedding", store.url("mine/person.safetensors"))
    code, said = adopt("mine/strange.safetensors", "strange")
    assert (code, "damaged" in said["error"]["message"]) == (1, True)
    assert [each.name for each in (tmp_path / "models").iterdir()] == ["person"]
