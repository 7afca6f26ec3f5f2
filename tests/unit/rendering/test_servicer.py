"""What the servicer does besides translating: it keeps a watch alive whose pictures cannot be read."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from continuity.api.rendering.v1 import verification_pb2
from continuity.api.rendering.v1.render_service_pb2 import VerifyKeyframeRequest, WatchJobsRequest
from continuity.kernel.errors import ContinuityError
from continuity.kernel.values import ObjectRef
from continuity.objects.port import ObjectDamaged, ObjectMissing, ObjectStoreUnavailable
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import RENDERING
from services.rendering.domain.verification import Verification
from services.rendering.entrypoints.servicer import RenderServicer
from services.rendering.handlers.find_jobs import FindJobs
from services.rendering.handlers.ports import Step
from tests.unit.rendering.builders import PROJECT
from tests.unit.rendering.fakes import InMemoryFiles, InMemoryJobs

STEPS = [
    RenderProgressed("job", RENDERING, step, 2, ObjectRef(f"{PROJECT}/previews/{step}", "00", 4, "image/jpeg"))
    for step in (1, 2)
]


class Files(InMemoryFiles):
    """The first preview cannot be read."""

    def __init__(self, error: ContinuityError) -> None:
        super().__init__()
        self.keyframes[STEPS[1].preview.key] = b"jpeg"
        self.error = error

    async def read(self, key: str) -> bytes:
        if key not in self.keyframes:
            raise self.error
        return await super().read(key)


async def two_steps(*_: object):
    for step in STEPS:
        yield step


@pytest.mark.parametrize(
    "error",
    [
        ObjectMissing(key="film/previews/1"),
        ObjectDamaged(key="film/previews/1"),
        ObjectStoreUnavailable("get", "it is away"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_step_whose_preview_cannot_be_read_comes_without_it_and_the_watch_goes_on(error):
    find = FindJobs(InMemoryJobs(), Files(error))
    servicer = RenderServicer(InMemoryJobs(), Mock(), find, two_steps, Mock(), Mock(), Mock(), Mock())
    request = WatchJobsRequest(job_ids=["job"], include_previews=True)
    answers = [answer.progress async for answer in servicer.WatchJobs(request, Mock())]
    assert [(answer.step, answer.preview_jpeg) for answer in answers] == [(1, b""), (2, b"jpeg")]


async def test_previews_are_not_read_for_who_does_not_want_them():
    find = FindJobs(InMemoryJobs(), Files(ZeroDivisionError()))
    servicer = RenderServicer(InMemoryJobs(), Mock(), find, two_steps, Mock(), Mock(), Mock(), Mock())
    answers = [answer.progress async for answer in servicer.WatchJobs(WatchJobsRequest(job_ids=["job"]), Mock())]
    assert [answer.preview_jpeg for answer in answers] == [b"", b""]


async def test_a_verification_comes_as_steps_and_a_verdict():
    told = [Step(1, 2, b"jpeg"), Verification("job", "cannot", ("renderer: a -> b",), "aa", "", same_pixels=False)]

    async def verify(project: str, job_id: str, take: int):
        for update in told:
            yield update

    servicer = RenderServicer(InMemoryJobs(), Mock(), Mock(), Mock(), Mock(), verify, Mock(), Mock())
    answers = [each async for each in servicer.VerifyKeyframe(VerifyKeyframeRequest(job_id="job"), Mock())]
    assert (answers[0].progress.job_id, answers[0].progress.step, answers[0].progress.steps) == ("job", 1, 2)
    expected = verification_pb2.Verification(
        job_id="job", verdict=verification_pb2.VERDICT_CANNOT, differences=["renderer: a -> b"], stored_sha256="aa"
    )
    assert answers[1].verification == expected
