"""A checkpoint is read beside the device's thread, bit by bit, and is what was installed, to the byte."""

from __future__ import annotations

import _thread
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from engine.errors import ModelUnusable, OutOfMemory
from engine.models import ahead, files, reader, verification
from engine.models.adoption import Terms, adopt
from engine.models.assembly import Assembly
from engine.models.catalogue import Catalogue
from engine.models.entry import Entry
from engine.models.loading import Loading
from engine.models.memory import Models
from engine.models.readings import MOST_HANGING, Readings
from engine.models.room import Room
from engine.models.slices import Slices, pause
from engine.models.tiny.sdxl import make_tiny

LONG_S = 30.0
UNET = "unet/diffusion_pytorch_model.safetensors"
ROOM_FOR_TWO = 30_000_000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the tiny weights were large ones."""
    monkeypatch.setattr(reader, "CHUNK_BYTES", 256 << 10)
    monkeypatch.setattr(reader, "AHEAD_BYTES", 640 << 10)
    monkeypatch.setattr(files, "_BLOCK_BYTES", 64 << 10)


@pytest.fixture
def catalogue(tmp_path: Path, tiny_folder: Path) -> Catalogue:
    """Two checkpoints that a test may spoil; they share no files with others."""
    for name in "ab":
        shutil.copytree(tiny_folder, tmp_path / f"source-{name}")
        adopt(tmp_path / "models", tmp_path / f"source-{name}", name, Terms())
    return Catalogue(tmp_path / "models")


class Disk:
    """Reads as the disk does, and stands still before ``held`` bytes of one file until it is let go on."""

    def __init__(self, held: int = 1 << 62) -> None:
        self.held = held
        self.reached, self._go_on, self.news = threading.Event(), threading.Event(), threading.Event()
        self.places: list[int] = []
        self.meanwhile: Callable[[int], None] = lambda _descriptor: None

    def __call__(self, descriptor: int, buffers: Sequence[memoryview], place: int) -> int:
        self.places.append(place)
        if place >= self.held:
            self.reached.set()
            self.news.set()
            assert self._go_on.wait(LONG_S)
            self.held = 1 << 62
            self.meanwhile(descriptor)
        return os.preadv(descriptor, buffers, place)

    def go_on(self) -> None:
        self._go_on.set()


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk()
    yield made
    made.go_on()


def models(catalogue: Catalogue, disk: Disk, budget_bytes: int = ROOM_FOR_TWO) -> Models:
    return Models(catalogue, "cpu", torch.float32, budget_bytes, disk)


def opened(held: Models, name: str) -> Loading:
    found = held.open(name)
    assert isinstance(found, Loading)
    return found


def until_held(held: Models, loading: Loading, disk: Disk) -> None:
    """Take all steps that can be taken until the disk stands still."""
    while not disk.reached.is_set() or loading.done():
        if loading.done():
            assert held.advance(loading) is None
        else:
            loading.add_done_callback(lambda _: disk.news.set())
            assert disk.news.wait(LONG_S)
            disk.news.clear()


def test_it_is_read_in_many_steps_and_weights_are_those_of_the_files(catalogue: Catalogue, disk: Disk) -> None:
    held = models(catalogue, disk)
    loading, steps = opened(held, "a"), 0
    while (checkpoint := held.advance(loading)) is None:
        steps += 1
    assert steps > 20
    weights = checkpoint.unet.state_dict()
    stored = load_file(catalogue.folder / "a" / UNET)
    assert all(torch.equal(weights[key], each) for key, each in stored.items())
    assert checkpoint.files == catalogue.entry("a").files


def test_nobody_waits_for_the_disk_while_it_stands_still(catalogue: Catalogue, disk: Disk) -> None:
    disk.held = 1 << 20
    held = models(catalogue, disk)
    loading = opened(held, "a")
    until_held(held, loading, disk)
    woken = threading.Event()
    loading.add_done_callback(lambda _: woken.set())
    assert not loading.done() and not woken.is_set()
    disk.go_on()
    assert woken.wait(LONG_S) and loading.done()
    assert held.hold("a").name == "a"


def test_no_more_is_read_ahead_than_was_agreed_on(catalogue: Catalogue, disk: Disk) -> None:
    entry = catalogue.entry("a")
    reading = reader.Reader(entry, [UNET], is_pinned=False, read=disk)
    following, held = reading.first, 0
    with suppress(TimeoutError):
        while chunk := following.result(1):  # none of them is given back
            following, held = chunk.following, held + chunk.data.numel()
    assert reader.AHEAD_BYTES // 2 < held <= reader.AHEAD_BYTES
    reading.taken()
    assert following.result(LONG_S) is not None
    reading.close()


def test_a_tensor_larger_than_all_that_may_be_ahead_comes_by_itself() -> None:
    room, entered = Room(100), threading.Event()
    assert room.enter(60) and room.enter(40)
    large = threading.Thread(target=lambda: room.enter(1000) and entered.set(), daemon=True)
    large.start()
    room.leave()
    assert not entered.is_set()
    room.leave()
    assert entered.wait(LONG_S)


def hung(entry: Entry, count: int) -> list[Disk]:
    """Readings that were given up while the disk stands still."""
    disks = []
    for _ in range(count):
        disks.append(disk := Disk(held=0))
        given_up = reader.Reader(entry, [UNET], is_pinned=False, read=disk)
        assert disk.reached.wait(LONG_S)
        given_up.close()
    return disks


def test_a_disk_that_hangs_costs_few_threads_and_others_are_told(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Readings(hangs_s=0.0)
    monkeypatch.setattr(reader, "READINGS", own)
    monkeypatch.setattr(ahead, "READINGS", own)
    entry = catalogue.entry("a")
    disks = hung(entry, MOST_HANGING)
    before = _thread._count()
    with pytest.raises(ModelUnusable, match="4 readings hang"):
        models(catalogue, Disk()).checkpoint("b")
    waiting = ahead.Ahead([entry])
    assert _thread._count() == before
    assert not waiting.done() and waiting.moved_s == -inf
    for each in disks:
        each.go_on()
    until_none(own)
    assert models(catalogue, Disk()).checkpoint("b").name == "b"


def until_none(readings: Readings) -> None:
    with readings._changed:
        assert readings._changed.wait_for(lambda: not readings._running, LONG_S)


def test_who_waits_for_room_hangs_not(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Room):
        def enter(self, size_bytes: int) -> bool:
            waiting.release()
            return super().enter(reader.AHEAD_BYTES) and super().enter(size_bytes)

    waiting = threading.Semaphore(0)
    own = Readings(hangs_s=0.0)
    monkeypatch.setattr(reader, "READINGS", own)
    monkeypatch.setattr(reader, "Room", Full)
    held = []
    for _ in range(MOST_HANGING + 1):
        held.append(reader.Reader(catalogue.entry("a"), [UNET], is_pinned=False, read=os.preadv))
        assert waiting.acquire(timeout=LONG_S)
    for each in held:
        each.close()
    until_none(own)


def test_what_is_hashed_ahead_gets_on_piece_by_piece_and_names_the_model(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, float]] = []
    clock = iter(range(1_000_000))
    monkeypatch.setattr(ahead, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    hashing = verification.file_sha256

    def noted(path: Path, moved: Callable[[], None]) -> str:
        def heard() -> None:
            moved()
            told.append((waiting[0].model, waiting[0].moved_s))

        return hashing(path, heard)

    monkeypatch.setattr(verification, "file_sha256", noted)
    may_begin = threading.Event()
    waiting: list[ahead.Ahead] = []
    monkeypatch.setattr(ahead, "verified", lambda *a, **k: may_begin.wait(LONG_S) and verification.verified(*a, **k))
    waiting.append(ahead.Ahead([catalogue.entry("a"), catalogue.entry("b")]))
    may_begin.set()
    over = threading.Event()
    waiting[0].add_done_callback(lambda _: over.set())
    assert over.wait(LONG_S)
    assert {name for name, _ in told} == {"a", "b"}
    moments = [moved_s for _, moved_s in told]
    assert len(set(moments)) == len(moments) > 20


def test_a_file_that_differs_is_never_drawn_with(catalogue: Catalogue, disk: Disk) -> None:
    path = catalogue.folder / "a" / UNET
    spoilt = bytearray(path.read_bytes())
    spoilt[-4:] = b"\0\0\0\0"
    path.write_bytes(spoilt)
    held = models(catalogue, disk)
    with pytest.raises(ModelUnusable, match="not what was installed"):
        held.checkpoint("a")
    assert held.loaded == held.underway == []


def test_a_file_that_is_cut_while_it_is_read_is_damaged(catalogue: Catalogue, disk: Disk) -> None:
    path = catalogue.folder / "a" / UNET
    disk.held = 1 << 20
    disk.meanwhile = lambda _: os.truncate(path, 1 << 19)
    held = models(catalogue, disk)
    loading = opened(held, "a")
    until_held(held, loading, disk)
    disk.go_on()
    with pytest.raises(ModelUnusable, match="is damaged: it ends at"):
        while held.advance(loading) is None:
            pass


def test_a_file_that_takes_its_place_while_it_is_read_changes_nothing(
    catalogue: Catalogue, disk: Disk, tmp_path: Path
) -> None:
    make_tiny(tmp_path / "other", seed=1)
    path = catalogue.folder / "a" / UNET
    stored = {key: each.clone() for key, each in load_file(path).items()}
    disk.held = 1 << 20
    disk.meanwhile = lambda _: (tmp_path / "other" / UNET).replace(path) and None
    held = models(catalogue, disk)
    loading = opened(held, "a")
    until_held(held, loading, disk)
    disk.go_on()
    checkpoint = held.hold("a")
    assert all(torch.equal(each, stored[key]) for key, each in checkpoint.unet.state_dict().items())
    assert loading.checkpoint is checkpoint
    held.release("a")
    held.release("a")
    held.drop("a")
    with pytest.raises(ModelUnusable, match="not what was installed"):
        held.checkpoint("a")


def test_a_file_that_was_hashed_before_and_is_written_to_while_it_is_read_is_refused(
    catalogue: Catalogue, disk: Disk
) -> None:
    path = catalogue.folder / "a" / UNET
    held = models(catalogue, disk)
    held.checkpoint("a")
    held.drop("a")
    disk.held = 1 << 20

    def written_to(_descriptor: int) -> None:
        with path.open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\0\0\0\0")

    disk.meanwhile = written_to
    loading = opened(held, "a")
    until_held(held, loading, disk)
    disk.go_on()
    with pytest.raises(ModelUnusable, match="written to while it was read"):
        while held.advance(loading) is None:
            pass


def test_an_unchanged_file_is_hashed_once(catalogue: Catalogue, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []

    class Counted:
        def __init__(self) -> None:
            self._own = hashlib.sha256()
            self.hexdigest = self._own.hexdigest

        def update(self, data: memoryview) -> None:
            hashed.append(len(data))
            self._own.update(data)

    monkeypatch.setattr(files, "hashlib", SimpleNamespace(sha256=Counted))
    held = models(catalogue, disk)
    first = held.checkpoint("a").files
    assert sum(hashed) == sum(path.stat().st_size for path in (catalogue.folder / "a").rglob("*.safetensors"))
    held.drop("a")
    hashed.clear()
    assert held.checkpoint("a").files == first
    assert not hashed


def test_two_who_want_it_share_one_reading_and_either_gets_on_with_it(catalogue: Catalogue, disk: Disk) -> None:
    held = models(catalogue, disk)
    first, second = opened(held, "a"), opened(held, "a")
    assert first is second
    while (held.advance(first) or held.advance(second)) is None:
        pass
    assert first.checkpoint is held.checkpoint("a")
    assert len([place for place in disk.places if place == 0]) == 4  # each file of weights once


def test_what_one_gives_up_goes_on_for_the_other_and_ends_with_the_last(catalogue: Catalogue, disk: Disk) -> None:
    disk.held = 1 << 20
    held = models(catalogue, disk)
    loading = opened(held, "a")
    opened(held, "a")
    until_held(held, loading, disk)
    held.release("a")
    assert held.underway == ["a"]
    held.release("a")
    assert held.underway == []
    disk.go_on()
    again = opened(held, "a")
    assert again is not loading
    assert held.hold("a").name == "a"


def test_a_loading_that_fails_fails_for_all_and_a_later_one_begins_anew(catalogue: Catalogue, disk: Disk) -> None:
    path = catalogue.folder / "a" / UNET
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    held = models(catalogue, disk)
    loading = opened(held, "a")
    opened(held, "a")
    for _ in range(2):
        with pytest.raises(ModelUnusable, match="damaged"):
            while held.advance(loading) is None:
                pass
    path.write_bytes(whole)
    assert held.checkpoint("a").name == "a"


def test_memory_that_runs_out_on_the_way_leaves_it_where_it_was(
    catalogue: Catalogue, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = models(catalogue, disk)
    loading = opened(held, "a")
    taken, failed = Assembly.take, []

    def failing(self: Assembly, chunk: reader.Chunk) -> None:
        taken(self, chunk)
        if len(failed) < 3:
            failed.append(chunk)
            raise torch.OutOfMemoryError

    monkeypatch.setattr(Assembly, "take", failing)
    tries = 0
    while loading.checkpoint is None:
        try:
            held.advance(loading)
        except torch.OutOfMemoryError:
            tries += 1
    assert tries == 3
    stored = load_file(catalogue.folder / "a" / UNET)
    assert all(torch.equal(each, stored[key]) for key, each in loading.checkpoint.unet.state_dict().items())


def test_what_is_on_its_way_counts_towards_the_memory(catalogue: Catalogue, disk: Disk) -> None:
    disk.held = 1 << 20
    one = models(catalogue, Disk()).checkpoint("a").weight_bytes
    held = models(catalogue, disk, budget_bytes=one * 3 // 2)
    opened(held, "a")
    with pytest.raises(OutOfMemory):
        held.open("b")
    held.release("a")
    disk.go_on()
    assert held.checkpoint("b").name == "b"


def test_pure_python_is_run_in_slices_and_only_while_it_is_waited_for() -> None:
    done: list[int] = []

    def counting() -> str:
        for number in range(5):
            done.append(number)
            pause()
        return "all"

    slices = Slices(counting, slice_s=0.0)
    for number in range(5):
        assert done == list(range(number))
        assert not slices.advance()
    assert slices.advance()
    assert slices.outcome.result() == "all"


def test_networks_that_are_put_together_in_turns_do_not_disturb_each_other() -> None:
    def network() -> torch.nn.Module:
        return torch.nn.Sequential(*[torch.nn.Sequential(torch.nn.Identity()) for _ in range(5)])

    left = [Slices(network, slice_s=0.0) for _ in range(3)]
    while left:
        left = [each for each in left if not each.advance() or each.outcome.result() is None]


def test_slices_that_are_given_up_end_where_they_stand() -> None:
    left = threading.Event()

    def endless() -> None:
        try:
            while True:
                pause()
        finally:
            left.set()

    slices = Slices(endless, slice_s=0.0)
    slices.advance()
    slices.close()
    assert left.wait(LONG_S)
