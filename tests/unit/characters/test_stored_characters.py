"""Characters on SQLite: the photographs that they refer to must not be collected."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

from continuity.documents.sqlite import SqliteDocuments
from continuity.messaging.repository import Aggregates
from continuity.objects.references import DocumentReferences
from services.characters.adapters.stored_characters import CHARACTERS, PHOTO, PICTURE, StoredCharacters
from services.characters.domain.character import Character, deleted, ingested
from services.characters.entrypoints.mapping import CODEC
from tests.unit.characters.fakes import PROJECT, character


async def test_photograph_and_picture_of_a_character_are_referred_to_even_when_it_is_deleted(tmp_path: Path) -> None:
    documents = await SqliteDocuments(tmp_path / "documents.sqlite3", [CHARACTERS]).open()
    characters = StoredCharacters(Aggregates(Character, CHARACTERS, documents, CODEC, Mock(owner="test")))
    ward = character()
    await characters.add(PROJECT, ingested(ward))
    referenced = DocumentReferences(documents, (CHARACTERS, PHOTO), (CHARACTERS, PICTURE))
    asked = [ward.photo.key, ward.picture.key, "film/characters/other"]
    assert await referenced(asked) == set(asked[:2])
    await characters.change(PROJECT, ward.id, lambda current: deleted(current, 2.0))
    assert await referenced(asked) == set(asked[:2])
    await documents.close()
