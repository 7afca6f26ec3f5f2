"""What lies under an address in a bucket that need not be ours, and its bytes from any place on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from continuity.kernel.errors import Conflict, ContinuityError, InvalidValue
from continuity.objects.download.remote import CHUNK_BYTES, RemoteFile
from continuity.objects.port import ObjectStoreUnavailable
from continuity.objects.s3 import client_of, connections_of, understood
from continuity.objects.s3_answers import misconfigured
from continuity.objects.s3_settings import S3Settings

MOST_FILES = 1_000
_TAKEN = (".safetensors", ".json", ".txt")
_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
_PARTIAL = 206
_NOT_THERE = ("NoSuchKey", "NoSuchBucket", "InvalidBucketName")
_REPLACED = "PreconditionFailed"


@dataclass(eq=False)
class ObjectReplaced(Conflict):
    """An object is another one now than when it was listed."""

    template = "{key} was replaced while it was read; begin again"
    key: str


@dataclass(frozen=True)
class Address:
    """``s3://bucket/prefix``: one object of that key, or all that lie under ``prefix/``."""

    text: str
    bucket: str
    key: str


def address_of(text: str) -> Address:
    """Return what an address says. Raises ``InvalidValue``."""
    parts = urlsplit(text)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise InvalidValue(field="path", value=text, limit="it must be s3://bucket/prefix, or a path of this machine")
    return Address(text, parts.netloc, parts.path.strip("/"))


class Bucket:
    """The bucket of an address, which is read and never written."""

    def __init__(self, settings: S3Settings, address: Address) -> None:
        self._settings = settings
        self._address = address
        self._client = client_of(settings, connections_of(settings))

    def files(self) -> tuple[list[RemoteFile], str]:
        """Return what of a model lies there, and the name of the only object where the address is of one, else "".

        Raises ``InvalidValue`` for what holds no safetensors, ``ObjectStoreMisconfigured``, ``ObjectStoreUnavailable``.
        """
        listed = self._listed()
        single = next((each for each in listed if each.key == self._address.key), None)
        if len(listed) > MOST_FILES:
            raise self._refused(f"more than {MOST_FILES} files lie there, which no model has")
        self._require_model([single] if single else listed)
        wanted = [single] if single else [each for each in listed if each.key.endswith(_TAKEN)]
        return [self._described(each) for each in wanted], single.name if single else ""

    def pieces(self, file: RemoteFile, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield where in the file each piece belongs, and the piece, from ``offset`` on.

        Raises ``ObjectReplaced`` where it is another object by now, ``ObjectStoreUnavailable`` where it breaks off.
        """
        with self._understood("get", file.key):
            answer = self._client.get_object(
                self._address.bucket, file.key, offset=offset, request_headers={"If-Match": f'"{file.etag}"'}
            )
            place = offset if answer.status == _PARTIAL else 0
            try:
                while piece := answer.read1(CHUNK_BYTES, decode_content=False):
                    yield place, piece
                    place += len(piece)
            finally:
                answer.close()
                answer.release_conn()
        if place < file.size_bytes:
            raise ObjectStoreUnavailable(operation="get", detail="the connection broke off")

    def _listed(self) -> list[RemoteFile]:
        """Return the object of the address alone, or what lies under it: more than may be only to tell of it."""
        key = self._address.key
        with self._understood("list", key):
            if key:
                first = next(self._client.list_objects(self._address.bucket, key), None)
                if first is not None and first.object_name == key and not first.is_dir:
                    return [_file(first, PurePosixPath(key).name)]
            folder = f"{key}/" if key else ""
            listing = self._client.list_objects(self._address.bucket, folder, recursive=True)
            some = islice(listing, MOST_FILES + 1)
            found = [_file(each, str(each.object_name).removeprefix(folder)) for each in some if not each.is_dir]
        for each in found:
            self._require_inside(each.name)
        return [each for each in found if not each.name.endswith("/")]

    def _described(self, file: RemoteFile) -> RemoteFile:
        """Add what the file can be compared with when it has arrived."""
        with self._understood("stat", file.key):
            known: Any = self._client.stat_object(self._address.bucket, file.key).metadata or {}
            is_keyed = str(known.get("x-amz-server-side-encryption", "")).startswith("aws:kms")
            md5 = "" if is_keyed else file.etag  # the ETag of what is encrypted so is of another kind
            described = replace(file, sha256=str(known.get("x-amz-meta-sha256", "")), md5=md5)
            if described.sha256 or "-" not in md5:
                return described
            first = self._client.stat_object(self._address.bucket, file.key, extra_query_params={"partNumber": "1"})
            return replace(described, part_bytes=first.size or 0)

    def _require_model(self, found: list[RemoteFile]) -> None:
        if any(each.key.endswith(".safetensors") for each in found):
            return
        if pickle := next((each.name for each in found if each.key.endswith(_PICKLES)), None):
            raise self._refused(f"{pickle} is a pickle, which can run code; give safetensors")
        raise self._refused("no safetensors lie there" if found else "nothing lies there")

    def _require_inside(self, name: str) -> None:
        parts = name.removesuffix("/").split("/")
        if name and ("\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts)):
            raise self._refused(f"it holds {name!r}, which would lie elsewhere")

    @contextmanager
    def _understood(self, operation: str, key: str) -> Iterator[None]:
        with understood(operation, lambda code: self._error(code, operation, key)):
            yield

    def _error(self, code: str | None, operation: str, key: str) -> ContinuityError:
        if code in _NOT_THERE:
            return self._refused(f"{self._settings.endpoint} has no {'such bucket' if 'Bucket' in code else key}")
        if code == _REPLACED:
            return ObjectReplaced(key=key)
        known = misconfigured(code, self._settings)
        return known or ObjectStoreUnavailable(operation=operation, detail=f"the server answers {code}")

    def _refused(self, limit: str) -> InvalidValue:
        return InvalidValue(field="path", value=self._address.text, limit=limit)


def _file(listed: Any, name: str) -> RemoteFile:
    return RemoteFile(str(listed.object_name), name, listed.size or 0, str(listed.etag or "").strip('"'))
