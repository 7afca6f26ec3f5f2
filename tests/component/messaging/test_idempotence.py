"""Every subscriber of every service: events that come twice and in any order lead to the same as once and in order."""

import json
import random
from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest
import pytest_asyncio

from continuity.api.characters.v1.character_pb2 import Character as CharacterMessage
from continuity.api.common.v1.object_pb2 import Failure as FailureMessage
from continuity.api.common.v1.object_pb2 import ObjectRef as ObjectMessage
from continuity.api.events.v1 import analysis_events_pb2 as analyses
from continuity.api.events.v1 import character_events_pb2 as characters
from continuity.api.events.v1 import location_events_pb2 as locations
from continuity.api.events.v1 import matte_events_pb2 as mattes
from continuity.api.events.v1 import prompt_events_pb2 as prompts
from continuity.api.locations.v1.location_pb2 import Location as LocationMessage
from continuity.api.prompts.v1.prompt_pb2 import Prompt
from continuity.api.vision.v1.analysis_pb2 import Analysis
from continuity.documents import Ref
from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.ids import derived_id
from continuity.kernel.values import Change, ObjectRef
from continuity.messaging.handling import Handling
from continuity.messaging.record import Record
from continuity.messaging.relay import Relay
from continuity.messaging.repository import Aggregates
from continuity.messaging.topics import load_topics
from services.characters.adapters.stored_characters import CHARACTERS, StoredCharacters
from services.characters.domain.character import Character, ingested
from services.characters.entrypoints import subscribers as characters_subscribers
from services.characters.entrypoints.mapping import CODEC as CHARACTERS_CODEC
from services.characters.handlers.take_answers import TakeAnswers
from services.matting.adapters.stored_mattes import MATTES, StoredMattes
from services.matting.domain.matte import MatteRecord
from services.matting.entrypoints import subscribers as matting_subscribers
from services.matting.entrypoints.mapping import CODEC as MATTING_CODEC
from services.matting.handlers.matte_character import MatteCharacter
from services.prompts.adapters.stored_prompts import PROMPTS, StoredPrompts
from services.prompts.adapters.vocabulary_csv import read_vocabulary
from services.prompts.domain.record import PromptRecord
from services.prompts.entrypoints import subscribers as prompts_subscribers
from services.prompts.entrypoints.mapping import CODEC as PROMPTS_CODEC
from services.prompts.handlers.build_prompts import BuildPrompts
from services.rendering.adapters.stored_cast import CAST, StoredCast
from services.rendering.adapters.stored_jobs import JOBS, StoredJobs
from services.rendering.domain.cast import CastEntry, FrozenCast
from services.rendering.domain.job import Job, cast_found, submitted
from services.rendering.domain.shot import Shot
from services.rendering.domain.submission import Submission
from services.rendering.entrypoints import subscribers as rendering_subscribers
from services.rendering.entrypoints.mapping import CODEC as RENDERING_CODEC
from services.rendering.handlers.freeze_cast import FreezeCast
from services.rendering.handlers.take_prompts import TakePrompts
from services.rendering.handlers.work import WorkSignal
from services.vision.adapters.stored_analyses import ANALYSES, StoredAnalyses
from services.vision.domain.analysis import AnalysisRecord
from services.vision.entrypoints import subscribers as vision_subscribers
from services.vision.entrypoints.mapping import CODEC as VISION_CODEC
from services.vision.handlers.analyze_character import AnalyzeCharacter
from tests.unit.vision.fakes import FixedAnalyzer
from tests.unit.vision.test_words import ALL

TOPICS = load_topics()
PROJECT = "film"
PICTURE = ObjectRef("film/characters/1", "11", 3, "image/png")
FIGURE = ObjectMessage(key="film/mattes/1", sha256="22")
FAILURE = FailureMessage(reason="BROKEN", message="it broke")
COLLECTIONS = (CHARACTERS, MATTES, PROMPTS, CAST, JOBS, ANALYSES)
ORDERS = range(8)


