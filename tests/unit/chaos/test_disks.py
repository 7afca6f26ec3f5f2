from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.chaos import disks


def test_a_full_disk_takes_nothing_until_it_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disks, "SIZE", "4m")
    disk = disks.fillable_disk(tmp_path / "disk")
    if isinstance(disk, str):
        pytest.skip(disk)
    try:
        disk.fill()
        with pytest.raises(OSError) as refused:
            (tmp_path / "disk" / "one").write_bytes(bytes(64_000))
        assert refused.value.errno == errno.ENOSPC
        disk.clear()
        (tmp_path / "disk" / "one").write_bytes(bytes(64_000))
    finally:
        disk.close()
