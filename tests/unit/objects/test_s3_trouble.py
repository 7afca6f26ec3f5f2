"""S3 servers that are away, slow, full of other things or configured otherwise."""

import asyncio
import io
import json
import traceback
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import minio as s3
import pytest
from pydantic import SecretStr

from continuity.objects.port import (
    ObjectDamaged,
    ObjectMissing,
    ObjectStoreBusy,
    ObjectStoreMisconfigured,
    ObjectStoreUnavailable,
)
from continuity.objects.s3 import S3ObjectStore
from continuity.objects.s3_settings import S3Settings
from deploy.local.servers.minio import Minio
from deploy.local.servers.toxiproxy import Proxy, Toxiproxy

KEY, SMALL_KEY = "film/keyframes/a.png", "film/keyframes/small"
PICTURE = bytes(range(256)) * 6_000
WRONG = "wrong-wrong-wrong"
Fault = Callable[[Proxy], None]

infra = pytest.mark.infra


def settings(server: Minio, **changes: object) -> S3Settings:
    right: dict[str, object] = {
        "endpoint": server.url,
        "bucket": f"trouble-{uuid.uuid4()}",
        "access_key": SecretStr(server.access_key),
        "secret_key": SecretStr(server.secret_key),
        "create_bucket": True,
    }
    return S3Settings(**{**right, **changes})  # type: ignore[arg-type]


def client(server: Minio) -> s3.Minio:
    return s3.Minio(server.address, server.access_key, server.secret_key, secure=False, region="us-east-1")


async def told(call: Awaitable[object]) -> ObjectStoreUnavailable:
    with pytest.raises(ObjectStoreUnavailable) as caught:
        await call
    assert caught.value.retryable
    return caught.value


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Minio]:
    server = Minio(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def proxy(minio: Minio, toxiproxy: Toxiproxy) -> Iterator[Proxy]:
    made = toxiproxy.proxy(f"s3-{uuid.uuid4()}", minio.address)
    yield made
    made.cut()


@infra
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (
            {"bucket": "never-made", "create_bucket": False},
            ["CONTINUITY_S3_BUCKET", "never-made", "CREATE_BUCKET=true"],
        ),
        ({"access_key": SecretStr(WRONG)}, ["CONTINUITY_S3_ACCESS_KEY"]),
        ({"secret_key": SecretStr(WRONG)}, ["CONTINUITY_S3_SECRET_KEY"]),
    ],
)
async def test_a_wrong_setting_is_named_at_the_start_and_no_secret_shown(
    minio: Minio, wrong: dict[str, object], named: list[str]
) -> None:
    with pytest.raises(ObjectStoreMisconfigured) as caught:
        await S3ObjectStore(settings(minio, **wrong)).open()
    assert all(name in str(caught.value) for name in [*named, minio.url])
    shown = "".join(traceback.format_exception(caught.value))
    assert WRONG not in shown
    assert minio.secret_key not in shown


@infra
async def test_a_bucket_is_made_once_where_that_is_allowed(minio: Minio) -> None:
    asked = settings(minio)
    stores = await asyncio.gather(*(S3ObjectStore(asked).open() for _ in range(4)))
    await stores[0].put(KEY, PICTURE, "image/png")
    assert await stores[3].get(KEY) == PICTURE


@infra
async def test_a_bucket_that_vanishes_is_a_failure_that_may_pass(minio: Minio) -> None:
    asked = settings(minio)
    store = await S3ObjectStore(asked).open()
    client(minio).remove_bucket(asked.bucket)
    for call in (store.put(KEY, b"a", "image/png"), store.get(KEY), store.list(""), store.delete(KEY), store.check()):
        assert "NoSuchBucket" in (await told(call)).detail


@infra
async def test_keys_that_are_withdrawn_are_a_failure_that_may_pass(minio: Minio) -> None:
    asked = settings(minio)
    await S3ObjectStore(asked).open()
    store = S3ObjectStore(settings(minio, bucket=asked.bucket, secret_key=SecretStr(WRONG)))
    assert "SignatureDoesNotMatch" in (await told(store.put(KEY, b"a", "image/png"))).detail
    await told(store.check())