class Noon:
    """A clock that stands."""

    def now(self):
        return 1_000.0


def record(topic, key, message):
    told = {
        "ce_specversion": "1.0",
        "ce_id": derived_id(type(message).__name__, key, message.SerializeToString()),
        "ce_source": f"continuity/{TOPICS[topic].owner}",
        "ce_type": f"film.continuity.{message.DESCRIPTOR.name}",
        "ce_subject": key,
        "ce_project": PROJECT,
    }
    wire = tuple((name, value.encode()) for name, value in told.items())
    return Record(topic, 0, 0, key.encode(), wire, message.SerializeToString())


class Scene:
    """One service's handlers on a store of its own."""

    def __init__(self, documents):
        self.documents = documents
        self.relay = Relay(documents, COLLECTIONS, SimpleNamespace(service="test"))
        self.handling = None

    def aggregates(self, kind, collection, codec):
        return Aggregates(kind, collection, self.documents, codec, self.relay)

    def subscribe(self, service, *subscriptions):
        self.handling = Handling(service, subscriptions)

    async def outcome(self):
        """Return every document and the events that it has told, without what is different each time."""
        found = {}
        for collection in COLLECTIONS:
            for document in (await self.documents.page(collection, project=None, limit=500)).documents:
                outbox = await self.documents.outbox(Ref(collection.name, PROJECT, document.id))
                told = sorted((event.type, event.key, event.payload.hex()) for event in outbox)
                found[collection.name, document.id] = json.dumps([document.body, told], sort_keys=True)
        return found


async def characters_scene(scene):
    stored = StoredCharacters(scene.aggregates(Character, CHARACTERS, CHARACTERS_CODEC))
    for name in ("ward", "reyes"):
        blank = {"description": "", "height_m": 1.7, "state": "ingested", "version": 1, "keep_background": False}
        times = {"create_time": 1.0, "update_time": 1.0}
        sizes = {"picture_width_px": 64, "picture_height_px": 48, "intake_notes": (), "content_hash": name}
        who = {"id": name, "name": name, "name_key": name, "photo": PICTURE, "picture": PICTURE}
        await stored.add(PROJECT, ingested(Character(**who, **blank, **times, **sizes)))
    scene.subscribe("characters", *characters_subscribers.subscriptions(TakeAnswers(stored, Noon()), TOPICS))
    return [
        record("continuity.matte.v1", "ward", mattes.CharacterMatted(character_id="ward", matte=FIGURE)),
        record("continuity.analysis.v1", "ward", analyses.CharacterAnalyzed(character_id="ward", analysis=Analysis())),
        record("continuity.matte.v1", "reyes", mattes.CharacterMattingFailed(character_id="reyes", failure=FAILURE)),
        record(
            "continuity.analysis.v1", "reyes", analyses.CharacterAnalysisFailed(character_id="reyes", failure=FAILURE)
        ),
    ]


def photographs():
    return [
        record(
            "continuity.character.v1",
            who,
            characters.CharacterIngested(character_id=who, version=version, name=who, picture=FIGURE),
        )
        for who in ("ward", "reyes")
        for version in (1, 2)
    ]


async def vision_scene(scene):
    stored = StoredAnalyses(scene.aggregates(AnalysisRecord, ANALYSES, VISION_CODEC))

    pictures = SimpleNamespace(read=AsyncMock(return_value=b""))
    analyze = AnalyzeCharacter(stored, FixedAnalyzer(ALL), pictures)
    scene.subscribe("vision", vision_subscribers.subscription(analyze, TOPICS))
    return photographs()


async def matting_scene(scene):
    stored = StoredMattes(scene.aggregates(MatteRecord, MATTES, MATTING_CODEC))
    matter = SimpleNamespace(cut_out=AsyncMock(return_value=b"figure"))
    pictures = SimpleNamespace(read=AsyncMock(return_value=b""), store=AsyncMock(return_value=PICTURE))
    matte = MatteCharacter(stored, matter, pictures)
    scene.subscribe("matting", matting_subscribers.subscription(matte, TOPICS))
    return photographs()


