"""What set-up builds once: by one at a time, whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local import cache
from deploy.local.cache import built_once, digest

BUILDERS = 4


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "CACHE", tmp_path / "cache")
    return tmp_path / "cache" / "tool"


def building(counts: list[str], text: str = "whole") -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        assert list(folder.iterdir()) == []
        counts.append(text)
        (folder / "program").write_text(text)

    return build


def test_what_is_there_is_not_built_again(folder: Path) -> None:
    counts: list[str] = []
    for _ in range(2):
        assert built_once(folder, building(counts)) == folder
    assert counts == ["whole"]
    assert (folder / "program").read_text() == "whole"


def test_what_was_left_half_made_is_built_anew_from_nothing(folder: Path) -> None:
    def breaks(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        built_once(folder, breaks)
    counts: list[str] = []
    built_once(folder, building(counts))
    assert counts == ["whole"]
    assert not (folder / "half").exists()


def test_who_comes_while_it_is_built_waits_and_gets_the_same(folder: Path) -> None:
    counts: list[str] = []
    together = threading.Barrier(BUILDERS)

    def come(_: int) -> str:
        together.wait(10)
        return (built_once(folder, building(counts)) / "program").read_text()

    with ThreadPoolExecutor(BUILDERS) as threads:
        assert list(threads.map(come, range(BUILDERS))) == ["whole"] * BUILDERS
    assert counts == ["whole"]


def test_another_lock_or_another_order_of_it_is_another_folder() -> None:
    assert len({digest(b"a", b"b"), digest(b"b", b"a"), digest(b"ab"), digest(b"a", b"c")}) == 4
