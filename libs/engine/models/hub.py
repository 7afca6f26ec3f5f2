"""A hub's files: what a repository holds, and one file of it, going on where a download was cut."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import disable_progress_bars

from engine.models.entry import file_sha256
from engine.models.transfer import PullFailed

__all__ = ["Hub", "PullFailed", "RemoteFile"]

_DENIED = (401, 403)


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub describes it: of large ones it knows the SHA-256, of others git's SHA-1."""

    path: str
    size_bytes: int
    sha256: str | None
    git_sha1: str | None

    def is_whole(self, path: Path) -> bool:
        """Tell whether a local file is this one."""
        if not path.is_file() or path.stat().st_size != self.size_bytes:
            return False
        if self.sha256:
            return file_sha256(path) == self.sha256
        return self.git_sha1 in (None, _git_sha1(path))


class Hub:
    """The hub that ``HF_ENDPOINT`` names; a token is taken from ``HF_TOKEN``, and told to that hub alone."""

    def __init__(self, endpoint: str | None = None) -> None:
        disable_progress_bars()
        self._api = HfApi(endpoint=endpoint)
        self.endpoint: str = self._api.endpoint

    def files(self, repository: str, revision: str) -> list[RemoteFile]:
        """Return what a repository holds at a revision. Raises ``PullFailed``."""
        with self._understood(repository):
            found = self._api.model_info(repository, revision=revision, files_metadata=True).siblings or []
        files = [_remote(each) for each in found]
        for each in files:
            if PurePosixPath(each.path).is_absolute() or ".." in PurePosixPath(each.path).parts:
                raise PullFailed(repository, f"the hub names the file {each.path!r}, which would lie elsewhere")
        return files

    def fetch(
        self, repository: str, revision: str, file: RemoteFile, target: Path, told: Callable[[int], None]
    ) -> None:
        """Fetch a file into ``target``, from where an earlier attempt has stopped. ``told`` hears of bytes done.

        Raises ``PullFailed``; what arrived by then stays.
        """
        url = hf_hub_url(repository, file.path, revision=revision, endpoint=self.endpoint)
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._understood(repository), target.open("ab") as opened:
            done = opened.tell()
            if done > file.size_bytes:
                opened.truncate(done := 0)
            headers = self._api._build_hf_headers()
            # Without it a middlebox may compress, and then lengths and ranges are those of other bytes.
            headers["Accept-Encoding"] = "identity"
            http_get(url, _Told(opened, told), resume_size=done, headers=headers, expected_size=file.size_bytes)

    @contextmanager
    def _understood(self, repository: str) -> Iterator[None]:
        """Turn the ways in which this fails into what can be done about it."""
        page = f"{self.endpoint}/{repository}"
        try:
            yield
        except GatedRepoError as error:
            raise PullFailed(
                repository,
                f"accept its licence at {page} first, then set HF_TOKEN to a token of that account",
            ) from error
        except RevisionNotFoundError as error:
            raise PullFailed(repository, f"{page} has not the revision that is known to work") from error
        except RepositoryNotFoundError as error:
            raise PullFailed(repository, f"{page} is not there, or HF_TOKEN has no access to it") from error
        except HfHubHTTPError as error:
            raise PullFailed(repository, _answered(page, error)) from error
        except (HTTPError, ConnectionError, TimeoutError) as error:
            raise PullFailed(repository, _unreachable(self.endpoint, error)) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise PullFailed(repository, "the disk is full; make room and pull again to go on") from error
            raise PullFailed(repository, f"{error}; what arrived stays, pull again to go on") from error


class _Told:
    """A file that tells how far it has got."""

    def __init__(self, file: BinaryIO, told: Callable[[int], None]) -> None:
        self._file = file
        self._told = told

    def write(self, piece: bytes) -> int:
        written = self._file.write(piece)
        self._told(self._file.tell())
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _remote(sibling: Any) -> RemoteFile:
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    return RemoteFile(sibling.rfilename, sibling.size or 0, sha256, None if sha256 else sibling.blob_id)


def _git_sha1(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _answered(page: str, error: Any) -> str:
    status = error.response.status_code
    if status in _DENIED:
        return f"{page} refuses ({status}); set HF_TOKEN to a token that may read it"
    return f"{page} answers {status}; try again later, or set HF_ENDPOINT to a mirror"


def _unreachable(endpoint: str, error: Exception) -> str:
    return (
        f"{endpoint} cannot be reached ({error}); check the network or set HF_ENDPOINT to a mirror, then pull again. "
        "Files that you have can be adopted without any network"
    )
