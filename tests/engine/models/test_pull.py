"""Fetching against a hub of our own: its listing, its large files behind another host, its cut connections."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub.constants
import pytest

from engine.errors import Refused
from engine.models.catalogue import KINDS, Catalogue
from engine.models.hub import Hub
from engine.models.published import PUBLISHED, Published, Source, published
from engine.models.pull import pull
from engine.models.transfer import PullFailed, Told, alone
from engine.models.verification import verified

ROOT = Path(__file__).parents[3]
COMMIT = "a" * 40
REPOSITORY = "someone/lora"
WEIGHTS = bytes(range(256)) * 4096
FILES = {"lora.safetensors": WEIGHTS, "config.json": b'{"a": 1}', "lora.ckpt": b"pickle", "readme.md": b"#"}
LORA = Published(
    "lora", "sdxl", "MIT", commercial=True, sources=(Source(REPOSITORY, COMMIT, ("*.safetensors", "*.json")),)
)


@dataclass
class Remote:
    """What the hub holds and how it misbehaves; what it was asked."""

    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    repository: str = REPOSITORY
    commit: str = COMMIT
    cut_after: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers breaks off."""
    holds_after: int = 0
    """Bytes after which the next answer neither goes on nor ends; 0 is never."""
    false_hash: bool = False
    ignores_ranges: bool = False
    answer: int = 200
    gated: bool = False
    token: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Path, range, and what was said of who asks."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        remote: Remote = self.server.remote  # type: ignore[attr-defined]
        path, bearer = urlsplit(self.path).path, self.headers.get("Authorization", "")
        remote.asked.append((path, self.headers.get("Range", ""), bearer))
        if path.startswith("/store/"):
            self._bytes(remote, remote.files[path.removeprefix("/store/")])
        elif remote.gated and bearer != f"Bearer {remote.token}":
            self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif remote.answer != 200:
            codes = {404: {"X-Error-Code": "RepoNotFound"}}
            self._answer(remote.answer, b"", codes.get(remote.answer, {}))
        elif path == f"/api/models/{remote.repository}/revision/{remote.commit}":
            self._answer(200, json.dumps(self._listing(remote)).encode(), {"Content-Type": "application/json"})
        elif path.startswith(f"/{remote.repository}/resolve/{remote.commit}/"):
            name = path.rpartition(f"{remote.commit}/")[2]
            store = f"http://localhost:{self.server.server_address[1]}/store/{name}"
            self._answer(302, b"", {"Location": store, "X-Repo-Commit": remote.commit})
        else:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _listing(self, remote: Remote) -> dict[str, Any]:
        return {
            "id": remote.repository,
            "sha": remote.commit,
            "siblings": [self._sibling(remote, name, content) for name, content in remote.files.items()],
        }

    def _sibling(self, remote: Remote, name: str, content: bytes) -> dict[str, Any]:
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        said: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
        if name.endswith((".safetensors", ".ckpt")):
            digest = "0" * 64 if remote.false_hash else hashlib.sha256(content).hexdigest()
            said["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 135}
        return said

    def _bytes(self, remote: Remote, content: bytes) -> None:
        wanted = None if remote.ignores_ranges else self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if remote.holds_after:
            self.wfile.write(content[: remote.holds_after])
            remote.holds_after = 0
            self.rfile.read(1)  # returns when whoever asked is gone
            self.close_connection = True
            return
        cut = remote.cut_after.pop(0) if remote.cut_after else len(content)
        self.wfile.write(content[start:][:cut])
        if cut < len(content) - start:
            self.close_connection = True

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Remote:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 100_000)
    monkeypatch.setitem(PUBLISHED, "lora", LORA)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return Remote()


@pytest.fixture
def endpoint(remote: Remote) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.remote = remote  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def pulled(endpoint: str, tmp_path: Path) -> Callable[..., list[Told]]:
    def run(name: str = "lora") -> list[Told]:
        heard: list[Told] = []
        pull(tmp_path, name, Hub(endpoint), heard.append)
        return heard

    return run


def part(tmp_path: Path) -> Path:
    return tmp_path / ".lora.pulling" / "lora.safetensors.part"


def test_a_model_arrives_with_its_hashes_and_its_licence(pulled: Callable[..., Any], tmp_path: Path) -> None:
    heard = pulled()
    entry = Catalogue(tmp_path).entry("lora")
    assert (entry.kind, entry.licence, entry.commercial) == ("lora", "MIT", True)
    assert set(verified(entry)) == {"lora.safetensors", "config.json"}
    assert (entry.path / "lora.safetensors").read_bytes() == WEIGHTS
    total = len(WEIGHTS) + len(FILES["config.json"])
    assert heard[-1] == Told("lora", "config.json", total, total)
    assert [each.name for each in tmp_path.iterdir()] == ["lora"]


