"""The empty folder that Triton's Python backend makes under /tmp at each start and leaves there when it is killed.

Its name is chosen by chance. A server has made its own by the time that it is ready, so what alone has come meanwhile
is that one; where several have come, other servers started, too, and all of them stay.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_FOLDERS = Path("/tmp")  # noqa: S108 - the backend asks for no other
_PATTERN = "python_env_??????"


class ScratchFolder:
    """One server's folder; its path is noted in a file, for whoever starts after this process was killed."""

    def __init__(self, noted: Path, folders: Path = _FOLDERS) -> None:
        self._noted = noted
        self._folders = folders
        self._before: set[Path] = set()

    def begin(self) -> None:
        """Look at what is there before the server starts."""
        self._before = set(self._folders.glob(_PATTERN))

    def claim(self) -> None:
        """Note which folder is the server's, now that it is ready."""
        fresh = set(self._folders.glob(_PATTERN)) - self._before
        if len(fresh) == 1:
            with suppress(OSError):  # a full disk: then it stays
                self._noted.write_text(str(fresh.pop()), encoding="utf-8")

    def remove(self) -> None:
        """Remove the folder that was noted last, unless somebody has put something into it."""
        with suppress(OSError):
            folder = Path(self._noted.read_text(encoding="utf-8"))
            self._noted.unlink()
            if folder.parent == self._folders and folder.match(_PATTERN):
                folder.rmdir()
