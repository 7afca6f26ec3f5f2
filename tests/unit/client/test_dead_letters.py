from collections.abc import AsyncIterator

import grpc
import pytest

from continuity.api.operations.v1 import dead_letter_service_pb2 as pb
from continuity.api.operations.v1 import dead_letter_service_pb2_grpc as pb_grpc
from continuity.client import CallFailed, ContinuityClient
from tests.unit.client.conftest import IMPATIENT


class Listening(pb_grpc.DeadLetterServiceServicer):
    """Notes the headers of every call; the first attempts of each fail."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.failing = 0

    async def _note(self, context):
        self.headers.append(dict(context.invocation_metadata()))
        if self.failing:
            self.failing -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away for a moment")

    async def ListDeadLetters(self, request, context):
        await self._note(context)
        return pb.ListDeadLettersResponse(next_page_token="" if request.page_token else "more")

    async def GetDeadLetter(self, request, context):
        await self._note(context)
        return pb.GetDeadLetterResponse()

    async def ReplayDeadLetter(self, request, context):
        await self._note(context)
        return pb.ReplayDeadLetterResponse()

    async def DropDeadLetter(self, request, context):
        await self._note(context)
        return pb.DropDeadLetterResponse()


@pytest.fixture
def listening() -> Listening:
    return Listening()


@pytest.fixture
async def letters(listening: Listening) -> AsyncIterator[ContinuityClient]:
    server = grpc.aio.server()
    pb_grpc.add_DeadLetterServiceServicer_to_server(listening, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with ContinuityClient(f"127.0.0.1:{port}", "pilot", timeout_s=10, backoff=IMPATIENT) as client:
        yield client
    await server.stop(0)


async def test_every_call_tells_a_proxy_which_service_it_is_for(
    letters: ContinuityClient, listening: Listening
) -> None:
    assert [letter async for letter in letters.dead_letters.list("vision")] == []
    await letters.dead_letters.get("matting", "1")
    await letters.dead_letters.replay("prompts", "1")
    await letters.dead_letters.drop("rendering", "1")
    routed = [headers["x-continuity-service"] for headers in listening.headers]
    assert routed == ["vision", "vision", "matting", "prompts", "rendering"]
    assert {headers["x-continuity-project"] for headers in listening.headers} == {"pilot"}


async def test_looking_is_repeated_while_the_service_is_away(letters: ContinuityClient, listening: Listening) -> None:
    listening.failing = 2
    await letters.dead_letters.get("vision", "1")
    assert len(listening.headers) == 3


async def test_what_cannot_be_done_twice_is_tried_once(letters: ContinuityClient, listening: Listening) -> None:
    for attempt in (letters.dead_letters.replay, letters.dead_letters.drop):
        listening.failing = 1
        with pytest.raises(CallFailed):
            await attempt("vision", "1")
    assert len(listening.headers) == 2