def test_what_is_installed_is_not_fetched_again(pulled: Callable[..., Any], remote: Remote) -> None:
    pulled()
    remote.asked.clear()
    pulled()
    assert remote.asked == []


def test_a_connection_that_is_cut_goes_on_where_it_was(
    pulled: Callable[..., Any], remote: Remote, tmp_path: Path
) -> None:
    remote.cut_after = [300_000]
    pulled()
    assert [span for path, span, _ in remote.asked if path == "/store/lora.safetensors"] == ["", "bytes=300000-"]
    assert (Catalogue(tmp_path).entry("lora").path / "lora.safetensors").read_bytes() == WEIGHTS


def test_a_download_that_ended_with_its_process_goes_on_where_it_was(
    pulled: Callable[..., Any], remote: Remote, tmp_path: Path
) -> None:
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(WEIGHTS[:1000])
    pulled()
    assert ("/store/lora.safetensors", "bytes=1000-", "") in remote.asked
    assert (Catalogue(tmp_path).entry("lora").path / "lora.safetensors").read_bytes() == WEIGHTS


def test_a_store_that_knows_no_ranges_is_read_from_the_start(
    pulled: Callable[..., Any], remote: Remote, tmp_path: Path
) -> None:
    remote.ignores_ranges = True
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(WEIGHTS[:1000])
    pulled()
    assert (Catalogue(tmp_path).entry("lora").path / "lora.safetensors").read_bytes() == WEIGHTS


