"""What the fake services share: what they hold, what they have been asked, and what is to go wrong."""

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.rpc import code_pb2
from grpc_status import rpc_status

from continuity.api.characters.v1 import character_pb2
from continuity.api.locations.v1 import location_pb2
from continuity.api.rendering.v1 import job_pb2, render_service_pb2
from continuity.kernel.errors import Absent, ContinuityError, Exists, WrongState
from continuity.rpc.errors import rich_status

PAGE_SIZE = 2


class NotThere(Absent):
    template = "there is no such thing"


class NameTaken(Exists):
    template = "the name is taken"


class Finished(WrongState):
    template = "the job is finished"


@dataclass
class Studio:
    """What the services hold, what they have been asked, and what is to go wrong."""

    characters: dict[str, character_pb2.Character] = field(default_factory=dict)
    locations: dict[str, location_pb2.Location] = field(default_factory=dict)
    submissions: dict[str, render_service_pb2.SubmitShotsResponse] = field(default_factory=dict)
    requests: list[object] = field(default_factory=list)
    projects: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[grpc.StatusCode]] = field(default_factory=dict)
    refusals: dict[str, list[ContinuityError]] = field(default_factory=dict)
    refused_pictures: dict[bytes, ContinuityError] = field(default_factory=dict)
    failing_shots: set[tuple[str, int]] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    hung: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    damage: bytes = b""
    verdicts: dict[str, dict] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    models: Path = Path("/nowhere")

    @property
    def jobs(self) -> dict[str, job_pb2.Job]:
        return {job.id: job for submission in self.submissions.values() for job in submission.jobs}

    async def admit(self, method: str, request: object, context: grpc.aio.ServicerContext) -> None:
        self.calls[method] += 1
        self.requests.append(request)
        self.projects.add(dict(context.invocation_metadata())["x-continuity-project"])
        if self.faults.get(method):
            await context.abort(self.faults[method].pop(0), "a fault of the test")
        if self.refusals.get(method):
            await refuse(context, self.refusals[method].pop(0))
        if method in self.hanging:
            self.hung.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.released.set()


async def refuse(context: grpc.aio.ServicerContext, error: ContinuityError) -> None:
    status = rpc_status.to_status(rich_status(error))
    assert status.code.value[0] != code_pb2.OK
    await context.abort(status.code, status.details, status.trailing_metadata)


def page(items: list, request) -> tuple[list, str]:
    first = int(request.page_token or 0)
    size = min(request.page_size or PAGE_SIZE, PAGE_SIZE)
    rest = len(items) > first + size
    return items[first : first + size], str(first + size) if rest else ""
