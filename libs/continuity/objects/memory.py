"""An object store that forgets: for the tests of those who use one."""

from __future__ import annotations

from bisect import bisect_right

from continuity.kernel.clock import Clock, SystemClock
from continuity.kernel.values import ObjectRef
from continuity.objects.port import (
    DEFAULT_MAX_BYTES,
    MAX_PAGE,
    ListedObject,
    ObjectDamaged,
    ObjectMissing,
    ObjectPage,
    ObjectStoreUnavailable,
    check_content_type,
    check_expiry,
    check_key,
    check_page,
    check_prefix,
    check_size,
    sha256_of,
)


class InMemoryObjectStore:
    """Keeps objects in ``objects`` (key → reference, bytes); full when they exceed ``capacity_bytes`` together."""

    def __init__(
        self,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        capacity_bytes: int = 1 << 40,
        clock: Clock | None = None,
    ) -> None:
        self.objects: dict[str, tuple[ObjectRef, bytes]] = {}
        self.capacity_bytes = capacity_bytes
        self._modified_times: dict[str, float] = {}
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        """See ``ObjectStore``."""
        check_size(check_key(key), data, self._max_bytes)
        if sum(len(held) for _, held in self.objects.values()) + len(data) > self.capacity_bytes:
            raise ObjectStoreUnavailable(operation="put", detail="no space left")
        ref = ObjectRef(key, sha256_of(data), len(data), check_content_type(content_type))
        self.objects[key] = (ref, data)
        self._modified_times[key] = self._clock.now()
        return ref

    async def get(self, key: str) -> bytes:
        """See ``ObjectStore``."""
        ref, data = self._held(key)
        if sha256_of(data) != ref.sha256:
            raise ObjectDamaged(key=key)
        return data

    async def stat(self, key: str) -> ObjectRef:
        """See ``ObjectStore``."""
        return self._held(key)[0]

    async def delete(self, key: str) -> None:
        """See ``ObjectStore``."""
        self.objects.pop(check_key(key), None)

    async def discard(self, found: ListedObject) -> bool:
        """See ``ObjectStore``."""
        unchanged = self._modified_times.get(check_key(found.key)) == found.modified_time
        return unchanged and self.objects.pop(found.key, None) is not None

    async def list(self, prefix: str, *, limit: int = MAX_PAGE, after: str = "") -> ObjectPage:
        """See ``ObjectStore``."""
        check_prefix(prefix)
        check_page(limit)
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        start = bisect_right(keys, after)
        page = keys[start : start + limit]
        more = start + limit < len(keys)
        listed = tuple(ListedObject(key, self._modified_times[key]) for key in page)
        return ObjectPage(listed, page[-1] if more else None)

    def address(self, key: str, expires_s: int) -> str | None:
        """See ``ObjectStore``. There is none."""
        check_key(key)
        check_expiry(expires_s)
        return None

    async def check(self) -> None:
        """See ``ObjectStore``."""

    async def close(self) -> None:
        """See ``ObjectStore``."""

    def _held(self, key: str) -> tuple[ObjectRef, bytes]:
        if check_key(key) not in self.objects:
            raise ObjectMissing(key=key)
        return self.objects[key]
