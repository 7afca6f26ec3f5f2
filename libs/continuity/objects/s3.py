"""An object store on a server that speaks S3: AWS, MinIO and others. The only place that knows the client library.

The check sum of an object stands in its user metadata and is compared with the bytes on every read. The library blocks,
so its calls run in threads; how long it may take is decided here.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import TypeVar
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.error import MinioException, S3Error
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from continuity.kernel.errors import ContinuityError
from continuity.kernel.values import ObjectRef
from continuity.objects.port import (
    MAX_PAGE,
    ListedObject,
    ObjectDamaged,
    ObjectPage,
    ObjectStoreUnavailable,
    check_content_type,
    check_expiry,
    check_key,
    check_page,
    check_prefix,
    check_size,
    is_key,
    sha256_of,
)
from continuity.objects.s3_answers import misconfigured, refused, unreachable
from continuity.objects.s3_settings import S3Settings
from continuity.objects.threads import BoundedThreads

PART_BYTES = 16 * 1024 * 1024
"""Larger objects are sent in parts of this size."""

_SHARE = 1 / 3
"""Of the time that a caller waits: connecting and sending have one each, and the wait for an answer."""
_CHUNK_BYTES = 1024 * 1024
_CHECK_SUM = "x-amz-meta-sha256"
_NOTHING = "continuity/check/"
T = TypeVar("T")


class S3ObjectStore:
    """Objects of one bucket; ``open`` tells early what is wrong with the settings."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._threads = BoundedThreads(settings.threads, max_waiting=settings.max_waiting)
        self._connections = connections_of(settings)
        self._client = client_of(settings, self._connections)

    async def open(self) -> S3ObjectStore:
        """Find the bucket, or create it where that is allowed.

        Raises ``ObjectStoreMisconfigured`` and ``ObjectStoreUnavailable``.
        """
        await self._run("open", self._open)
        return self

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        """See ``ObjectStore``."""
        check_size(check_key(key), data, self._settings.max_bytes)
        ref = ObjectRef(key, await asyncio.to_thread(sha256_of, data), len(data), check_content_type(content_type))
        await self._run("put", lambda: self._put(ref, data), key)
        return ref

    async def get(self, key: str) -> bytes:
        """See ``ObjectStore``."""
        check_key(key)
        return await self._run("get", lambda: self._get(key), key)

    async def stat(self, key: str) -> ObjectRef:
        """See ``ObjectStore``."""
        check_key(key)
        return await self._run("stat", lambda: self._stat(key), key)

    async def delete(self, key: str) -> None:
        """See ``ObjectStore``."""
        check_key(key)
        await self._run("delete", lambda: self._client.remove_object(self._bucket, key), key)

    async def discard(self, found: ListedObject) -> bool:
        """See ``ObjectStore``.

        Not every server deletes on a condition, so this looks first. Who puts the object between the look and the
        deletion, some milliseconds later, loses it: only objects that a collector has found unused for long may go so.
        """
        check_key(found.key)
        return await self._run("discard", lambda: self._discard(found), found.key)

    async def list(self, prefix: str, *, limit: int = MAX_PAGE, after: str = "") -> ObjectPage:
        """See ``ObjectStore``. What others put there under names that are no keys is passed over."""
        check_page(limit)
        check_prefix(prefix)
        found = await self._run("list", lambda: list(islice(self._listed(prefix, after), limit + 1)))
        return ObjectPage(tuple(found[:limit]), found[limit - 1].key if len(found) > limit else None)

    def address(self, key: str, expires_s: int) -> str | None:
        """See ``ObjectStore``. What is not published is signed with our key, for the endpoint as we are told it."""
        check_key(key)
        lasting_s = check_expiry(expires_s)
        if base := self._settings.public_url.rstrip("/"):
            return f"{base}/{key}"
        return self._client.presigned_get_object(self._bucket, key, timedelta(seconds=lasting_s))

    async def check(self) -> None:
        """See ``ObjectStore``."""
        await self._run("check", self._reach)

    async def close(self) -> None:
        """See ``ObjectStore``."""
        await self._threads.close()
        self._connections.clear()

    async def _run(self, operation: str, function: Callable[[], T], key: str = "") -> T:
        with understood(operation, lambda code: refused(code, operation, key)):
            try:
                async with asyncio.timeout(self._settings.timeout_s):
                    return await self._threads.run(operation, function)
            except TimeoutError:
                detail = f"no answer within {self._settings.timeout_s:g} s"
                raise ObjectStoreUnavailable(operation=operation, detail=detail) from None

    def _open(self) -> None:
        try:
            self._find_or_create()
        except S3Error as error:
            mistake = misconfigured(error.code, self._settings)
            if mistake is None:
                raise
            raise mistake from None

    def _find_or_create(self) -> None:
        try:
            self._reach()
        except S3Error as error:
            if error.code != "NoSuchBucket" or not self._settings.create_bucket:
                raise
            self._create()

    def _create(self) -> None:
        try:
            self._client.make_bucket(self._bucket, self._settings.region)
        except S3Error as error:
            if error.code != "BucketAlreadyOwnedByYou":  # by another process that starts at the same moment
                raise

    def _reach(self) -> None:
        """Ask for something that a missing bucket and bad credentials make fail with a reason; HEAD gives none."""
        next(self._listed(_NOTHING, ""), None)

    def _put(self, ref: ObjectRef, data: bytes) -> None:
        written = self._client.put_object(
            self._bucket,
            ref.key,
            io.BytesIO(data),
            len(data),
            content_type=ref.content_type,
            metadata={_CHECK_SUM: ref.sha256},
            part_size=PART_BYTES,
            num_parallel_uploads=1,
        )
        if not written.etag:  # whatever stands there instead of S3 also answers 200
            raise ObjectStoreUnavailable(operation="put", detail="no proper answer (it lacks an ETag)")

    def _get(self, key: str) -> bytes:
        response = self._client.get_object(self._bucket, key)
        try:
            data = _body(response, time.monotonic() + self._settings.timeout_s, self._settings.max_bytes)
        finally:
            response.close()  # what was not read to its end cannot be used again
            response.release_conn()
        if data is None or sha256_of(data) != response.headers.get(_CHECK_SUM):
            raise ObjectDamaged(key=key)
        return data

    def _stat(self, key: str) -> ObjectRef:
        known = self._client.stat_object(self._bucket, key)
        sha256 = (known.metadata or {}).get(_CHECK_SUM)
        if sha256 is None or known.size is None or known.content_type is None:
            raise ObjectDamaged(key=key)
        return ObjectRef(key, sha256, known.size, known.content_type)

    def _discard(self, found: ListedObject) -> bool:
        if next(self._listed(found.key, ""), None) != found:
            return False
        self._client.remove_object(self._bucket, found.key)
        return True

    def _listed(self, prefix: str, after: str) -> Iterator[ListedObject]:
        found = self._client.list_objects(self._bucket, prefix, recursive=True, start_after=after or None)
        for each in found:
            if each.object_name and each.last_modified and is_key(each.object_name):
                yield ListedObject(each.object_name, each.last_modified.timestamp())


