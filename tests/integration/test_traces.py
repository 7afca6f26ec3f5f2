"""One trace from the caller over every service and event to Triton, each service a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from continuity.api.common.v1.shot_pb2 import LocationType, Shot, ShotType
from continuity.api.rendering.v1.job_pb2 import JobState
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest, SubmitShotsResponse
from continuity.client import ContinuityClient
from continuity.telemetry.names import ERROR_TYPE, EVENT_TYPE
from continuity.telemetry.setup import set_up_telemetry
from tests.component.telemetry.receiver import SUBMIT, TRITON, Collector, attributes, rendered, roots
from tests.e2e import film
from tests.integration.conftest import Studio

pytestmark = [pytest.mark.infra, pytest.mark.triton, pytest.mark.slow]

SHOTS = 3
LIMIT_S = 90.0
WRITTEN = ("Marlene-Quill", "Velvet-Ledger", "Harbour-Oxbow", "whispers-into-a-radio")
CHARACTER, TITLE, PLACE, DESCRIPTION = WRITTEN
CREATE = "continuity.api.characters.v1.CharacterService/CreateCharacter"
EVENTS = {
    "continuity.render.v1": {"RenderRequested", "KeyframeRendered"},
    "continuity.prompt.v1": {"PromptBuilt"},
}
HANDLED = {"continuity.render.v1": {"RenderRequested"}, "continuity.prompt.v1": {"PromptBuilt"}}


@dataclass(frozen=True)
class Filmed:
    """What the collector got of the calls of one caller: its traces, and whose spans they are."""

    collector: Collector
    traces: tuple[list[Span], ...]
    submitted: dict[str, list[str]]
    """The ids of the jobs by what became of their events."""

    def of(self, call: str) -> list[list[Span]]:
        return [spans for spans in self.traces if roots(spans)[0].name == call]

    def submission(self, fate: str) -> list[Span]:
        (found,) = [spans for spans in self.of(SUBMIT) if set(rendered(spans)) & set(self.submitted[fate])]
        return found

    def services(self, spans: list[Span]) -> set[str]:
        return {self.collector.services[span.span_id] for span in spans}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filmed(studio: Studio) -> AsyncIterator[Filmed]:
    """Submit shots of somebody who is not ready, of somebody who is, and while the events have no way to the broker."""
    known = set(studio.collector.traces())
    telemetry = set_up_telemetry("client", studio.collector.endpoint, "1")
    try:
        async with asyncio.timeout(LIMIT_S):
            submitted = await _shoot(studio)
    finally:
        studio.ways["kafka"].mend()
        assert await asyncio.to_thread(telemetry.shutdown)
    yield Filmed(studio.collector, await _arrived(studio.collector, known, submitted), submitted)


async def _shoot(studio: Studio) -> dict[str, list[str]]:
    async with ContinuityClient(studio.services.address, project="traced") as client:
        photo = (film.PHOTOGRAPHS / "eileen_collins.png").read_bytes()
        character = await client.characters.create(CHARACTER, photo, description=DESCRIPTION)
        place = await client.locations.save(PLACE, LocationType.LOCATION_TYPE_INTERIOR, description=DESCRIPTION)
        early = await _submit(client, character.id, place.id, "early")
        await client.characters.until_ready(character.id)
        smooth = await _submit(client, character.id, place.id, "smooth")
        for submission in (early, smooth):
            await _succeeded(client, submission)
        earlier = set(studio.collector.traces())
        studio.ways["kafka"].cut()
        late = await _submit(client, character.id, place.id, "late")
        while not any(_is_in_vain(span) for span in studio.collector.spans if span.trace_id not in earlier):
            await asyncio.sleep(0.1)
        studio.ways["kafka"].mend()
        await _succeeded(client, late)
    return {
        fate: [job.id for job in submission.jobs]
        for fate, submission in (("early", early), ("smooth", smooth), ("late", late))
    }


async def _submit(client: ContinuityClient, character_id: str, place_id: str, scene: str) -> SubmitShotsResponse:
    shots = [
        Shot(
            scene_id=scene,
            shot_number=number,
            shot_type=ShotType.SHOT_TYPE_MEDIUM,
            description=DESCRIPTION,
            character_ids=[character_id],
            location_id=place_id,
        )
        for number in range(1, SHOTS + 1)
    ]
    return await client.shots.submit(SubmitShotsRequest(film=TITLE, shots=shots, width_px=512, height_px=256))


async def _succeeded(client: ContinuityClient, submission: SubmitShotsResponse) -> None:
    jobs = await film.finished(client, submission.submission_id)
    assert {job.state for job in jobs.values()} == {JobState.JOB_STATE_SUCCEEDED}, jobs


async def _arrived(collector: Collector, known: set[bytes], submitted: dict[str, list[str]]) -> tuple[list[Span], ...]:
    """Return the caller's traces once the last span of every shot has arrived: that its keyframe was told of."""
    wanted = sum(map(len, submitted.values()))
    async with asyncio.timeout(LIMIT_S):
        while True:
            traces = [
                spans for id, spans in collector.traces().items() if id not in known and _is_callers(collector, spans)
            ]
            told = [span for spans in traces for span in spans if _tells_of_a_keyframe(span)]
            if len(told) >= wanted and not orphans(traces):
                return tuple(traces)
            await asyncio.sleep(0.1)


