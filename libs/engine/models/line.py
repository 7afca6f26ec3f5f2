"""Who waits for room in the device's memory, and in what order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

__all__ = ["Line", "Place"]


@dataclass(eq=False)
class Place:
    """Of one request, until it holds what it wants: ``wanted`` is bytes by checkpoint."""

    line: Line
    wanted: Mapping[str, int]
    priority: int
    has_left: bool = False

    def has_room(self) -> bool:
        """Whether its turn has come; afterwards, too."""
        return self.has_left or self.line.admits(self)

    def leave(self) -> None:
        """Give the place up, for it holds what it wants or wants it no more. Doing it again changes nothing."""
        if not self.has_left:
            self.has_left = True
            self.line.remove(self)


class Line:
    """Requests that want checkpoints and hold none: the urgent first, then the older. Belongs to the device's thread.

    The first of them may begin, as many as find room beside what is held, all of them together. So nobody begins whose
    checkpoint would take, or keep taking, what somebody before it waits for: what is held then ends by itself, and the
    wait with it. ``held`` is bytes by checkpoint, of ``budget_bytes`` at most.
    """

    def __init__(self, held: Callable[[], Mapping[str, int]], budget_bytes: Callable[[], int]) -> None:
        self._held, self._budget_bytes = held, budget_bytes
        self._places: list[Place] = []
        self._admitted: Collection[Place] | None = None

    def enter(self, wanted: Mapping[str, int], priority: int) -> Place:
        """Stand behind all of equal priority."""
        place = Place(self, wanted, priority)
        self._places.append(place)
        self._places.sort(key=lambda each: -each.priority)
        self.changed()
        return place

    def remove(self, place: Place) -> None:
        """See ``Place.leave``."""
        self._places.remove(place)
        self.changed()

    def admits(self, place: Place) -> bool:
        """Whether a place is among the first. Cheap: the loop asks this of all who wait, before each unit."""
        if self._admitted is None:
            self._admitted = self._first()
        return place in self._admitted

    def changed(self) -> None:
        """Say that what is held has become more or less."""
        self._admitted = None

    def _first(self) -> set[Place]:
        first: set[Place] = set()
        together = dict(self._held())
        for place in self._places:
            together = {**place.wanted, **together}
            if sum(together.values()) > self._budget_bytes():
                break
            first.add(place)
        return first
