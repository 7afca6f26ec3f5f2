"""What every object store does. A further adapter joins as one more function in ``CASES``."""

import asyncio
import io
import os
import resource
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import minio as s3
import pytest
import pytest_asyncio
from pydantic import SecretStr

from continuity.kernel.errors import InvalidValue
from continuity.objects.filesystem import FilesystemObjectStore
from continuity.objects.memory import InMemoryObjectStore
from continuity.objects.port import (
    ListedObject,
    ObjectDamaged,
    ObjectMissing,
    ObjectStore,
    ObjectStoreUnavailable,
    ObjectTooLarge,
    put_content,
    sha256_of,
)
from continuity.objects.s3 import S3ObjectStore
from continuity.objects.s3_settings import S3Settings
from deploy.local.servers.minio import Minio

MAX_BYTES = 32_000_000
KEY = "film/characters/mara.png"
KEYS_THAT_LEAD_ELSEWHERE = ("", "alone", "/a/b", "a/b/", "a//b", "a/../b", "../a/b", "a/..", "a/./b", "a/.../b", "C:/a")
KEYS_WITH_ODD_CHARACTERS = ("a/b\0", "a/b\n", "a\\b/c", "a/b c", "a/b+", "a+/b", "film/Ångström.png", "film/演员")
KEYS_THAT_ARE_TOO_LONG = ("a/" + "b" * 201, "a/" * 300 + "b")
KEYS_OF_ALL_KINDS = [
    "-/_", "..film/a", "FILM/a", "film/-", "film/.hidden", "film/..a", "film/A", "film/Az09._-", "film/a", "film/a..b",
    "film/b.", "film/incoming", "film/part.1/x", "film/xl.meta", "incoming/a",
]  # fmt: skip


@dataclass
class Case:
    """A store and the ways to do to it what no caller can."""

    store: ObjectStore
    spoil: Callable[[str], None]
    without_room: Callable[[], AbstractContextManager[None]]
    left_overs: Callable[[], int]
    lists_beneath_objects: bool = True
    has_addresses: bool = False


def in_memory(_: Path, __: pytest.FixtureRequest) -> Case:
    store = InMemoryObjectStore(max_bytes=MAX_BYTES)

    def spoil(key: str) -> None:
        ref, data = store.objects[key]
        store.objects[key] = (ref, b"x" + data[1:])

    @contextmanager
    def without_room() -> Iterator[None]:
        store.capacity_bytes = 1_000_000
        yield
        store.capacity_bytes = 1 << 40

    return Case(store, spoil, without_room, lambda: 0)


def in_a_folder(root: Path, _: pytest.FixtureRequest) -> Case:
    def spoil(key: str) -> None:
        (path,) = root.rglob(key.rsplit("/", 1)[1])
        path.write_bytes(b"x" + path.read_bytes()[1:])

    @contextmanager
    def without_room() -> Iterator[None]:
        with no_files_above_a_megabyte(os.getpid()):
            yield

    store = FilesystemObjectStore(root, max_bytes=MAX_BYTES, threads=8)
    return Case(store, spoil, without_room, lambda: len(list((root / "incoming").iterdir())))


def in_a_bucket(_: Path, request: pytest.FixtureRequest) -> Case:
    server: Minio = request.getfixturevalue("minio")
    bucket = server.create_bucket(f"contract-{uuid.uuid4()}")
    client = s3.Minio(server.address, server.access_key, server.secret_key, secure=False, region="us-east-1")

    def spoil(key: str) -> None:
        """Write other bytes of the same length under the same metadata."""
        known = client.stat_object(bucket, key)
        assert known.size is not None
        assert known.metadata is not None
        metadata: dict[str, str | list[str] | tuple[str]] = {
            name: value for name, value in known.metadata.items() if name.lower().startswith("x-amz-meta-")
        }
        client.put_object(bucket, key, io.BytesIO(b"x" * known.size), known.size, metadata=metadata)

    @contextmanager
    def without_room() -> Iterator[None]:
        assert server.pid
        with no_files_above_a_megabyte(server.pid):
            yield

    def left_overs() -> int:
        return len(client._list_multipart_uploads(bucket, prefix=KEY).uploads)

    settings = S3Settings(
        endpoint=server.url,
        bucket=bucket,
        access_key=SecretStr(server.access_key),
        secret_key=SecretStr(server.secret_key),
        max_bytes=MAX_BYTES,
    )
    return Case(
        S3ObjectStore(settings), spoil, without_room, left_overs, lists_beneath_objects=False, has_addresses=True
    )


