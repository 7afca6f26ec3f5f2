"""The engine as others see it: requests go in as bytes, listeners hear what comes of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from engine import VERSION
from engine.errors import Refused, Stopped
from engine.loop.admission import USUAL, WaitingRoom
from engine.loop.entry import Drawer, Entry
from engine.loop.limits import Limits
from engine.loop.listener import Listener
from engine.loop.loop import Loop
from engine.loop.phases import PhaseLimits, Phases
from engine.loop.policy import Chooser, Policy, Slots
from engine.loop.preparers import Prepare, Preparers
from engine.loop.senders import Senders
from engine.loop.teller import Describe, Teller
from engine.manifest import libraries
from engine.offload import Offload, Workers
from engine.offload.jobs import manifest_json, prepared, warm
from engine.shapes import sharing_on

if TYPE_CHECKING:
    from engine.device import Device

__all__ = ["EXIT_CODE", "Engine", "Limits", "Listener", "Ticket", "build"]

_LONGEST_ID = 64
EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h."""
_SWITCH_S = 1e-4
"""The longest that the device's thread, which gives the interpreter up at every operation, waits to have it again."""


class Ticket:
    """A request that was submitted."""

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel

    def cancel(self) -> None:
        """End the request, whatever becomes of it just now; any thread, any number of times, returns at once."""
        self._cancel()


class Engine:
    """Draws what is submitted, on one device.

    ``drawer`` is called once, in the device's thread; ``prepare`` and ``describe`` run in workers and so are pickled.
    ``facts`` go into every manifest. ``fatal`` is called when the device is of no use any more and every listener was
    told ``Stopped``, or when a thread of the engine failed and could tell nobody: it ends the process.
    """

    def __init__(
        self,
        drawer: Callable[[], Drawer],
        prepare: Prepare,
        offload: Offload,
        *,
        free_bytes: Callable[[], int],
        facts: Mapping[str, Any],
        describe: Describe = manifest_json,
        state_path: Path | None = None,
        limits: Limits | None = None,
        preparers: int = 1,
        policy: Callable[[Slots], Chooser] = Policy,
        fatal: Callable[[], None] = lambda: os._exit(EXIT_CODE),
    ) -> None:
        limits = limits or Limits()
        self._lock = Lock()
        self._is_closed = False
        self._is_open = True
        self._open: set[Entry] = set()
        self._on_fatal = fatal
        self._offload = offload
        self._phases = Phases(state_path, limits.phases)
        self._room: WaitingRoom[Entry] = WaitingRoom(limits.waiting, limits.waiting_bytes)
        teller = Teller(offload, facts, self._end, self._forget, describe)
        self._loop = Loop(
            drawer, free_bytes, self._room, self._phases, self._fail, waiting_s=limits.waiting_s, policy=policy
        )
        self._senders = Senders(limits.senders, teller.tell, fatal)
        self._preparers = Preparers(preparers, offload, prepare, self._room, self._loop.enter, fatal=fatal)
        try:
            self._loop.start()
        except Exception:
            self.close()
            raise

    def submit(self, id: str, raw: Any, listener: Listener, priority: int | None = None, alone: bool = False) -> Ticket:
        """Take a ``RawRequest`` on; ``listener`` hears from it until ``failed`` or ``finished``.

        ``priority`` stands in place of the one that the request names; ``alone`` shares no batch. Raises ``Refused``
        for an unusable id, ``QueueFull``, and ``Stopped`` once closed; the listener hears nothing then.
        """
        if not (id and id.isascii() and id.isprintable() and len(id) <= _LONGEST_ID):
            raise Refused("id", id, f"it has 1 to {_LONGEST_ID} printable ASCII characters")
        entry = Entry(id, priority, time.monotonic(), listener, self._senders.call, raw, alone=alone)
        with self._lock:
            if not self._is_open:
                raise Stopped
            self._room.enter(entry, _size_bytes(raw), USUAL if priority is None else priority)
            self._open.add(entry)
        return Ticket(partial(self._end, entry, Stopped()))

    def close(self) -> None:
        """Stop every request, and end all threads and workers."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._end_all()
        self._loop.close()
        self._preparers.close()
        self._senders.close()
        self._offload.close()
        self._phases.close()

    def _end(self, entry: Entry, error: Exception) -> None:
        entry.mailbox.end(error)
        self._loop.cancel(entry)

    def _forget(self, entry: Entry) -> None:
        entry.let_go()
        self._room.leave(entry)
        with self._lock:
            self._open.discard(entry)

    def _end_all(self) -> None:
        with self._lock:
            self._is_open = False
            left = list(self._open)
        for entry in left:
            entry.mailbox.end(Stopped())

    def _fail(self) -> None:
        """Tell all, and none that it is to blame; called by the device's thread when the device has failed."""
        self._end_all()
        self._senders.close()
        self._on_fatal()


def build(
    models_folder: Path,
    device: str = "auto",
    threads: int = 1,
    state_path: Path | None = None,
    *,
    workers: int = 2,
    limits: Limits | None = None,
) -> Engine:
    """Return the engine that draws with the models of a folder; ``threads`` are those of a computation on a CPU."""
    from engine.device import chosen  # noqa: PLC0415 - torch takes seconds, and fakes do without

    sys.setswitchinterval(_SWITCH_S)
    hardware = chosen(device, threads)
    return Engine(
        partial(_drawer, models_folder, hardware),
        partial(prepared, str(models_folder), sharing_on(hardware.torch_device.type)),
        Workers(workers, first=warm),
        free_bytes=hardware.free_bytes,
        facts={"engine": VERSION, "libraries": libraries(), "device": hardware.facts()},
        state_path=state_path,
        limits=limits or Limits(phases=PhaseLimits.of(hardware.torch_device.type)),
        preparers=max(1, workers - 1),
    )


def _drawer(models_folder: Path, hardware: Device) -> Drawer:
    """Make what draws; in the device's thread, for some of torch's settings belong to threads."""
    import torch  # noqa: PLC0415 - see ``build``
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    from engine.drawing.budgets import budgets_of  # noqa: PLC0415
    from engine.drawing.drawer import Drawer as Drawing  # noqa: PLC0415
    from engine.kernels.serving import serving  # noqa: PLC0415
    from engine.models.catalogue import Catalogue  # noqa: PLC0415
    from engine.models.memory import Models  # noqa: PLC0415

    disable_progress_bar()  # it would write to the server's log, and begin a thread of its own
    hardware.settle()
    catalogue = Catalogue(models_folder)
    dtype = torch.float32 if hardware.torch_device.type == "cpu" else torch.bfloat16
    budgets = budgets_of(hardware.free_bytes())
    models = Models(catalogue, hardware.torch_device, dtype, budgets.checkpoint_bytes)
    kernels = serving(models_folder, {"engine": VERSION, **hardware.facts()})
    return Drawing(models, catalogue, hardware, kernels, budgets)


def _size_bytes(raw: Any) -> int:
    single = (raw.spec, raw.image, raw.mask, raw.layout)
    return sum(len(each) for each in (*single, *raw.references, *raw.reference_masks) if each)
