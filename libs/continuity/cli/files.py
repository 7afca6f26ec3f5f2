"""Files that commands read and write."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from continuity.kernel.errors import InvalidValue

MAX_PHOTO_BYTES = 26_214_400
"""What the services accept (``max_len`` of the photo fields in the protos)."""

CHECKOUT = Path(__file__).resolve().parents[3]
"""The repository's root, where the command runs from a checkout."""


def read_photo(path: Path) -> bytes:
    """Return the file's bytes. Raises ``InvalidValue`` for one that no service would take."""
    size = path.stat().st_size
    if size > MAX_PHOTO_BYTES:
        limit = (
            f"a photograph has at most {MAX_PHOTO_BYTES} bytes ({MAX_PHOTO_BYTES // 2**20} MiB), and {path} has more"
        )
        raise InvalidValue(field="photo", value=f"{size} bytes", limit=limit)
    return path.read_bytes()


def write_atomically(path: Path, data: bytes) -> None:
    """Write the file so that nobody ever sees half of it; its folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        unfinished.chmod(0o666 & ~_umask())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's umask; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