def test_a_disk_that_fills_up_is_told_and_what_arrived_stays(
    pulled: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(_url: str, file: Any, **_: Any) -> None:
        file.write(WEIGHTS[:5000])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("engine.models.hub.http_get", full)
        with pytest.raises(PullFailed, match="the disk is full"):
            pulled()
    assert part(tmp_path).read_bytes() == WEIGHTS[:5000]
    pulled()
    assert (Catalogue(tmp_path).entry("lora").path / "lora.safetensors").read_bytes() == WEIGHTS


def test_two_processes_do_not_write_into_one_file(pulled: Callable[..., Any], remote: Remote, tmp_path: Path) -> None:
    with alone(tmp_path / ".lora.pulling", "lora"), pytest.raises(PullFailed, match="another process"):
        pulled()
    assert not [path for path, _, _ in remote.asked if path.startswith("/store")]
    pulled()
    assert Catalogue(tmp_path).entry("lora")


def test_what_lies_in_the_way_is_not_overwritten(pulled: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "mine").write_text("x")
    with pytest.raises(PullFailed, match="remove it first"):
        pulled()
    assert (tmp_path / "lora" / "mine").read_text() == "x"


def test_a_part_of_something_else_is_found_out_and_fetched_anew(pulled: Callable[..., Any], tmp_path: Path) -> None:
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(b"x" * 1000)
    with pytest.raises(PullFailed, match="another hash than the hub states"):
        pulled()
    assert not part(tmp_path).exists()
    pulled()
    assert (Catalogue(tmp_path).entry("lora").path / "lora.safetensors").read_bytes() == WEIGHTS


def test_a_wrong_hash_is_refused_and_nothing_is_listed(
    pulled: Callable[..., Any], remote: Remote, tmp_path: Path
) -> None:
    remote.false_hash = True
    with pytest.raises(PullFailed, match="another hash"):
        pulled()
    assert Catalogue(tmp_path).entries() == []
    assert Catalogue(tmp_path).damaged() == []


def test_small_files_are_compared_with_gits_hash(pulled: Callable[..., Any], remote: Remote, endpoint: str) -> None:
    before = dict(remote.files)
    hub = Hub(endpoint)
    listed = {each.path: each for each in hub.files(REPOSITORY, COMMIT)}
    assert listed["config.json"].git_sha1 == hashlib.sha1(b"blob 8\0" + before["config.json"]).hexdigest()
    assert listed["lora.safetensors"].sha256 == hashlib.sha256(WEIGHTS).hexdigest()


def test_a_gated_model_says_where_its_licence_is_and_opens_with_a_token(
    pulled: Callable[..., Any], remote: Remote, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.gated, remote.token = True, "hf_secret"
    with pytest.raises(PullFailed, match="accept its licence at") as caught:
        pulled()
    assert f"{endpoint}/{REPOSITORY}" in caught.value.reason
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pulled()
    shown = {bearer for path, _, bearer in remote.asked if path.startswith("/store/")}
    assert shown == {""}  # another host, to which the token says nothing


def test_a_token_is_never_told(
    pulled: Callable[..., Any], remote: Remote, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    remote.answer = 401
    with pytest.raises(PullFailed) as caught:
        pulled()
    assert "hf_secret" not in str(caught.value)
    assert "hf_secret" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(("status", "said"), [(404, "is not there"), (500, "answers 500"), (403, "HF_TOKEN")])
def test_what_the_hub_refuses_is_told(pulled: Callable[..., Any], remote: Remote, status: int, said: str) -> None:
    remote.answer = status
    with pytest.raises(PullFailed, match=said):
        pulled()


def test_a_hub_that_cannot_be_reached_is_told_with_what_to_do(remote: Remote, tmp_path: Path) -> None:
    with pytest.raises(PullFailed, match="HF_ENDPOINT"):
        pull(tmp_path, "lora", Hub("http://127.0.0.1:9"), lambda _: None)


def test_a_full_disk_is_told_before_anything_is_fetched(
    pulled: Callable[..., Any], remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.models.pull.shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(PullFailed, match="make room"):
        pulled()
    assert not [path for path, _, _ in remote.asked if path.startswith("/store")]


def test_a_repository_that_has_changed_is_told(pulled: Callable[..., Any], remote: Remote) -> None:
    del remote.files["config.json"]
    with pytest.raises(PullFailed, match=r"holds no \*\.json"):
        pulled()


def test_a_listing_that_leads_elsewhere_is_refused(pulled: Callable[..., Any], remote: Remote) -> None:
    remote.files["../../evil.json"] = b"{}"
    with pytest.raises(PullFailed, match="would lie elsewhere"):
        pulled()


def test_what_a_model_needs_comes_along(
    pulled: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PUBLISHED, "both", Published("lora", "sdxl", "MIT", True, LORA.sources, needs=("lora",)))
    pulled("both")
    assert [each.name for each in Catalogue(tmp_path).entries()] == ["both", "lora"]


def test_an_unknown_name_is_refused_with_the_nearest(pulled: Callable[..., Any]) -> None:
    with pytest.raises(Refused, match="did you mean 'sdxl-turbo'"):
        pulled("sdxl-trubo")
    with pytest.raises(Refused, match="models adopt"):
        pulled("s3://bucket/prefix")


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_model_is_pinned_and_says_what_it_may_be_used_for(name: str) -> None:
    model = published(name)
    assert model.kind in KINDS
    assert model.licence
    assert all(len(each.revision) == 40 and each.patterns for each in model.sources)
    assert all(need in PUBLISHED for need in model.needs)
    assert model.commercial == ("turbo" not in name)


def command(endpoint: str, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """How the pull of a published model is started, and its environment."""
    settings = {"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "PYTHONPATH": "libs", "HF_TOKEN": "hf_secret"}
    line = [sys.executable, "-m", "engine.models", "pull", "sdxl-lightning-4", "--folder", str(tmp_path), "--json"]
    return line, {**os.environ, **settings}


def serve_lightning(remote: Remote, content: bytes) -> None:
    source = PUBLISHED["sdxl-lightning-4"].sources[0]
    remote.repository, remote.commit = source.repository, source.revision
    remote.files = {source.patterns[0]: content}


def test_a_process_that_is_killed_within_a_file_goes_on_where_it_was(
    remote: Remote, endpoint: str, tmp_path: Path
) -> None:
    content = WEIGHTS * 24
    serve_lightning(remote, content)
    remote.holds_after = len(content) - 1
    line, environment = command(endpoint, tmp_path)
    with subprocess.Popen(line, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as pulling:
        assert pulling.stdout
        told = json.loads(pulling.stdout.readline())["progress"]
        pulling.kill()
    (part,) = tmp_path.rglob("*.part")
    arrived = part.stat().st_size
    assert 0 < told["done_bytes"] <= arrived < len(content)
    remote.asked.clear()
    subprocess.run(line, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    assert [span for path, span, _ in remote.asked if path.startswith("/store/")] == [f"bytes={arrived}-"]
    assert (
        tmp_path / "sdxl-lightning-4" / PUBLISHED["sdxl-lightning-4"].sources[0].patterns[0]
    ).read_bytes() == content


def test_the_command_tells_progress_and_the_model_as_json_lines(remote: Remote, endpoint: str, tmp_path: Path) -> None:
    serve_lightning(remote, WEIGHTS)
    line, environment = command(endpoint, tmp_path)
    ended = subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    *told, model = map(json.loads, ended.stdout.splitlines())
    assert told[-1]["progress"]["done_bytes"] == told[-1]["progress"]["total_bytes"] == len(WEIGHTS)
    assert (model["model"]["name"], model["model"]["kind"]) == ("sdxl-lightning-4", "lora")
    assert "bearer hf_secret" in {said.lower() for _, _, said in remote.asked}
    assert "hf_secret" not in ended.stdout + ended.stderr
