"""How far the host may run ahead of the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["Pace"]


class Pace:
    """Lets one step wait in the device's queue while another runs.

    Without it a whole image would be queued at once, and neither cancelling nor an urgent request could get in between;
    waiting for each step itself would leave the device idle while the next one is put together.

    A GPU tells of a failed step when it is next waited for, so what is raised while one step is put together may be
    the fault of the step before: ``queued`` names the requests of those that may still run.
    """

    def __init__(self, device: torch.device) -> None:
        self._is_queued = device.type == "cuda"
        self._before: Any = None
        self.queued: tuple[str, ...] = ()

    def keep(self, ids: Sequence[str]) -> None:
        """Mark the present step, of these requests; wait until the one before it has ended."""
        if not self._is_queued:
            return
        mark = torch.cuda.Event()
        mark.record()
        if self._before is not None:
            self._before.synchronize()
        self._before, self.queued = mark, tuple(ids)
