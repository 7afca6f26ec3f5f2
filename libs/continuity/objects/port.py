"""The object store as a port: bytes under a key, written whole or not at all."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from continuity.kernel.errors import Absent, Damaged, Full, Invalid, InvalidValue, Misconfigured, Unavailable
from continuity.kernel.values import ObjectRef

MAX_KEY_LENGTH = 512
MAX_SEGMENT_LENGTH = 200
DEFAULT_MAX_BYTES = 64 * 1024 * 1024
MAX_PAGE = 1000
MAX_ADDRESS_S = 7 * 24 * 3600
_SEGMENT = re.compile(r"[a-zA-Z0-9._-]+")


@dataclass(frozen=True)
class ListedObject:
    """What a listing tells of an object; ``modified_time`` is when it was last put, in seconds since the epoch."""

    key: str
    modified_time: float


@dataclass(frozen=True)
class ObjectPage:
    """Objects in the order of their keys; ``next_after`` is the ``after`` of the next page, None on the last."""

    objects: tuple[ListedObject, ...]
    next_after: str | None


@dataclass(eq=False)
class ObjectMissing(Absent):
    """No object stands under this key."""

    template = "object {key} does not exist"
    key: str


@dataclass(eq=False)
class ObjectDamaged(Damaged):
    """The bytes under this key are not those that were put there."""

    template = "object {key} is damaged"
    key: str


@dataclass(eq=False)
class ObjectTooLarge(Invalid):
    """More bytes than the store takes in one object."""

    template = "object {key} has {size_bytes} bytes; at most {max_bytes} are allowed"
    key: str
    size_bytes: int
    max_bytes: int


@dataclass(eq=False)
class ObjectStoreUnavailable(Unavailable):
    """The store cannot do it now: no space, no connection, no permission."""

    template = "the object store failed at {operation}: {detail}"
    operation: str
    detail: str


@dataclass(eq=False)
class ObjectStoreMisconfigured(Misconfigured):
    """The store can't be used with these settings; a person must mend them. ``cause`` holds no secret."""

    template = "{setting}: {cause}"
    setting: str
    cause: str


@dataclass(eq=False)
class ObjectStoreBusy(Full):
    """More operations wait for the store than it queues."""

    template = "the object store is busy and as many operations wait as it lets wait: {limit}"
    limit: int


class ObjectStore(Protocol):
    """Bytes under keys of the form ``project/folder/name``.

    Every method raises ``InvalidValue`` for a key that ``check_key`` refuses, ``ObjectStoreUnavailable`` when the store
    fails and ``ObjectStoreBusy`` when too many operations wait. Readers see an object whole or not at all, also while
    it is overwritten. A ``put`` or ``delete`` that failed or was given up may still have taken effect.
    """

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        """Write an object, durably once this returns; replaces another one. Raises ``ObjectTooLarge``.

        The same bytes again count as put now, so that whoever collects old objects leaves them alone.
        """
        ...

    async def get(self, key: str) -> bytes:
        """Return an object's bytes. Raises ``ObjectMissing``, and ``ObjectDamaged`` if the check sum differs."""
        ...

    async def stat(self, key: str) -> ObjectRef:
        """Return what is known of an object, without reading it. Raises ``ObjectMissing``, ``ObjectDamaged``."""
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; one that does not exist is removed already."""
        ...

    async def discard(self, found: ListedObject) -> bool:
        """Remove an object unless it was put again since it was listed so; tell whether it is gone by this."""
        ...

    async def list(self, prefix: str, *, limit: int = MAX_PAGE, after: str = "") -> ObjectPage:
        """Return the objects whose keys start with ``prefix`` and come behind ``after`` in the order of bytes.

        A key beneath that of another object (``a/b/c`` beside ``a/b``) is left out by some servers.
        """
        ...

    def address(self, key: str, expires_s: int) -> str | None:
        """Return where anybody may read the object with plain HTTP; None where the store has no such addresses.

        It lasts for ever where the bucket is published, else for ``expires_s``, 1 second to 7 days. The object need not
        exist, and nothing is asked of the server.
        """
        ...

    async def check(self) -> None:
        """Raise ``ObjectStoreUnavailable`` unless the store answers."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of everything."""
        ...


async def put_content(
    store: ObjectStore, project: str, folder: str, data: bytes, *, content_type: str, suffix: str = ""
) -> ObjectRef:
    """Put ``data`` under ``project/folder/<sha256><suffix>``: the same bytes always have the same key."""
    return await store.put(f"{project}/{folder}/{sha256_of(data)}{suffix}", data, content_type)


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def check_key(key: str) -> str:
    """Return ``key`` if it is one: segments of ``[a-zA-Z0-9._-]``, at least two, none of them made of dots only."""
    if not is_key(key):
        limit = f"it must be project/…, of letters, digits and . _ -, at most {MAX_KEY_LENGTH} characters"
        raise InvalidValue(field="key", value=key[: MAX_KEY_LENGTH + 1], limit=limit)
    return key


def is_key(text: str) -> bool:
    """Tell whether ``check_key`` takes it."""
    segments = text.split("/")
    return len(text) <= MAX_KEY_LENGTH and len(segments) > 1 and all(map(_is_segment, segments))


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` if a key can start with it; it may end anywhere, so also within a segment."""
    *folders, last = prefix.split("/")
    segments = [*folders, last] if last else folders
    if len(prefix) > MAX_KEY_LENGTH or not all(map(_is_segment, segments)):
        raise InvalidValue(field="prefix", value=prefix[: MAX_KEY_LENGTH + 1], limit="it must be the start of a key")
    return prefix


def check_page(limit: int) -> int:
    """Return ``limit`` if it is a number of objects that a page may hold."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidValue(field="limit", value=limit, limit=f"it must be between 1 and {MAX_PAGE}")
    return limit


def check_expiry(expires_s: int) -> int:
    """Return ``expires_s`` if an address may last so long."""
    if not 1 <= expires_s <= MAX_ADDRESS_S:
        raise InvalidValue(field="expires_s", value=expires_s, limit=f"it must be between 1 and {MAX_ADDRESS_S}")
    return expires_s


def check_content_type(content_type: str) -> str:
    """Return ``content_type`` if it can stand in a header: printable ASCII, at most 127 characters."""
    if not (content_type.isascii() and content_type.isprintable() and 0 < len(content_type) <= 127):
        raise InvalidValue(field="content_type", value=content_type[:128], limit="it must be a media type in ASCII")
    return content_type


def check_size(key: str, data: bytes, max_bytes: int) -> None:
    """Raise ``ObjectTooLarge`` where ``data`` is larger than ``max_bytes``."""
    if len(data) > max_bytes:
        raise ObjectTooLarge(key=key, size_bytes=len(data), max_bytes=max_bytes)


def _is_segment(segment: str) -> bool:
    return len(segment) <= MAX_SEGMENT_LENGTH and bool(_SEGMENT.fullmatch(segment)) and segment.strip(".") != ""
