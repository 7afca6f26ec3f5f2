"""How much of the device each project has had."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Shares"]


class Shares:
    """Device seconds by project. One that comes starts level with the least served: nobody saves up, nobody owes."""

    def __init__(self) -> None:
        self._used_s: dict[str, float] = {}

    def present(self, projects: Iterable[str]) -> None:
        """Say which projects have work now; the others are forgotten."""
        kept = {project: self._used_s.get(project) for project in projects}
        level = min((used for used in kept.values() if used is not None), default=0.0)
        self._used_s = {project: level if used is None else used for project, used in kept.items()}

    def charge(self, project: str, seconds: float) -> None:
        """Count ``seconds`` of the device for ``project``."""
        self._used_s[project] = self._used_s.get(project, 0.0) + seconds

    def used_s(self, project: str) -> float:
        """Return what ``project`` has had."""
        return self._used_s.get(project, 0.0)