def _is_callers(collector: Collector, spans: list[Span]) -> bool:
    return "client" in {collector.services[span.span_id] for span in spans}


def _is_in_vain(span: Span) -> bool:
    return span.name == "send continuity.render.v1" and ERROR_TYPE in attributes(span)


def _tells_of_a_keyframe(span: Span) -> bool:
    described = attributes(span)
    return (
        span.name == "send continuity.render.v1"
        and described[EVENT_TYPE] == "KeyframeRendered"
        and ERROR_TYPE not in described
    )


def orphans(traces: list[list[Span]]) -> list[Span]:
    """Return the spans whose parent has not arrived."""
    return [
        span
        for spans in traces
        for span in spans
        if span.parent_span_id and span.parent_span_id not in {each.span_id for each in spans}
    ]


def test_every_call_is_one_connected_trace_that_begins_with_its_caller(filmed: Filmed) -> None:
    assert orphans(list(filmed.traces)) == []
    for spans in filmed.traces:
        (root,) = roots(spans)
        assert (root.kind, filmed.collector.services[root.span_id]) == (Span.SPAN_KIND_CLIENT, "client")


def test_every_submitted_shot_is_rendered_in_the_trace_of_its_call(filmed: Filmed) -> None:
    found = sorted(sorted(rendered(spans)) for spans in filmed.of(SUBMIT))
    assert found == sorted(sorted(jobs) for jobs in filmed.submitted.values())


@pytest.mark.parametrize("fate", ["early", "smooth", "late"])
def test_a_submissions_trace_shows_every_event_sent_and_handled_by_other_processes_and_triton_asked(
    filmed: Filmed, fate: str
) -> None:
    spans = filmed.submission(fate)
    assert filmed.services(spans) == {"client", "rendering", "prompts"}
    for operation, expected in (("send", EVENTS), ("process", HANDLED)):
        for topic, types in expected.items():
            seen = [attributes(span) for span in spans if span.name == f"{operation} {topic}"]
            gone_well = [each[EVENT_TYPE] for each in seen if ERROR_TYPE not in each]
            for type in types:
                assert gone_well.count(type) >= SHOTS, (operation, topic, type)
    asked = {span.parent_span_id for span in spans if span.name == TRITON}
    assert asked >= {span.span_id for span in rendered(spans).values()}


def test_events_that_had_to_wait_for_the_broker_show_it_in_the_same_trace(filmed: Filmed) -> None:
    assert any(_is_in_vain(span) for span in filmed.submission("late"))


def test_a_photographs_trace_goes_through_everybody_who_looks_at_it(filmed: Filmed) -> None:
    (spans,) = filmed.of(CREATE)
    assert {"client", "characters", "vision", "matting"} <= filmed.services(spans)


def test_nothing_that_anybody_wrote_and_no_secret_leaves_a_process(filmed: Filmed, studio: Studio) -> None:
    said = b"".join(studio.collector.sent)
    logged = "".join(server.log.read_text() for server in studio.services.servers if server.log.exists())
    assert said
    assert logged
    for word in (*WRITTEN, *studio.secrets):
        assert word.encode() not in said
        assert word not in logged
