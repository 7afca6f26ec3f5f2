"""An object store in a folder.

An object is one file: its bytes, then a trailer with check sum and content type, so that both change in one rename
while a picture still opens in any viewer. Folders are called ``<segment>+``, a character that no key has, so that
``a/b`` and ``a/b/c`` can both be keys. What is being written lies in ``incoming`` until it is whole and on the disk.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from heapq import nsmallest
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

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
from continuity.objects.threads import MAX_WAITING, BoundedThreads
from continuity.objects.trailer import MAX_TRAILER_BYTES, read_trailer, trailer

_INCOMING = "incoming"
_FOLDER_MARK = "+"
_LEFT_OVER_AFTER_S = 3600.0

P = ParamSpec("P")
T = TypeVar("T")


class FilesystemObjectStore:
    """Objects below ``root``, written by ``threads`` threads; several processes may share one root."""

    def __init__(
        self, root: Path, *, max_bytes: int = DEFAULT_MAX_BYTES, threads: int = 4, max_waiting: int = MAX_WAITING
    ) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._threads = BoundedThreads(threads, max_waiting=max_waiting)
        self._durable_folders: set[Path] = set()
        self._incoming = root / _INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._sweep()

    async def put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        """See ``ObjectStore``. The same bytes again only renew the file's time."""
        check_size(check_key(key), data, self._max_bytes)
        return await self._run("put", self._put, key, data, check_content_type(content_type))

    async def get(self, key: str) -> bytes:
        """See ``ObjectStore``."""
        return await self._run("get", self._get, check_key(key))

    async def stat(self, key: str) -> ObjectRef:
        """See ``ObjectStore``."""
        return await self._run("stat", self._stat, check_key(key))

    async def delete(self, key: str) -> None:
        """See ``ObjectStore``."""
        await self._run("delete", self._delete, check_key(key))

    async def discard(self, found: ListedObject) -> bool:
        """See ``ObjectStore``. No put of another process comes between the look and the deletion."""
        check_key(found.key)
        return await self._run("discard", self._discard, found)

    async def list(self, prefix: str, *, limit: int = MAX_PAGE, after: str = "") -> ObjectPage:
        """See ``ObjectStore``. Folders that cannot hold a wanted key are not entered; no more than a page is held."""
        return await self._run("list", self._list, check_prefix(prefix), check_page(limit), after)

    def address(self, key: str, expires_s: int) -> str | None:
        """See ``ObjectStore``. There is none."""
        check_key(key)
        check_expiry(expires_s)
        return None

    async def check(self) -> None:
        """See ``ObjectStore``."""
        await self._run("check", self._check)

    async def close(self) -> None:
        """See ``ObjectStore``."""
        await self._threads.close()

    async def _run(self, operation: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._threads.run(operation, lambda: function(*args, **kwargs))
        except OSError as error:
            detail = error.strerror or type(error).__name__
            raise ObjectStoreUnavailable(operation=operation, detail=detail) from error

    def _put(self, key: str, data: bytes, content_type: str) -> ObjectRef:
        ref = ObjectRef(key, sha256_of(data), len(data), content_type)
        path = self._path(key)
        self._make_durable(path.parent)
        blob = data + trailer(ref)
        if not self._renewed(path, blob):
            self._write(path, blob)
        _sync_folder(path.parent)
        return ref

    def _write(self, path: Path, blob: bytes) -> None:
        temporary = self._incoming / uuid.uuid4().hex
        try:
            with temporary.open("xb") as file:
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())
            with self._locked(fcntl.LOCK_SH):
                temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _renewed(self, path: Path, blob: bytes) -> bool:
        """Tell whether these bytes stand there already; they count as written now."""
        try:
            if path.read_bytes() != blob:
                return False
            with self._locked(fcntl.LOCK_SH):
                os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def _discard(self, found: ListedObject) -> bool:
        path = self._path(found.key)
        try:
            with self._locked(fcntl.LOCK_EX):
                if path.stat().st_mtime != found.modified_time:
                    return False
                path.unlink()
        except FileNotFoundError:
            return False
        _sync_folder(path.parent)
        return True

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        """Keep puts (``LOCK_SH``) and discards (``LOCK_EX``) apart, those of other processes included."""
        descriptor = os.open(self._incoming, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)

    def _make_durable(self, folder: Path) -> None:
        """Create ``folder`` and see to it once that it and all above it are on the disk."""
        if folder in self._durable_folders or folder == self._root:
            return
        self._make_durable(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)
        self._durable_folders.add(folder)

    def _get(self, key: str) -> bytes:
        try:
            blob = self._path(key).read_bytes()
        except FileNotFoundError:
            raise ObjectMissing(key=key) from None
        ref, trailer_bytes = read_trailer(key, blob[-MAX_TRAILER_BYTES:], len(blob))
        data = blob[: len(blob) - trailer_bytes]
        if sha256_of(data) != ref.sha256:
            raise ObjectDamaged(key=key)
        return data

    def _stat(self, key: str) -> ObjectRef:
        try:
            with self._path(key).open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - MAX_TRAILER_BYTES))
                return read_trailer(key, file.read(), size)[0]
        except FileNotFoundError:
            raise ObjectMissing(key=key) from None

    def _delete(self, key: str) -> None:
        path = self._path(key)
        with suppress(FileNotFoundError):
            path.unlink()
            _sync_folder(path.parent)

    def _list(self, prefix: str, limit: int, after: str) -> ObjectPage:
        keys = list(islice(_keys(self._root, "", prefix, after, limit + 1), limit + 1))
        listed = []
        for key in keys[:limit]:
            with suppress(FileNotFoundError):  # deleted in between
                listed.append(ListedObject(key, self._path(key).stat().st_mtime))
        return ObjectPage(tuple(listed), keys[limit - 1] if len(keys) > limit else None)

    def _check(self) -> None:
        """Write something, as a full or lost disk refuses to."""
        trial = self._incoming / uuid.uuid4().hex
        try:
            trial.write_bytes(b"check")
        finally:
            trial.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        *folders, name = key.split("/")
        return self._root.joinpath(*(folder + _FOLDER_MARK for folder in folders), name)

    def _sweep(self) -> None:
        """Remove what writers that died left behind."""
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _LEFT_OVER_AFTER_S:
                    path.unlink()


def _keys(folder: Path, above: str, prefix: str, after: str, at_once: int) -> Iterator[str]:
    """Yield the keys below ``folder`` that start with ``prefix`` and come behind ``after``, in the order of bytes.

    A folder has no order, so it is gone through for each ``at_once`` of its names, and no more of them are held.
    """
    last = ""
    while names := nsmallest(at_once, (each for each in _names(folder, above, prefix, after) if each > last)):
        for name in names:
            if name.endswith("/"):
                yield from _keys(folder / (name[:-1] + _FOLDER_MARK), above + name, prefix, after, at_once)
            else:
                yield above + name
        last = names[-1]


def _names(folder: Path, above: str, prefix: str, after: str) -> Iterator[str]:
    """Yield what stands in a folder and may be wanted, in no order; names of folders end with a slash."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_FOLDER_MARK):
                name = entry.name[: -len(_FOLDER_MARK)] + "/"
                if _may_hold(above + name, prefix, after):
                    yield name
            elif above and (above + entry.name).startswith(prefix) and above + entry.name > after:
                yield entry.name


def _may_hold(folder: str, prefix: str, after: str) -> bool:
    return (folder.startswith(prefix) or prefix.startswith(folder)) and (folder > after or after.startswith(folder))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
