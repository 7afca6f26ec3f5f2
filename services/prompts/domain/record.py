"""The prompt of a job, or the reason why it has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from continuity.kernel.values import Change, Failure
from services.prompts.domain.build import BuiltPrompt


@dataclass(frozen=True)
class PromptPart:
    """A piece of the prompt and the field that it came from."""

    source: str
    text: str


@dataclass(frozen=True)
class Prompt:
    """A prompt as it is stored and told."""

    text: str
    negative: str
    seed: int
    parts: tuple[PromptPart, ...]
    words: Mapping[str, str]


@dataclass(frozen=True)
class PromptBuilt:
    """A job has its prompt."""

    job_id: str
    prompt: Prompt


@dataclass(frozen=True)
class PromptFailed:
    """A job gets no prompt."""

    job_id: str
    failure: Failure


@dataclass(frozen=True)
class PromptRecord:
    """The one answer to a job."""

    job_id: str
    prompt: Prompt | None
    failure: Failure | None


def built(job_id: str, prompt: BuiltPrompt, words: Mapping[str, str]) -> Change[PromptRecord]:
    """Record a prompt, and the vocabulary's own spelling of the words that the shot uses."""
    parts = tuple(PromptPart(part.field, part.text) for part in prompt.parts)
    kept = Prompt(prompt.text, prompt.negative, prompt.seed, parts, words)
    return answered(PromptRecord(job_id, kept, None))


def failed(job_id: str, failure: Failure) -> Change[PromptRecord]:
    """Record why there is no prompt."""
    return answered(PromptRecord(job_id, None, failure))


def answered(record: PromptRecord) -> Change[PromptRecord]:
    """Tell of an answer, for the first time or again."""
    if record.prompt is not None:
        return Change(record, [PromptBuilt(record.job_id, record.prompt)])
    return Change(record, [PromptFailed(record.job_id, record.failure or Failure("UNKNOWN", ""))])