@infra
async def test_what_another_program_put_is_damaged_and_other_names_are_not_listed(minio: Minio) -> None:
    asked = settings(minio, max_bytes=1_000_000)
    store = await S3ObjectStore(asked).open()
    for name in (KEY, "no key", "film/Ångström.png", "alone"):
        client(minio).put_object(asked.bucket, name, io.BytesIO(b"other"), 5)
    for call in (store.get(KEY), store.stat(KEY)):
        with pytest.raises(ObjectDamaged):
            await call
    assert [each.key for each in (await store.list("")).objects] == [KEY]


@infra
async def test_an_object_that_is_larger_than_any_that_was_put_is_not_read_to_its_end(minio: Minio) -> None:
    asked = settings(minio)
    await (await S3ObjectStore(asked).open()).put(KEY, PICTURE, "image/png")
    with pytest.raises(ObjectDamaged):
        await S3ObjectStore(settings(minio, bucket=asked.bucket, max_bytes=len(PICTURE) - 1)).get(KEY)


@infra
@pytest.mark.parametrize(
    ("fault", "read"),
    [
        pytest.param(lambda proxy: proxy.cut(), KEY, id="cut"),
        # An answer of many packets would keep the proxy from being mended.
        pytest.param(lambda proxy: proxy.slow(2_000), SMALL_KEY, id="slow"),
        pytest.param(lambda proxy: proxy.narrow(1), KEY, id="narrow"),
        pytest.param(lambda proxy: proxy.reset(), KEY, id="reset"),
        pytest.param(lambda proxy: proxy.swallow(), KEY, id="silent"),
    ],
)
async def test_a_store_behind_a_bad_network_says_so_in_time_and_goes_on_when_it_is_mended(
    minio: Minio, proxy: Proxy, fault: Fault, read: str
) -> None:
    asked = settings(minio)
    direct = await S3ObjectStore(asked).open()
    await direct.put(KEY, PICTURE, "image/png")
    await direct.put(SMALL_KEY, b"small", "text/plain")
    behind = settings(minio, bucket=asked.bucket, endpoint=f"http://{proxy.address}", timeout_s=1.0)
    store = await S3ObjectStore(behind).open()
    await asyncio.to_thread(fault, proxy)
    async with asyncio.timeout(30):
        await told(store.get(read))
    await asyncio.to_thread(proxy.mend)
    assert await store.get(KEY) == PICTURE
    await store.put(KEY, b"later", "image/png")
    await store.close()


