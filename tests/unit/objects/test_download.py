"""Files of a bucket that arrive in a folder, from a bucket that breaks off, lies, and comes back."""

import errno
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from continuity.objects.download.folder import ArrivedDamaged, NoRoom, Progress, download
from continuity.objects.download.remote import RemoteFile
from continuity.objects.port import ObjectStoreUnavailable

CONTENT = bytes(range(256)) * 4096
PIECE = 100_000


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def remote(name: str = "unet/model.safetensors", content: bytes = CONTENT, **said: Any) -> RemoteFile:
    return RemoteFile(f"film/{name}", name, len(content), md5(content), **{"md5": md5(content), **said})


def of_parts(content: bytes, part_bytes: int) -> RemoteFile:
    parts = [content[place : place + part_bytes] for place in range(0, len(content), part_bytes)]
    digests = b"".join(bytes.fromhex(md5(part)) for part in parts)
    return remote(content=content, md5=f"{md5(digests)}-{len(parts)}", part_bytes=part_bytes)


@dataclass
class Breaking:
    """A bucket that gives ``breaks[n]`` bytes at attempt n; ``asked`` are the places that were asked for."""

    content: bytes = CONTENT
    breaks: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    asked: list[int] = field(default_factory=list)

    def pieces(self, file: RemoteFile, offset: int) -> Iterator[tuple[int, bytes]]:
        self.asked.append(offset)
        place = offset if self.knows_ranges else 0
        end = place + self.breaks.pop(0) if self.breaks else len(self.content)
        while place < end:
            piece = self.content[place : min(end, place + PIECE)]
            yield place, piece
            place += len(piece)
        if place < file.size_bytes:
            raise ObjectStoreUnavailable(operation="get", detail="broke off")


def fetch(bucket: Breaking, folder: Path, *files: RemoteFile) -> tuple[list[Progress], list[float]]:
    told: list[Progress] = []
    pauses: list[float] = []
    download(bucket, list(files) or [remote()], folder, told.append, pause=pauses.append)
    return told, pauses


def arrived(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_arrives_whole_and_its_progress_is_told(tmp_path: Path) -> None:
    told, _ = fetch(Breaking(), tmp_path / "models")
    assert arrived(tmp_path / "models") == {"unet/model.safetensors": CONTENT}
    assert told[-1] == Progress("unet/model.safetensors", len(CONTENT), len(CONTENT))


def test_a_connection_that_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    bucket = Breaking(breaks=[300_000, 1])
    fetch(bucket, tmp_path)
    assert bucket.asked == [0, 300_000, 300_001]
    assert arrived(tmp_path) == {"unet/model.safetensors": CONTENT}


def test_a_bucket_that_knows_no_ranges_is_read_from_the_start(tmp_path: Path) -> None:
    fetch(Breaking(breaks=[300_000], knows_ranges=False), tmp_path)
    assert arrived(tmp_path) == {"unet/model.safetensors": CONTENT}


def test_a_bucket_that_gives_nothing_any_more_is_given_up_and_what_arrived_stays(tmp_path: Path) -> None:
    bucket = Breaking(breaks=[300_000, *[0] * 4])
    with pytest.raises(ObjectStoreUnavailable):
        fetch(bucket, tmp_path)
    assert bucket.asked == [0, *[300_000] * 4]
    (part,) = tmp_path.rglob("*.part")
    assert part.read_bytes() == CONTENT[:300_000]
    later = Breaking()
    fetch(later, tmp_path)
    assert later.asked == [300_000]
    assert arrived(tmp_path) == {"unet/model.safetensors": CONTENT}


def test_attempts_that_bring_something_are_not_counted(tmp_path: Path) -> None:
    _, pauses = fetch(Breaking(breaks=[1] * 20), tmp_path)
    assert pauses == [0.5] * 20


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    fetch(Breaking(), tmp_path)
    again = Breaking()
    fetch(again, tmp_path)
    assert again.asked == []


def test_a_part_of_another_version_is_not_gone_on_with(tmp_path: Path) -> None:
    old = replace(remote(), etag="other")
    with pytest.raises(ObjectStoreUnavailable):
        fetch(Breaking(breaks=[300_000, *[0] * 4]), tmp_path, old)
    bucket = Breaking()
    fetch(bucket, tmp_path)
    assert bucket.asked == [0]
    assert arrived(tmp_path) == {"unet/model.safetensors": CONTENT}


def test_what_an_attempt_on_something_else_has_left_does_not_become_part_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "old.safetensors").write_bytes(b"old")
    fetch(Breaking(), tmp_path)
    assert arrived(tmp_path) == {"unet/model.safetensors": CONTENT}


@pytest.mark.parametrize(
    "stated",
    [
        remote(),
        remote(md5="", sha256=hashlib.sha256(CONTENT).hexdigest()),
        of_parts(CONTENT, 300_000),
        of_parts(CONTENT, len(CONTENT)),
    ],
    ids=["md5", "sha256", "four parts", "one part"],
)
def test_other_bytes_than_were_stated_are_found_out_and_not_kept(tmp_path: Path, stated: RemoteFile) -> None:
    with pytest.raises(ArrivedDamaged, match="other bytes than the store states"):
        fetch(Breaking(b"x" + CONTENT[1:]), tmp_path, stated)
    assert arrived(tmp_path) == {}
    fetch(Breaking(), tmp_path, stated)
    assert arrived(tmp_path) == {"unet/model.safetensors": CONTENT}


@pytest.mark.parametrize("stated", [remote(md5=""), remote(md5="abc-9", part_bytes=len(CONTENT))])
def test_what_nothing_can_be_compared_with_is_compared_by_its_length(tmp_path: Path, stated: RemoteFile) -> None:
    fetch(Breaking(), tmp_path, stated)
    path = tmp_path / stated.name
    assert stated.is_whole(path)
    path.write_bytes(CONTENT[1:])
    assert not stated.is_whole(path)


def test_an_empty_file_arrives_too(tmp_path: Path) -> None:
    fetch(Breaking(b""), tmp_path, remote("merges.txt", b""))
    assert arrived(tmp_path) == {"merges.txt": b""}


def test_a_full_disk_is_told_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("continuity.objects.download.folder.shutil.disk_usage", lambda _: type("_", (), {"free": 9}))
    bucket = Breaking()
    with pytest.raises(NoRoom, match="make room"):
        fetch(bucket, tmp_path)
    assert bucket.asked == []


def test_a_disk_that_fills_up_is_told_and_what_arrived_stays(tmp_path: Path) -> None:
    class Filling(Breaking):
        def pieces(self, file: RemoteFile, offset: int) -> Iterator[tuple[int, bytes]]:
            yield offset, CONTENT[:PIECE]
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(NoRoom):
        fetch(Filling(), tmp_path)
    (part,) = tmp_path.rglob("*.part")
    assert part.read_bytes() == CONTENT[:PIECE]
