"""How a device's memory is divided."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Budgets", "budgets_of"]

CHECKPOINTS, VARIANTS, IDENTITIES, CONTROLS = 0.6, 0.12, 0.06, 0.08
"""Shares of what is free before anything is loaded; what is left is for what is computed.

On a GPU with 24 GiB the first is SDXL with its refiner, 12.5 GiB. They are seldom all taken, and whatever is idle is
given up when a computation needs more than is left.
"""


@dataclass(frozen=True)
class Budgets:
    """The most that weights take: checkpoints, merged LoRA variants of all of them, IP-Adapters, ControlNets.

    ``working_bytes`` is kept free of what only later requests could want.
    """

    checkpoint_bytes: int
    variant_bytes: int
    identity_bytes: int
    control_bytes: int
    working_bytes: int


def budgets_of(free_bytes: int) -> Budgets:
    """Divide the memory that is free at the start."""
    shares = (CHECKPOINTS, VARIANTS, IDENTITIES, CONTROLS)
    checkpoints, variants, identities, controls = (int(free_bytes * share) for share in shares)
    left = free_bytes - checkpoints - variants - identities - controls
    return Budgets(checkpoints, variants, identities, controls, left)