@infra
async def test_more_calls_than_may_wait_are_refused_at_once(minio: Minio, proxy: Proxy) -> None:
    asked = settings(minio, endpoint=f"http://{proxy.address}", timeout_s=2.0, threads=2, max_waiting=3)
    store = await S3ObjectStore(asked).open()
    await asyncio.to_thread(proxy.swallow)
    outcomes = await asyncio.gather(*(store.get(KEY) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(each, ObjectStoreBusy) for each in outcomes) == 15
    assert sum(isinstance(each, ObjectStoreUnavailable) for each in outcomes) == 5
    await asyncio.to_thread(proxy.mend)
    with pytest.raises(ObjectMissing):
        await store.get(KEY)
    await store.close()


@infra
async def test_a_server_that_comes_back_is_used_again(own_server: Minio) -> None:
    store = await S3ObjectStore(settings(own_server)).open()
    await store.put(KEY, PICTURE, "image/png")
    await asyncio.to_thread(own_server.kill)
    for call in (store.get(KEY), store.check(), store.open()):
        await told(call)
    await asyncio.to_thread(own_server.start)
    assert await store.get(KEY) == PICTURE


@infra
async def test_a_server_that_is_killed_amid_a_large_object_leaves_the_old_one_or_the_new_one(own_server: Minio) -> None:
    asked = settings(own_server)
    store = await S3ObjectStore(asked).open()
    await store.put(KEY, b"old", "image/png")
    new = bytes(60_000_000)
    putting = asyncio.create_task(store.put(KEY, new, "image/png"))
    while not client(own_server)._list_multipart_uploads(asked.bucket, prefix=KEY).uploads and not putting.done():
        await asyncio.sleep(0)
    await asyncio.to_thread(own_server.kill)
    outcome = await asyncio.gather(putting, return_exceptions=True)
    await asyncio.to_thread(own_server.start)
    kept = await store.get(KEY)
    assert kept == new or (kept == b"old" and isinstance(outcome[0], ObjectStoreUnavailable))
    await store.put(KEY, new, "image/png")
    assert await store.get(KEY) == new


@infra
async def test_an_object_in_parts_of_which_one_is_refused_leaves_no_parts(minio: Minio) -> None:
    asked = settings(minio)
    store = await S3ObjectStore(asked).open()
    sent = store._client._upload_part

    def second_part_fails(*arguments: object) -> str:
        if arguments[-1] == 2:
            raise OSError("the network is gone")
        return sent(*arguments)  # type: ignore[arg-type]

    store._client._upload_part = second_part_fails  # type: ignore[assignment, method-assign]
    await told(store.put(KEY, bytes(40_000_000), "image/png"))
    assert not client(minio)._list_multipart_uploads(asked.bucket, prefix=KEY).uploads
    assert not (await store.list("")).objects


def opened(url: str) -> tuple[bytes, str]:
    with urlopen(url) as answer:
        return answer.read(), answer.headers["content-type"]


@infra
async def test_anybody_reads_by_a_presigned_address_and_by_no_other(minio: Minio) -> None:
    store = await S3ObjectStore(settings(minio)).open()
    await store.put(KEY, PICTURE, "image/png")
    await store.put("film/keyframes/b.png", PICTURE, "image/png")
    url = store.address(KEY, 60)
    assert url
    assert await asyncio.to_thread(opened, url) == (PICTURE, "image/png")
    for other in (url.split("?")[0], url.replace("/a.png", "/b.png"), url.replace("Expires=60", "Expires=61")):
        with pytest.raises(HTTPError) as caught:
            await asyncio.to_thread(opened, other)
        assert caught.value.code == 403


@infra
async def test_anybody_reads_a_published_object_at_its_lasting_address(minio: Minio) -> None:
    asked = settings(minio)
    store = await S3ObjectStore(replace(asked, public_url=f"{minio.url}/{asked.bucket}")).open()
    await store.put(KEY, PICTURE, "image/png")
    everything = f"arn:aws:s3:::{asked.bucket}/*"
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": everything}
    client(minio).set_bucket_policy(asked.bucket, json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))
    url = store.address(KEY, 60)
    assert url == f"{minio.url}/{asked.bucket}/{KEY}"
    assert await asyncio.to_thread(opened, url) == (PICTURE, "image/png")


@asynccontextmanager
async def answering(response: bytes, asked: list[bytes] | None = None):
    """A server that gives every request the same answer, and notes what it was asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(head)
        writer.write(response)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n<h1>Hi</h",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 4\r\n\r\n\xff\xfe<a",
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: 4\r\n\r\n<Err",
        b"HTTP/1.1 500 Oh\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 301 Away\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
)
async def test_what_does_not_speak_s3_is_unavailable(response: bytes) -> None:
    async with answering(response) as endpoint:
        store = S3ObjectStore(
            S3Settings(endpoint, "continuity", SecretStr("access"), SecretStr("hush-hush"), timeout_s=5.0)
        )
        for call in (store.open(), store.put(KEY, b"a", "image/png"), store.list(""), store.check()):
            assert "hush" not in str(await told(call))
        await store.close()


@pytest.mark.parametrize(
    "response",
    [
        *(f"HTTP/1.1 {status} Oh\r\nContent-Length: 0\r\n\r\n".encode() for status in (500, 502, 503, 504)),
        b"HTTP/1.1 503 Slow Down\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
)
async def test_a_server_that_fails_is_asked_once_because_whoever_calls_tries_again(response: bytes) -> None:
    asked: list[bytes] = []
    async with answering(response, asked) as endpoint:
        store = S3ObjectStore(S3Settings(endpoint, "continuity", SecretStr("access"), SecretStr("hush-hush")))
        calls = (store.put(KEY, b"a", "image/png"), store.get(KEY), store.stat(KEY), store.delete(KEY), store.list(""))
        for number, call in enumerate(calls, start=1):
            await told(call)
            assert len(asked) == number, asked
        await store.close()


async def test_a_stopped_store_leaves_no_thread_behind() -> None:
    store = S3ObjectStore(S3Settings("http://127.0.0.1:1", "continuity", SecretStr("access"), SecretStr("secret")))
    await told(store.get(KEY))
    await store.close()
    assert "closed" in (await told(store.get(KEY))).detail
