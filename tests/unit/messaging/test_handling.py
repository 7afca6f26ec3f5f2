"""What a service does with events that it has no handler for."""

import pytest

from continuity.api.events.v1.character_events_pb2 import CharacterDeleted
from continuity.messaging.handling import Handling, Subscription
from continuity.messaging.record import Record
from continuity.messaging.topics import load_topics

TOPIC = load_topics()["continuity.character.v1"]


def record(**attributes: str) -> Record:
    told = {
        "ce_specversion": "1.0",
        "ce_id": "e1",
        "ce_source": "continuity/characters",
        "ce_type": "film.continuity.CharacterDeleted",
        "ce_subject": "reyes",
        "ce_project": "noir",
        **attributes,
    }
    payload = CharacterDeleted(character_id="reyes", version=1).SerializeToString()
    return Record(TOPIC.name, 0, 0, b"reyes", tuple((name, value.encode()) for name, value in told.items()), payload)


@pytest.fixture
def handling() -> Handling:
    async def handle(project: str, message: CharacterDeleted) -> None:
        """Nothing is left to do."""

    return Handling("cutting", [Subscription(TOPIC, {CharacterDeleted: handle})])


@pytest.mark.parametrize("type", [each for each in TOPIC.events if each != "CharacterDeleted"])
async def test_what_the_topic_declares_and_the_service_does_not_want_is_passed_over(handling, type):
    assert await handling(record(ce_type=f"film.continuity.{type}")) is None
    assert handling.outcomes == {"passed over": 1}


async def test_a_type_that_the_topic_does_not_declare_is_unknown(handling):
    assert await handling(record(ce_type="film.continuity.CharacterRecast")) is None
    assert handling.outcomes == {"unknown": 1}


async def test_an_envelope_of_a_later_version_is_unknown_and_not_handled(handling):
    assert await handling(record(ce_specversion="2.0")) is None
    assert handling.outcomes == {"unknown": 1}