def client_of(settings: S3Settings, connections: PoolManager) -> Minio:
    """Return the library's client for these settings."""
    return Minio(
        settings.address,
        settings.access_key.get_secret_value(),
        settings.secret_key.get_secret_value(),
        secure=settings.secure,
        region=settings.region,
        http_client=connections,
    )


@contextmanager
def understood(operation: str, said: Callable[[str | None], ContinuityError]) -> Iterator[None]:
    """Raise what ``said`` makes of the code that the server answers, ``ObjectStoreUnavailable`` without an answer."""
    try:
        yield
    except S3Error as error:
        raise said(error.code) from error
    except (MinioException, HTTPError, OSError, ParseError, UnicodeDecodeError) as error:
        raise unreachable(error, operation) from error


def connections_of(settings: S3Settings) -> PoolManager:
    """Return connections with a limit on everything. Sending a body is bounded by the limit on connecting.

    Nothing is tried again here: events, jobs and callers are, within their budgets, and each try would become several.
    """
    share_s = settings.timeout_s * _SHARE
    retries = Retry(total=0, redirect=False)
    timeout = Timeout(connect=share_s, read=share_s)
    return PoolManager(num_pools=1, maxsize=settings.threads, block=True, timeout=timeout, retries=retries)


def _body(response: BaseHTTPResponse, deadline: float, max_bytes: int) -> bytes | None:
    """Return the whole body; None when it is larger than anything that was put."""
    chunks, size = [], 0
    while chunk := response.read1(_CHUNK_BYTES, decode_content=False):
        size += len(chunk)
        if size > max_bytes:
            return None
        if time.monotonic() > deadline:
            raise TimeoutError("the body came too slowly")
        chunks.append(chunk)
    return b"".join(chunks)