@contextmanager
def no_files_above_a_megabyte(pid: int) -> Iterator[None]:
    """Let the operating system refuse a process to write more than that into one file."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


CASES = (in_memory, in_a_folder, pytest.param(in_a_bucket, marks=pytest.mark.infra, id="in_a_bucket"))


@pytest_asyncio.fixture(params=CASES, ids=lambda make: make.__name__)
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    made: Case = request.param(tmp_path, request)
    yield made
    await made.store.close()


@pytest.fixture
def store(case: Case) -> ObjectStore:
    return case.store


@pytest.mark.parametrize("data", [b"", b"a", bytes(range(256)) * 80_000], ids=["empty", "one", "20 MB"])
async def test_what_was_put_is_what_one_gets(store: ObjectStore, data: bytes) -> None:
    ref = await store.put(KEY, data, "image/png")
    assert (ref.key, ref.sha256, ref.size_bytes, ref.content_type) == (KEY, sha256_of(data), len(data), "image/png")
    assert await store.get(KEY) == data
    assert await store.stat(KEY) == ref


async def test_an_address_gives_anybody_the_bytes_where_there_are_addresses(case: Case) -> None:
    ref = await case.store.put(KEY, b"picture", "image/png")
    url = case.store.address(KEY, 60)
    assert (url is not None) == case.has_addresses
    if url:
        answer = await asyncio.to_thread(urlopen, url)
        assert (sha256_of(answer.read()), answer.headers["content-type"]) == (ref.sha256, "image/png")


@pytest.mark.parametrize("expires_s", [-1, 0, 7 * 24 * 3600 + 1])
def test_an_address_that_would_never_or_hardly_end_is_refused(store: ObjectStore, expires_s: int) -> None:
    with pytest.raises(InvalidValue) as caught:
        store.address(KEY, expires_s)
    assert (caught.value.field, caught.value.value) == ("expires_s", expires_s)


async def test_an_object_that_was_never_put_is_missing(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing):
        await store.get(KEY)
    with pytest.raises(ObjectMissing):
        await store.stat(KEY)


async def test_a_folder_is_not_an_object(store: ObjectStore) -> None:
    await store.put(KEY, b"picture", "image/png")
    with pytest.raises(ObjectMissing):
        await store.get("film/characters")


async def test_keys_of_all_kinds_are_taken_and_listed(store: ObjectStore) -> None:
    for key in KEYS_OF_ALL_KINDS:
        await store.put(key, key.encode(), "text/plain")
    assert [await store.get(key) for key in KEYS_OF_ALL_KINDS] == [key.encode() for key in KEYS_OF_ALL_KINDS]
    assert [each.key for each in (await store.list("")).objects] == sorted(KEYS_OF_ALL_KINDS)


async def test_a_key_may_be_the_beginning_of_another(store: ObjectStore) -> None:
    for key in ("film/mara", "film/mara/face", "film/mara/face/left"):
        await store.put(key, key.encode(), "text/plain")
    assert [await store.get(key) for key in ("film/mara", "film/mara/face/left")] == [
        b"film/mara",
        b"film/mara/face/left",
    ]


async def test_deleting_is_idempotent(store: ObjectStore) -> None:
    await store.put(KEY, b"picture", "image/png")
    await store.delete(KEY)
    await store.delete(KEY)
    await store.delete("film/never/there")
    with pytest.raises(ObjectMissing):
        await store.get(KEY)


async def test_putting_other_bytes_replaces_the_object(store: ObjectStore) -> None:
    await store.put(KEY, b"old", "text/plain")
    ref = await store.put(KEY, b"newer", "image/png")
    assert await store.get(KEY) == b"newer"
    assert await store.stat(KEY) == ref


async def test_putting_the_same_bytes_again_changes_nothing(store: ObjectStore) -> None:
    assert await store.put(KEY, b"same", "image/png") == await store.put(KEY, b"same", "image/png")
    assert len((await store.list("")).objects) == 1


async def test_a_listing_tells_when_an_object_was_put(store: ObjectStore) -> None:
    await store.put(KEY, b"same", "image/png")
    (listed,) = (await store.list("")).objects
    assert abs(listed.modified_time - time.time()) < 60


async def test_the_same_bytes_put_again_count_as_put_now(store: ObjectStore) -> None:
    async def put_time() -> float:
        await store.put(KEY, b"same", "image/png")
        return (await store.list(KEY)).objects[0].modified_time

    first = await put_time()
    assert any([await put_time() > first for _ in range(100)])


async def test_an_object_is_discarded_as_it_was_listed(store: ObjectStore) -> None:
    await store.put(KEY, b"same", "image/png")
    await store.put(f"{KEY}.other", b"same", "image/png")
    first = (await store.list(KEY)).objects[0]
    assert await store.discard(first)
    assert not await store.discard(first)
    with pytest.raises(ObjectMissing):
        await store.get(KEY)
    assert [each.key for each in (await store.list("")).objects] == [f"{KEY}.other"]


async def test_an_object_that_was_put_again_since_it_was_listed_is_not_discarded(store: ObjectStore) -> None:
    async def listed() -> ListedObject:
        await store.put(KEY, b"same", "image/png")
        return (await store.list(KEY)).objects[0]

    first = await listed()
    while await listed() == first:
        pass  # the clock has not moved on
    assert not await store.discard(first)
    assert await store.get(KEY) == b"same"


async def test_content_is_stored_under_its_hash(store: ObjectStore) -> None:
    ref = await put_content(store, "film", "keyframes", b"picture", content_type="image/png", suffix=".png")
    assert ref.key == f"film/keyframes/{sha256_of(b'picture')}.png"
    assert await put_content(store, "film", "keyframes", b"picture", content_type="image/png", suffix=".png") == ref


@pytest.mark.parametrize("key", [*KEYS_THAT_LEAD_ELSEWHERE, *KEYS_WITH_ODD_CHARACTERS, *KEYS_THAT_ARE_TOO_LONG])
async def test_a_key_that_could_lead_elsewhere_is_refused(store: ObjectStore, key: str, tmp_path: Path) -> None:
    for call in (store.put(key, b"", "text/plain"), store.get(key), store.stat(key), store.delete(key)):
        with pytest.raises(InvalidValue) as caught:
            await call
        assert caught.value.field == "key"
    with pytest.raises(InvalidValue):
        store.address(key, 60)
    assert not list(tmp_path.parent.glob("b*"))


@pytest.mark.parametrize("prefix", ["../", "..", "/", "film/../", "film//a", "a" * 600, "film/ü/"])
async def test_a_prefix_that_no_key_can_have_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(InvalidValue):
        await store.list(prefix)


@pytest.mark.parametrize("content_type", ["", "image/png\r\nx: y", "a" * 128, "bild/ö"])
async def test_a_content_type_that_cannot_stand_in_a_header_is_refused(store: ObjectStore, content_type: str) -> None:
    with pytest.raises(InvalidValue):
        await store.put(KEY, b"", content_type)


async def test_the_longest_key_is_taken(store: ObjectStore) -> None:
    key = "/".join(["f", "a" * 200, "b" * 200, "c" * 108])
    await store.put(key, b"far", "text/plain")
    assert [ref.key for ref in (await store.list("f/")).objects] == [key]


async def test_an_object_that_is_too_large_is_refused_with_its_size(store: ObjectStore) -> None:
    with pytest.raises(ObjectTooLarge) as caught:
        await store.put(KEY, bytes(MAX_BYTES + 1), "image/png")
    assert (caught.value.size_bytes, caught.value.max_bytes) == (MAX_BYTES + 1, MAX_BYTES)


async def test_spoilt_bytes_are_noticed_and_putting_them_again_mends_them(case: Case) -> None:
    await case.store.put(KEY, b"picture", "image/png")
    case.spoil(KEY)
    with pytest.raises(ObjectDamaged):
        await case.store.get(KEY)
    await case.store.put(KEY, b"picture", "image/png")
    assert await case.store.get(KEY) == b"picture"


async def test_without_room_nothing_half_made_stays(case: Case) -> None:
    await case.store.put(KEY, b"before", "image/png")
    with case.without_room():
        for key in (KEY, "film/characters/new.png"):
            with pytest.raises(ObjectStoreUnavailable) as caught:
                await case.store.put(key, bytes(3_000_000), "image/png")
            assert caught.value.retryable
    assert await case.store.get(KEY) == b"before"
    assert [ref.key for ref in (await case.store.list("")).objects] == [KEY]
    assert case.left_overs() == 0
    await case.store.put(KEY, bytes(3_000_000), "image/png")


async def test_eight_writers_of_one_key_leave_one_whole_object(case: Case) -> None:
    versions = [os.urandom(300_000) for _ in range(8)]

    async def write(data: bytes) -> None:
        for _ in range(5):
            await case.store.put(KEY, data, "image/png")

    async def read() -> None:
        for _ in range(40):
            try:
                assert await case.store.get(KEY) in versions
            except ObjectMissing:
                await asyncio.sleep(0)

    await asyncio.gather(*map(write, versions), read(), read())
    assert await case.store.get(KEY) in versions
    assert case.left_overs() == 0


async def test_objects_are_listed_in_the_order_of_bytes_page_by_page(store: ObjectStore) -> None:
    keys = ["a/b-c", "a/b.c", "a/b/c", "a/b/d/e", "a/b0", "a-b/c", "a.b/c", "A/z", "b/a"]
    assert await put_and_listed(store, keys) == sorted(keys)


async def test_objects_beneath_the_key_of_another_are_listed(case: Case) -> None:
    if not case.lists_beneath_objects:
        pytest.skip("MinIO keeps them and lists only the upper one")
    keys = ["a/b", "a/b/c", "a/b/d/e", "a/b0"]
    assert await put_and_listed(case.store, keys) == keys


async def put_and_listed(store: ObjectStore, keys: list[str]) -> list[str]:
    for key in keys:
        await store.put(key, b"", "text/plain")
    seen: list[str] = []
    after = ""
    while True:
        page = await store.list("", limit=3, after=after)
        seen += [each.key for each in page.objects]
        if page.next_after is None:
            return seen
        after = page.next_after


@pytest.mark.parametrize(
    ("prefix", "after", "found"),
    [
        ("film/a", "", ["film/a1", "film/a2/x", "film/a2/y"]),
        ("film/a2/", "", ["film/a2/x", "film/a2/y"]),
        ("film/a2/", "film/a2/x", ["film/a2/y"]),
        ("film/", "film/a2", ["film/a2/x", "film/a2/y", "film/b"]),
        ("film/c", "", []),
        ("other/", "", []),
    ],
)
async def test_a_prefix_and_a_starting_point_choose_what_is_listed(
    store: ObjectStore, prefix: str, after: str, found: list[str]
) -> None:
    for key in ("film/a1", "film/a2/x", "film/a2/y", "film/b", "second/a"):
        await store.put(key, b"", "text/plain")
    assert [ref.key for ref in (await store.list(prefix, after=after)).objects] == found


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_of_senseless_size_is_refused(store: ObjectStore, limit: int) -> None:
    with pytest.raises(InvalidValue):
        await store.list("", limit=limit)


async def test_a_store_in_order_passes_its_check(store: ObjectStore) -> None:
    await store.check()
