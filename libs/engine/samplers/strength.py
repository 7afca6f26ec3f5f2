"""How much of a schedule is run on a picture that is there already."""

from __future__ import annotations

from engine.errors import Refused

__all__ = ["steps_taken"]


def steps_taken(steps: int, strength: float, field: str = "strength", given: float | None = None) -> int:
    """Return how many of the steps a strength 0..1 takes, the last ones: of 20 steps 0.6 takes 12.

    As diffusers' img2img counts them. Raises ``Refused`` where none is left, for ``field`` with the value ``given``.
    """
    taken = min(int(steps * strength), steps)
    if taken < 1:
        raise Refused(field, strength if given is None else given, f"of {steps} steps it leaves none to take")
    return taken