async def prompts_scene(scene):
    stored = StoredPrompts(scene.aggregates(PromptRecord, PROMPTS, PROMPTS_CODEC))
    scene.subscribe(
        "prompts", prompts_subscribers.subscription(BuildPrompts(stored, read_vocabulary(), Noon()), TOPICS)
    )
    requested = [RENDERING_CODEC.encode(PROJECT, cast_found(job, FrozenCast(), 1.0).events)[0] for job in jobs()]
    message = prompts_subscribers.pb.RenderRequested
    return [record("continuity.render.v1", event.key, message.FromString(event.payload)) for event in requested]


async def rendering_scene(scene):
    stored = StoredJobs(scene.aggregates(Job, JOBS, RENDERING_CODEC))
    cast = StoredCast(scene.aggregates(CastEntry, CAST, RENDERING_CODEC))
    for job in jobs():
        await stored.add_each(PROJECT, [Change(cast_found(job, FrozenCast(), 1.0).aggregate)])
    take = TakePrompts(stored, SimpleNamespace(tell=AsyncMock()), Noon(), WorkSignal())
    freeze = FreezeCast(cast, stored, Noon())
    scene.subscribe("rendering", *rendering_subscribers.subscriptions(freeze, take, TOPICS))
    first, second, *_ = (job.id for job in jobs())
    ready = [
        record(
            "continuity.character.v1",
            who,
            characters.CharacterReady(character=CharacterMessage(id=who, name=who, version=version)),
        )
        for who in ("ward", "reyes")
        for version in (3, 5)
    ]
    saved = [
        record(
            "continuity.location.v1",
            "pad",
            locations.LocationSaved(location=LocationMessage(id="pad", name="Pad", version=version)),
        )
        for version in (1, 2)
    ]
    return [
        *ready,
        *saved,
        record("continuity.character.v1", "reyes", characters.CharacterDeleted(character_id="reyes", version=7)),
        record("continuity.location.v1", "pad", locations.LocationDeleted(location_id="pad", version=3)),
        record(
            "continuity.prompt.v1", first, prompts.PromptBuilt(job_id=first, prompt=Prompt(text="a close-up", seed=7))
        ),
        record("continuity.prompt.v1", second, prompts.PromptFailed(job_id=second, failure=FAILURE)),
    ]


def jobs():
    shots = tuple(Shot("1", number, "close-up", "Ward looks up") for number in (1, 2))
    asked = {"seed": 5, "priority": 0, "width_px": 64, "height_px": 48, "create_time": 1.0}
    whole = Submission(id="submission", film="Pad", shots=shots, **asked)
    return [submitted(whole, position, 1.0) for position in range(2)]


SCENES = {
    "characters": characters_scene,
    "vision": vision_scene,
    "matting": matting_scene,
    "prompts": prompts_scene,
    "rendering": rendering_scene,
}


@pytest_asyncio.fixture
async def stores(tmp_path):
    opened = []

    async def another():
        store = SqliteDocuments(tmp_path / f"{len(opened)}.sqlite3", COLLECTIONS)
        opened.append(await store.open())
        return store

    yield another
    for store in opened:
        await store.close()


@pytest.mark.parametrize("service", SCENES)
async def test_events_that_come_twice_and_in_any_order_lead_to_the_same(service, stores):
    once = Scene(await stores())
    for each in await SCENES[service](once):
        assert await once.handling(each) is None
    expected = await once.outcome()
    assert expected
    for seed in ORDERS:
        again = Scene(await stores())
        events = 2 * await SCENES[service](again)
        random.Random(seed).shuffle(events)
        for each in events:
            assert await again.handling(each) is None
        assert await again.outcome() == expected, f"order {seed}"


@pytest.mark.parametrize("service", SCENES)
async def test_every_subscription_of_the_service_is_driven_here(service, stores):
    scene = Scene(await stores())
    events = await SCENES[service](scene)
    driven = {(each.topic, each.event().type) for each in events}
    assert set(scene.handling._handlers) == driven
