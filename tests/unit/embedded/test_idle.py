"""When a runtime that is to end by itself does so."""

from __future__ import annotations

import asyncio

import pytest

from continuity.documents.port import DocumentsBusy, DocumentsUnavailable
from continuity.kernel.errors import ContinuityError
from services.embedded.runtime import signal_or_idle


class Scripted:
    """Answers whether it is idle, one answer after the other; the last one stays."""

    def __init__(self, *answers: bool | ContinuityError) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def idle(self) -> bool:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ContinuityError):
            raise answer
        return answer


@pytest.mark.parametrize("error", [DocumentsUnavailable(cause="the disk is full"), DocumentsBusy(waiting=1, limit=1)])
async def test_while_the_store_does_not_answer_the_runtime_is_not_idle_and_goes_on(error):
    running = Scripted(True, error, True)
    await signal_or_idle(running, asyncio.Event(), idle_exit_s=0.02, look_s=0.01)
    assert running.asked == 4, "what was idle before the error does not count"


async def test_a_signal_ends_it_though_it_is_not_idle():
    stopped = asyncio.Event()
    stopped.set()
    await signal_or_idle(Scripted(False), stopped, idle_exit_s=0.02, look_s=0.01)
