"""One object of a bucket as a file that is to arrive, and whether it has."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHUNK_BYTES = 2**20
_PLAIN = re.compile(r"[0-9a-f]{32}")
_OF_PARTS = re.compile(r"([0-9a-f]{32})-([0-9]{1,5})")


@dataclass(frozen=True)
class RemoteFile:
    """An object. ``etag`` is the server's mark of this version of it; it becomes the file ``name`` of a folder.

    What its bytes can be compared with: ``sha256``, which whoever put it has noted, else ``md5`` in S3's form: of the
    bytes, or of the MD5s of its parts of ``part_bytes`` with their number behind. Without either its length remains.
    """

    key: str
    name: str
    size_bytes: int
    etag: str
    sha256: str = ""
    md5: str = ""
    part_bytes: int = 0

    @property
    def part_name(self) -> str:
        """What it is called while it arrives: another version of it is another file."""
        return f"{self.name}.{hashlib.sha256(self.etag.encode()).hexdigest()[:12]}.part"

    def is_whole(self, path: Path) -> bool:
        """Tell whether a local file is this object."""
        if not path.is_file() or path.stat().st_size != self.size_bytes:
            return False
        if self.sha256:
            return _digest(path, hashlib.sha256()) == self.sha256
        if _PLAIN.fullmatch(self.md5):
            return _digest(path, _md5()) == self.md5
        parts = _OF_PARTS.fullmatch(self.md5)
        if parts and int(parts[2]) == self._parts():
            return _digest_of_parts(path, self.part_bytes) == parts[1]
        return True

    def _parts(self) -> int:
        """Return of how many parts of ``part_bytes`` it would consist; 0 where their size is not known."""
        return -(-self.size_bytes // self.part_bytes) if self.part_bytes else 0


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _digest(path: Path, digest: Any) -> str:
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
    return str(digest.hexdigest())


def _digest_of_parts(path: Path, part_bytes: int) -> str:
    """Return the MD5 of the MD5s of a file's parts. Source: S3's description of ETags of multipart uploads."""
    whole = _md5()
    with path.open("rb") as file:
        while piece := file.read(min(CHUNK_BYTES, part_bytes)):
            part, left = _md5(), part_bytes
            while piece:
                part.update(piece)
                left -= len(piece)
                piece = file.read(min(CHUNK_BYTES, left)) if left else b""
            whole.update(part.digest())
    return str(whole.hexdigest())
