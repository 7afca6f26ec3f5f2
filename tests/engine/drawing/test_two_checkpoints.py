"""Checkpoints that find no room together: who wants one waits for those who draw with another, and never for ever."""

import threading
import time
from collections.abc import Collection

import numpy as np
import pytest
import torch

from engine.device import CpuDevice
from engine.door import Limits
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.errors import OutOfMemory, QueueFull, Refused, Stopped
from engine.models.adoption import Terms, adopt
from engine.models.catalogue import Catalogue
from engine.models.memory import Models
from engine.request import LoraUse

LONG_S = 60.0


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory, tiny_catalogue):
    """Checkpoints ``a``, ``b`` and ``c`` of equal weights, refiners ``r`` and ``s``. Not to be written to."""
    folder = tmp_path_factory.mktemp("several")
    sources = {**dict.fromkeys("abc", "sdxl-tiny"), **dict.fromkeys("rs", "tiny-refiner"), "tiny-lora": "tiny-lora"}
    for name, source in sources.items():
        adopt(folder, tiny_catalogue.folder / source, name, Terms())
    return Catalogue(folder)


@pytest.fixture(scope="module")
def sizes(catalogue):
    made = Models(catalogue, "cpu", torch.float32, 1 << 40)
    return {name: made.checkpoint(name).weight_bytes for name in "ar"}


class Crowded:
    """A device with room for ``budget_bytes`` of checkpoints, and the most that there ever were of them.

    It stands still before the first ``stops`` steps until it is let go on: once for each.
    """

    def __init__(self, catalogue: Catalogue, budget_bytes: int) -> None:
        self.models = Models(catalogue, "cpu", torch.float32, budget_bytes)
        self.most_bytes = self.stops = 0
        self.reached, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.drawer = Drawer(self.models, catalogue, CpuDevice(1, self._note))

    def _note(self, phase: str, wanted_bytes: int) -> None:
        self.most_bytes = max(self.most_bytes, self.models.used_bytes)
        if phase == "step" and wanted_bytes and self.stops:
            self.stops -= 1
            self.reached.release()
            assert self.go_on.acquire(timeout=LONG_S)


@pytest.fixture
def crowded(catalogue):
    made = []

    def make(budget_bytes):
        made.append(Crowded(catalogue, budget_bytes))
        return made[-1]

    yield make
    for each in made:
        each.go_on.release(9)


