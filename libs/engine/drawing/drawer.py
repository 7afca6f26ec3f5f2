"""Running units: the steps of several requests as one batch, everything else by itself."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, cast

import torch

from engine.device import Device, is_sticky
from engine.drawing.budgets import Budgets, budgets_of
from engine.drawing.evaluation import Group, batch, call_of, shares
from engine.drawing.pace import Pace
from engine.drawing.request import drawing
from engine.drawing.script import Drawing, Want
from engine.drawing.studio import Studio
from engine.errors import EngineError, OutOfMemory
from engine.kernels.port import Eager, Kernels
from engine.work import Outcome

if TYPE_CHECKING:
    from engine.preparation import Prepared

__all__ = ["Drawer"]


class Drawer:
    """Draws on one device; see ``Executor``. All of it is called by the device's thread.

    ``kernels`` runs the networks' calls; by default torch does, operation by operation.

    A unit that runs out of memory is tried once more without what is kept for later requests. Where a batch fails all
    the same, each of its requests is evaluated alone in a batch of the same shape, which gives the same bytes, and
    only those that fail then are charged. A unit whose LoRAs are not merged brings about nothing: one of loading is
    put before it, once, so that requests which push each other's out still get on.
    """

    def __init__(
        self,
        models: Any,
        catalogue: Any,
        device: Device,
        kernels: Kernels | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        budgets = budgets or budgets_of(device.free_bytes())
        self._studio = Studio(models, catalogue, device, kernels or Eager(), budgets)
        self._pace = Pace(device.torch_device)

    @property
    def queued(self) -> tuple[str, ...]:
        """The requests of an earlier step that may still be running: an error that a GPU tells late may be theirs."""
        return self._pace.queued

    def begin(self, prepared: Prepared) -> Drawing:
        """Return the work of a request, before its first unit. Raises ``EngineError``."""
        return drawing(prepared, self._studio)

    def slots(self, group: Hashable) -> int:
        """See ``Executor``."""
        return group.shape.slots if isinstance(group, Group) else 1

    def run(self, works: Sequence[Any]) -> list[Outcome]:
        """See ``Executor``."""
        with torch.no_grad():
            return [_lightened(each) if isinstance(each, Exception) else each for each in self._run(works)]

    def _run(self, works: Sequence[Drawing]) -> list[Outcome]:
        if self._is_put_off(works[0]):
            return [[] for _ in works]
        if works[0].want.row is None:
            return [self._alone(work) for work in works]
        return self._stepped(works)

    def _is_put_off(self, work: Drawing) -> bool:
        weights = work.want.weights
        if weights is None or work.is_preceded:
            return False
        try:
            if self._studio.ready(*weights):
                return False
            verifying = self._studio.verifying(each.name for each in weights[1])
        except EngineError:  # such as a model that was removed: the unit itself will tell
            return False
        work.precede(Want("load", 0, partial(self._studio.use, *weights), waits=verifying))
        return True

    def _alone(self, work: Drawing) -> Outcome:
        try:
            return self._advanced(work, self._tried(work.want, work.want.act))
        except Exception as error:
            return self._charged(error)

    def _stepped(self, works: Sequence[Drawing]) -> list[Outcome]:
        """One evaluation for all; what follows is each one's own."""
        group = cast(Group, works[0].want.group)
        output = self._output(works)
        if isinstance(output, Exception):
            if len(works) == 1:
                return [output]
            _lightened(output)
            return [outcome for work in works for outcome in self._stepped([work])]
        self._pace.keep([work.id for work in works])
        return [self._advanced(work, shares(output, group.shape, slot)) for slot, work in enumerate(works)]

    def _output(self, works: Sequence[Drawing]) -> torch.Tensor | Exception:
        try:
            return cast(torch.Tensor, self._tried(works[0].want, partial(self._evaluated, works)))
        except Exception as error:
            return self._charged(error)

    def _evaluated(self, works: Sequence[Drawing]) -> torch.Tensor:
        group = cast(Group, works[0].want.group)
        rows = [work.want.row for work in works if work.want.row is not None]
        self._studio.use(rows[0].checkpoint, rows[0].loras)
        return self._studio.kernels.run(group.kernels, call_of(rows[0]), batch(group.shape, rows))

    def _advanced(self, work: Drawing, given: Any) -> Outcome:
        try:
            with self._studio.device.allocating(work.want.phase, 0):
                return work.advance(given)
        except Exception as error:
            return self._charged(error)

    def _tried(self, want: Want, act: Callable[[], Any]) -> Any:
        with suppress(OutOfMemory):  # which lets go of the error, and so of the tensors in its traceback
            return self._allocated(want, act)
        self._studio.give_up()
        return self._allocated(want, act)

    def _allocated(self, want: Want, act: Callable[[], Any]) -> Any:
        with self._studio.device.allocating(want.phase, want.wanted_bytes):
            return act()

    def _charged(self, error: Exception) -> Exception:
        """Return an error as a request's own. Raises where the device is of no use any more."""
        if is_sticky(error):
            raise error
        if not isinstance(error, EngineError):
            self._studio.device.synchronize()
        return error


def _lightened(error: Exception) -> Exception:
    """Return the error without the tensors that its traceback would keep alive as long as somebody keeps it."""
    for each in (error, error.__cause__, error.__context__):
        clear_frames(None if each is None else each.__traceback__)
    return error
