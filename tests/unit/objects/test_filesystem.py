import asyncio
import fcntl
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from continuity.objects.filesystem import FilesystemObjectStore
from continuity.objects.port import ObjectDamaged, ObjectMissing, ObjectStoreUnavailable

KEY = "film/characters/mara.png"
WRITER = """
    import asyncio, sys
    from pathlib import Path
    from continuity.objects.filesystem import FilesystemObjectStore

    async def main():
        store = FilesystemObjectStore(Path(sys.argv[1]))
        for number in range(100_000):
            await store.put("film/a", bytes([number % 256]) * 2_000_000, "text/plain")
            print(number, flush=True)

    asyncio.run(main())
"""


def stored_file(root: Path) -> Path:
    (path,) = root.rglob("mara.png")
    return path


def killed_while_writing(root: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
        assert writer.stdout
        for _ in range(5):
            writer.stdout.readline()
        writer.kill()


async def test_objects_outlive_their_store(tmp_path: Path) -> None:
    await FilesystemObjectStore(tmp_path).put(KEY, b"picture", "image/png")
    assert await FilesystemObjectStore(tmp_path).get(KEY) == b"picture"


async def test_a_writer_that_is_killed_leaves_a_whole_object(tmp_path: Path) -> None:
    killed_while_writing(tmp_path)
    data = await FilesystemObjectStore(tmp_path).get("film/a")
    assert data == data[:1] * 2_000_000


async def test_what_a_dead_writer_left_is_swept_when_it_is_old(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    old, fresh = incoming / "old", incoming / "fresh"
    for path in (old, fresh):
        path.write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    FilesystemObjectStore(tmp_path)
    assert not old.exists()
    assert fresh.exists()


@pytest.mark.parametrize("kept_bytes", [0, 3, 20, 100])
async def test_a_file_that_was_cut_off_is_damaged(tmp_path: Path, kept_bytes: int) -> None:
    store = FilesystemObjectStore(tmp_path)
    await store.put(KEY, b"picture", "image/png")
    path = stored_file(tmp_path)
    path.write_bytes(path.read_bytes()[:kept_bytes])
    for call in (store.get(KEY), store.stat(KEY)):
        with pytest.raises(ObjectDamaged):
            await call


async def test_a_stored_picture_begins_with_its_own_bytes(tmp_path: Path) -> None:
    await FilesystemObjectStore(tmp_path).put(KEY, b"\x89PNG picture", "image/png")
    path = stored_file(tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG picture")


async def test_putting_the_same_bytes_again_does_not_write_them(tmp_path: Path) -> None:
    store = FilesystemObjectStore(tmp_path)
    await store.put(KEY, b"picture", "image/png")
    path = stored_file(tmp_path)
    before = path.stat().st_ino
    await store.put(KEY, b"picture", "image/png")
    assert path.stat().st_ino == before


async def test_errors_tell_no_paths(tmp_path: Path) -> None:
    store = FilesystemObjectStore(tmp_path)
    (tmp_path / "incoming").rmdir()
    with pytest.raises(ObjectStoreUnavailable) as caught:
        await store.put(KEY, b"picture", "image/png")
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(ObjectMissing):
        await store.get(KEY)


async def test_the_same_bytes_put_again_renew_the_time_of_the_file(tmp_path: Path) -> None:
    store = FilesystemObjectStore(tmp_path)
    await store.put(KEY, b"picture", "image/png")
    os.utime(stored_file(tmp_path), (1_000.0, 1_000.0))
    assert [each.modified_time for each in (await store.list("")).objects] == [1_000.0]
    await store.put(KEY, b"picture", "image/png")
    (listed,) = (await store.list("")).objects
    assert abs(listed.modified_time - time.time()) < 60


async def test_a_damaged_file_keeps_no_other_from_being_listed(tmp_path: Path) -> None:
    store = FilesystemObjectStore(tmp_path)
    await store.put(KEY, b"picture", "image/png")
    stored_file(tmp_path).write_bytes(b"")
    await store.put("film/other", b"picture", "image/png")
    assert [each.key for each in (await store.list("")).objects] == [KEY, "film/other"]


async def test_a_folder_that_is_gone_fails_the_check(tmp_path: Path) -> None:
    store = FilesystemObjectStore(tmp_path)
    await store.check()
    (tmp_path / "incoming").rmdir()
    with pytest.raises(ObjectStoreUnavailable):
        await store.check()


async def test_what_is_put_while_it_is_discarded_is_there_when_the_put_returns(tmp_path: Path) -> None:
    writer, collector = FilesystemObjectStore(tmp_path), FilesystemObjectStore(tmp_path)
    for data in (b"the same bytes again", None):
        for number in range(150):
            await writer.put(KEY, data or str(number).encode(), "image/png")
            os.utime(stored_file(tmp_path), (1_000.0, 1_000.0))
            (found,) = (await collector.list(KEY)).objects
            again = data or f"other bytes {number}".encode()
            await asyncio.gather(collector.discard(found), writer.put(KEY, again, "image/png"))
            assert await writer.get(KEY) == again


async def test_a_discard_waits_for_a_put_that_makes_the_object_its_own(tmp_path: Path, monkeypatch: Any) -> None:
    store = FilesystemObjectStore(tmp_path)
    await store.put(KEY, b"picture", "image/png")
    os.utime(stored_file(tmp_path), (1_000.0, 1_000.0))
    (found,) = (await store.list(KEY)).objects
    renewing, go_on, looked = threading.Event(), threading.Event(), threading.Event()
    utime, flock = os.utime, fcntl.flock

    def renew(path: Path) -> None:
        renewing.set()
        assert go_on.wait(10)
        utime(path)

    def lock(descriptor: int, kind: int) -> None:
        if kind == fcntl.LOCK_EX:
            looked.set()
        flock(descriptor, kind)

    monkeypatch.setattr(os, "utime", renew)
    monkeypatch.setattr(fcntl, "flock", lock)
    putting = asyncio.create_task(store.put(KEY, b"picture", "image/png"))
    assert await asyncio.to_thread(renewing.wait, 10)
    discarding = asyncio.create_task(store.discard(found))
    assert await asyncio.to_thread(looked.wait, 10)
    go_on.set()
    await putting
    assert not await discarding
    assert await store.get(KEY) == b"picture"


async def test_listing_a_large_folder_holds_no_more_than_a_page(tmp_path: Path) -> None:
    store = FilesystemObjectStore(tmp_path)
    await store.put("film/previews/00000", b"picture", "image/png")
    (folder,) = tmp_path.rglob("previews+")
    for number in range(1, 20_000):
        (folder / f"{number:05}").touch()
    tracemalloc.start()
    try:
        page = await store.list("film/previews/", limit=10, after="film/previews/04999")
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [each.key[-5:] for each in page.objects] == [f"{number:05}" for number in range(5_000, 5_010)]
    assert peak_bytes < 500_000


async def test_empty_folders_hide_nothing_behind_them(tmp_path: Path) -> None:
    store = FilesystemObjectStore(tmp_path)
    await store.put("film/z/last", b"picture", "image/png")
    (folder,) = tmp_path.rglob("film+")
    for number in range(50):
        (folder / f"empty-{number}+").mkdir()
    assert [each.key for each in (await store.list("", limit=1)).objects] == ["film/z/last"]


async def test_bytes_are_on_the_disk_before_they_have_their_name_and_the_name_before_the_put_returns(
    tmp_path: Path, monkeypatch: Any
) -> None:
    store, done = FilesystemObjectStore(tmp_path), []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        done.append(("folder", path) if is_folder else ("file", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def named(self: Path, target: Path) -> Path:
        done.append(("named", self.stat().st_ino))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", named)
    await store.put(KEY, b"picture", "image/png")
    path = stored_file(tmp_path)
    written = path.stat().st_ino
    assert done[-3:] == [("file", written), ("named", written), ("folder", path.parent)]
    assert [place for kind, place in done[:-3] if kind == "folder"] == [tmp_path, path.parent.parent]
    done.clear()
    await store.put(KEY, b"picture", "image/png")
    assert done == [("folder", path.parent)], "the name may be another writer's, who has not come so far"
