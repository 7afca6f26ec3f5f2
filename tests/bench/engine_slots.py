"""What sharing a batch gains and what it costs: steps a second of full batches, and a lone request beside empty slots.

Any device and any drawer; ``tests.bench.engine_run`` does it on a processor with small weights. The number that serves
is ``engine.shapes.sharing_on``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.device import Device
    from engine.drawing.drawer import Drawer
    from engine.preparation import Prepared

COUNTS = (1, 2, 4, 8)
SIZES = ((512, 512), (768, 512))
TIMES = 2


def by_slots(
    drawer: Drawer,
    device: Device,
    prepared: Callable[[int], Prepared],
    sizes: Sequence[tuple[int, int]] = SIZES,
    times: int = TIMES,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, float]]:
    """Return, for each size and number of slots, steps a second of full batches and seconds a step of one alone.

    ``prepared`` makes requests of at least ``2 + times`` steps by their number; their class is drawn at the sizes here,
    whatever size they ask for. Of all repetitions the fastest counts. ``clock`` may be that of the thread's processor
    time where that is all that is used, so that a busy machine does not show.
    """
    step_s = partial(_step_s, drawer, device, times, clock)
    return {
        f"{width} x {height}, {slots} slots": _measured(step_s, prepared, (width, height), slots)
        for width, height in sizes
        for slots in COUNTS
    }


def _measured(
    step_s: Callable[[Sequence[Prepared]], float],
    prepared: Callable[[int], Prepared],
    size: tuple[int, int],
    slots: int,
) -> dict[str, float]:
    full_s = step_s([_in_class(prepared(number), size, slots) for number in range(slots)])
    alone_s = full_s if slots == 1 else step_s([_in_class(prepared(slots), size, slots)])
    return {"steps_per_s_full": round(slots / full_s, 3), "step_s_alone": round(alone_s, 4)}


def _in_class(asked: Prepared, size: tuple[int, int], slots: int) -> Prepared:
    asked.shape = replace(asked.shape, width_px=size[0], height_px=size[1], sharing=slots)
    return asked


def _step_s(
    drawer: Drawer, device: Device, times: int, clock: Callable[[], float], requests: Sequence[Prepared]
) -> float:
    """Return the seconds of one step of all of them as one batch, the first left out: it may compile."""
    works: list[Any] = [drawer.begin(each) for each in requests]
    try:
        for work in works:
            while work.next.phase != "step":
                _run(drawer, [work])
        _run(drawer, works)
        return min(_took(drawer, device, clock, works) for _ in range(times))
    finally:
        for work in works:
            work.close()


def _took(drawer: Drawer, device: Device, clock: Callable[[], float], works: Sequence[Any]) -> float:
    device.synchronize()
    began_s = clock()
    _run(drawer, works)
    device.synchronize()
    return clock() - began_s


def _run(drawer: Drawer, works: Sequence[Any]) -> None:
    for outcome in drawer.run(works):
        if isinstance(outcome, Exception):
            raise outcome
