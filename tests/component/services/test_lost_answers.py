"""Answers about photographs that are lost: characters, vision and matting on one store, the events in our hands."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio

from continuity.documents import Ref
from continuity.documents.port import OutgoingEvent
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.values import ObjectRef
from continuity.messaging.envelope import headers
from continuity.messaging.handling import Handling, Subscription
from continuity.messaging.record import Record
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from continuity.messaging.topics import load_topics
from services.characters.adapters.stored_characters import CHARACTERS, StoredCharacters
from services.characters.domain.character import ANSWER_LOOK_S, INGESTED, READY, Character, ingested
from services.characters.entrypoints.mapping import CODEC as CHARACTERS_CODEC
from services.characters.entrypoints.subscribers import subscriptions
from services.characters.handlers.reconcile import Reconcile
from services.characters.handlers.take_answers import TakeAnswers
from services.matting.adapters.stored_mattes import MATTES, StoredMattes
from services.matting.domain.matte import MatteRecord
from services.matting.entrypoints import subscribers as matting
from services.matting.entrypoints.mapping import CODEC as MATTING_CODEC
from services.matting.handlers.matte_character import MatteCharacter
from services.vision.adapters.stored_analyses import ANALYSES, StoredAnalyses
from services.vision.domain.analysis import AnalysisRecord
from services.vision.entrypoints import subscribers as vision
from services.vision.entrypoints.mapping import CODEC as VISION_CODEC
from services.vision.handlers.analyze_character import AnalyzeCharacter
from tests.unit.characters.fakes import SetClock, character
from tests.unit.vision.fakes import FixedAnalyzer
from tests.unit.vision.test_words import ALL

PROJECT = "film"
TOPICS = load_topics()
COLLECTIONS = (CHARACTERS, ANALYSES, MATTES)
DUE = 100.0 + ANSWER_LOOK_S
PROCESSES = 8


class Pictures:
    """Counts what is worked out."""

    def __init__(self) -> None:
        self.worked_out: Counter[str] = Counter()

    async def read(self, key: str) -> bytes:
        return b"picture"

    async def store(self, project: str, data: bytes) -> ObjectRef:
        return ObjectRef(f"{project}/mattes/1", "11", len(data), "image/png")

    async def cut_out(self, picture: bytes) -> bytes:
        self.worked_out["matte"] += 1
        return b"figure"


class House:
    """Three services whose events are carried by the test."""

    def __init__(self, documents: SqliteDocuments) -> None:
        self._documents = documents
        self._relay = Relay(documents, COLLECTIONS, SimpleNamespace(service="test"))
        self.clock, self.pictures, self.analyzer = SetClock(DUE), Pictures(), FixedAnalyzer(ALL)
        self.characters = StoredCharacters(self._aggregates(Character, CHARACTERS, CHARACTERS_CODEC))
        mattes = StoredMattes(self._aggregates(MatteRecord, MATTES, MATTING_CODEC))
        analyses = StoredAnalyses(self._aggregates(AnalysisRecord, ANALYSES, VISION_CODEC))
        self._services = [
            self._service("characters", *subscriptions(TakeAnswers(self.characters, self.clock), TOPICS)),
            self._service(
                "matting", matting.subscription(MatteCharacter(mattes, self.pictures, self.pictures), TOPICS)
            ),
            self._service(
                "vision", vision.subscription(AnalyzeCharacter(analyses, self.analyzer, self.pictures), TOPICS)
            ),
        ]

    async def photograph(self, *, keep_background: bool = False) -> None:
        taken = replace(character(), look_time=DUE, keep_background=keep_background)
        await self.characters.add(PROJECT, ingested(taken))

    def reconciler(self, deadline_s: float = 3_600.0) -> Reconcile:
        return Reconcile(self.characters, self.clock, deadline_s)

    async def posted(self) -> list[OutgoingEvent]:
        """Take every event that waits to be published."""
        taken: list[OutgoingEvent] = []
        for collection in COLLECTIONS:
            for document in (await self._documents.page(collection, project=None, limit=50)).documents:
                ref = Ref(collection.name, document.project, document.id)
                events = await self._documents.outbox(ref)
                if events:
                    await self._documents.settle({ref: [event.id for event in events]})
                taken += events
        return taken

    async def deliver(self, events: Sequence[OutgoingEvent]) -> None:
        for event in events:
            wire = tuple((name, value.encode()) for name, value in headers(event).items())
            record = Record(event.topic, 0, 0, event.key.encode(), wire, event.payload)
            for handling in self._services:
                if event.topic in handling.topics:
                    assert await handling(record) is None

    async def ward(self) -> Character:
        return await self.characters.get(PROJECT, "ward")

    def _aggregates(self, kind, collection, codec):
        return Aggregates(kind, collection, self._documents, codec, self._relay)

    def _service(self, name: str, *subscribed: Subscription) -> Handling:
        return Handling(name, subscribed)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    documents = await SqliteDocuments(tmp_path / "documents.sqlite3", COLLECTIONS).open()
    yield House(documents)
    await documents.close()


def types(events: Sequence[OutgoingEvent]) -> list[str]:
    return sorted(event.type for event in events)


@pytest.mark.parametrize("keep_background", [False, True], ids=["cut-out", "kept"])
@pytest.mark.parametrize(
    "lost", [("CharacterMatted",), ("CharacterAnalyzed",), ("CharacterMatted", "CharacterAnalyzed")]
)
async def test_an_answer_that_was_lost_is_told_again_and_not_worked_out_again(house, lost, keep_background):
    await house.photograph(keep_background=keep_background)
    await house.deliver(await house.posted())
    await house.deliver([event for event in await house.posted() if event.type not in lost])
    assert (await house.ward()).state == INGESTED
    await house.reconciler()()
    asked = await house.posted()
    assert types(asked) == ["CharacterIngested"]
    await house.deliver(asked)
    told = await house.posted()
    assert types(told) == ["CharacterAnalyzed", "CharacterMatted"]
    await house.deliver(told)
    ward = await house.ward()
    assert ward.state == READY
    assert ward.figure_source == ("background-kept" if keep_background else "matte")
    assert (ward.matting_failure, ward.analysis_failure, ward.look_time) == (None, None, None)
    assert (house.pictures.worked_out["matte"], house.analyzer.looks) == (0 if keep_background else 1, 1)
    assert types(await house.posted()) == ["CharacterReady"]


async def test_a_question_that_was_lost_is_asked_again(house):
    await house.photograph()
    assert types(await house.posted()) == ["CharacterIngested"]
    await house.reconciler()()
    for _ in range(2):
        await house.deliver(await house.posted())
    assert (await house.ward()).state == READY


async def test_a_question_that_waits_to_be_published_is_not_asked_again(house):
    await house.photograph()
    await house.reconciler()()
    assert types(await house.posted()) == ["CharacterIngested"]
    assert (await house.ward()).look_time == DUE + ANSWER_LOOK_S


async def test_of_many_processes_that_look_at_once_one_asks(house):
    await house.photograph()
    await house.posted()
    await asyncio.gather(*(house.reconciler()() for _ in range(PROCESSES)))
    assert types(await house.posted()) == ["CharacterIngested"]
    assert (await house.ward()).looks == 1


async def test_of_many_processes_at_the_deadline_one_gives_up_and_an_answer_that_comes_later_changes_nothing(house):
    await house.photograph()
    asked = await house.posted()
    await asyncio.gather(*(house.reconciler(deadline_s=1.0)() for _ in range(PROCESSES)))
    given_up = await house.ward()
    assert (given_up.state, given_up.matting_failure.reason, given_up.version) == (READY, "ANSWER_MISSING", 2)
    assert types(await house.posted()) == ["CharacterReady"]
    await house.deliver(asked)
    await house.deliver(await house.posted())
    assert await house.ward() == given_up


async def test_a_character_of_a_version_that_did_not_look_is_found(house):
    await house.characters.add(PROJECT, ingested(replace(character(), look_time=None)))
    await house.posted()
    await house.reconciler()()
    assert types(await house.posted()) == ["CharacterIngested"]
