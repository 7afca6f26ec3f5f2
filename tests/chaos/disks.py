"""A disk that can be filled: a small one in memory, mounted where the object store keeps its files."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

SIZE = "1g"
CHUNK = bytes(1 << 20)


class Disk:
    """Mounted on ``folder`` until ``close``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no room. Others may write meanwhile, so it ends where nothing more can be written."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while file.write(CHUNK):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def clear(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it and of what is on it."""
        subprocess.run(["umount", "--lazy", str(self._folder)], check=False)


def fillable_disk(folder: Path) -> Disk | str:
    """Return a disk on this folder, or the reason why there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "continuity-chaos", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Disk(folder) if done.returncode == 0 else f"a small disk could not be mounted: {done.stderr.strip()}"
