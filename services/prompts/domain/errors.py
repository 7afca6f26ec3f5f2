"""What a prompt can be refused for."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.errors import Absent, Invalid


@dataclass(eq=False)
class UnknownWord(Invalid):
    """A field holds a word that the vocabulary does not have; ``nearest`` is None where nothing comes close."""

    template = "{field}: {value!r} is not in the vocabulary"
    field: str
    value: str
    nearest: str | None
    known: tuple[str, ...]

    def __str__(self) -> str:
        hint = f"did you mean {self.nearest!r}?" if self.nearest else f"known are {', '.join(self.known)}"
        return f"{super().__str__()}; {hint}"


@dataclass(eq=False)
class PromptMissing(Absent):
    """The job has no prompt yet, or does not exist."""

    template = "there is no prompt of job {job_id!r}"
    job_id: str