@pytest.fixture
def small(crowded, sizes):
    """A device with room for one checkpoint."""
    return crowded(sizes["a"] * 3 // 2)


@pytest.fixture
def drawn(catalogue, prepared):
    """Draws a request where there is room for everything."""

    def draw(**asked):
        models = Models(catalogue, "cpu", torch.float32, 1 << 40)
        (picture,) = reference_loop(Drawer(models, catalogue, CpuDevice(1)), prepared(**asked))
        return picture.pixels

    return draw


def require_drawn(heard, expected: Collection[np.ndarray]):
    for ears, pixels in zip(heard, expected, strict=True):
        assert ears.ended.wait(LONG_S)
        assert ears.error is None
        assert np.array_equal(ears.pictures[0], pixels)


def test_requests_for_checkpoints_that_take_turns_in_memory_are_all_drawn(small, prepared, drawn, serve, submit, sizes):
    asked = [{"id": f"{n}{name}", "checkpoint": name, "seed": n} for n in range(3) for name in "ab"]
    engine = serve(small.drawer)
    heard = [submit(engine, prepared(**each))[1] for each in asked]
    require_drawn(heard, [drawn(**each) for each in asked])
    assert small.most_bytes == sizes["a"]


def test_what_is_merged_into_one_is_not_in_the_other(small, prepared, drawn, serve, submit):
    loras = (LoraUse("tiny-lora", 0.8),)
    asked = [{"id": str(n), "checkpoint": "ab"[n % 2], "loras": loras if n < 2 else ()} for n in range(4)]
    engine = serve(small.drawer)
    heard = [submit(engine, prepared(**each))[1] for each in asked]
    require_drawn(heard, [drawn(**each) for each in asked])


def test_what_never_finds_room_is_refused_at_once_and_costs_nobody_anything(small, prepared, serve, submit):
    engine = serve(small.drawer)
    small.stops = 2
    _, draws = submit(engine, prepared(id="draws", checkpoint="a"))
    assert small.reached.acquire(timeout=LONG_S)
    _, refined = submit(engine, prepared(id="refined", checkpoint="b", refiner="r"))
    submit.settle(engine)
    small.go_on.release()
    assert small.reached.acquire(timeout=LONG_S)
    assert refined.ended.wait(LONG_S) and isinstance(refined.error, OutOfMemory)
    assert refined.error.free_bytes == small.models.budget_bytes < refined.error.wanted_bytes
    small.go_on.release()
    assert draws.ended.wait(LONG_S) and draws.error is None
    assert small.models.loaded == ["a"]


@pytest.mark.parametrize("room", ["ar", "aa"], ids=["one and its refiner", "both, but no refiner"])
def test_a_checkpoint_and_its_refiner_wait_for_room_together(crowded, sizes, prepared, drawn, serve, submit, room):
    """Else two would each hold one, and both wait for ever for the other's."""
    asked = [
        {"id": f"{checkpoint}{refiner}{n}", "checkpoint": checkpoint, "refiner": refiner, "steps": 5}
        for n in range(2)
        for checkpoint, refiner in ("ar", "bs", "as", "br")
    ]
    device = crowded(sum(sizes[name] for name in room))
    engine = serve(device.drawer)
    heard = [submit(engine, prepared(**each))[1] for each in asked]
    require_drawn(heard, [drawn(**asked[0])] * len(asked))
    assert device.most_bytes <= device.models.budget_bytes


def test_an_urgent_one_waits_for_those_who_draw_and_for_nobody_who_has_not_begun(small, prepared, serve, submit):
    order = []
    engine = serve(small.drawer)
    small.stops = 1
    heard = {"draws": submit(engine, prepared(id="draws", checkpoint="a"))[1]}
    assert small.reached.acquire(timeout=LONG_S)
    for name, checkpoint, priority in ("usual", "a", 50), ("later", "c", 50), ("urgent", "b", 90):
        ears = heard[name] = submit(engine, prepared(id=name, checkpoint=checkpoint, priority=priority))[1]
        ears.finished = lambda name=name, ears=ears: order.append(name) or ears.ended.set()
    submit.settle(engine)
    small.go_on.release()
    for ears in heard.values():
        assert ears.ended.wait(LONG_S) and ears.error is None
    assert order == ["urgent", "usual", "later"]


def test_who_waits_for_room_too_long_is_told_that_the_queue_is_full(small, prepared, serve, submit, monkeypatch):
    late_s = [0.0]
    engine = serve(small.drawer, limits=Limits(waiting_s=1000.0))
    monkeypatch.setattr(engine._loop, "_clock", lambda: time.monotonic() + late_s[0])
    small.stops = 2
    _, draws = submit(engine, prepared(id="draws", checkpoint="a"))
    assert small.reached.acquire(timeout=LONG_S)
    _, waits = submit(engine, prepared(id="waits", checkpoint="b", priority=90))
    submit.settle(engine)
    small.go_on.release()
    assert small.reached.acquire(timeout=LONG_S)
    late_s[0] = 1001.0
    small.go_on.release()
    assert waits.ended.wait(LONG_S) and isinstance(waits.error, QueueFull)
    assert draws.ended.wait(LONG_S) and draws.error is None


def test_who_is_cancelled_gives_its_room_to_those_who_wait(small, prepared, serve, submit):
    engine = serve(small.drawer)
    small.stops = 1
    ticket, leaves = submit(engine, prepared(id="leaves", checkpoint="a"))
    assert small.reached.acquire(timeout=LONG_S)
    _, waits = submit(engine, prepared(id="waits", checkpoint="b"))
    ticket.cancel()
    small.go_on.release()
    assert leaves.ended.wait(LONG_S) and isinstance(leaves.error, Stopped)
    assert waits.ended.wait(LONG_S) and waits.error is None
    assert small.models.loaded == ["b"]


@pytest.fixture
def begun(small, prepared):
    """Works that have begun: ``a`` is drawn with, ``b`` waits, and ``a`` once more, behind it."""
    works = [small.drawer.begin(prepared(checkpoint=each)) for each in "aba"]
    small.drawer.run(works[:1])
    yield works
    for each in works:
        each.close()


def test_who_is_cancelled_while_it_waits_holds_up_nobody(begun):
    _draws, waits, other = begun
    assert not waits.next.is_ready and not other.next.is_ready
    waits.close()
    assert other.next.is_ready


def test_waiting_for_others_is_never_taken_for_a_reader_that_hangs(begun):
    draws, waits, _ = begun
    before_s = time.monotonic()
    assert not waits.next.is_ready and waits.next.waits.moved_s >= before_s
    draws.close()
    assert waits.next.is_ready


def test_a_unit_that_is_run_though_it_found_no_room_leaves_nothing_behind(small, begun):
    draws, waits, _ = begun
    (outcome,) = small.drawer.run([waits])
    assert isinstance(outcome, OutOfMemory)
    waits.close()
    draws.close()
    assert small.models.underway == []
    assert not small.models._held


def test_what_is_not_installed_is_refused_by_name_and_holds_up_nobody(small, prepared):
    absent, refined = (prepared(checkpoint="a", refiner=each) for each in ("none", "b"))
    other = small.drawer.begin(prepared(checkpoint="b"))
    for asked, said in (absent, "none"), (refined, "b"):
        with pytest.raises(Refused, match=f"refiner: '{said}'"):
            reference_loop(small.drawer, asked)
    assert other.next.is_ready
    other.close()
    assert not small.models._held
