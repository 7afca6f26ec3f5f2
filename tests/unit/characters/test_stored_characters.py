"""Characters on SQLite: who has a name, and that the photographs which they refer to are not collected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from continuity.documents.sqlite import SqliteDocuments
from continuity.messaging.repository import Aggregates
from continuity.objects.references import DocumentReferences
from services.characters.adapters.stored_characters import CHARACTERS, PHOTO, PICTURE, StoredCharacters
from services.characters.domain.character import Character, deleted, ingested
from services.characters.domain.errors import CharacterNameTaken
from services.characters.entrypoints.mapping import CODEC
from tests.unit.characters.fakes import PROJECT, character


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocuments]:
    store = await SqliteDocuments(tmp_path / "documents.sqlite3", [CHARACTERS]).open()
    yield store
    await store.close()


@pytest.fixture
def characters(documents: SqliteDocuments) -> StoredCharacters:
    return StoredCharacters(Aggregates(Character, CHARACTERS, documents, CODEC, Mock(owner="test")))


async def test_whoever_comes_second_for_a_name_is_told_who_has_it(characters: StoredCharacters) -> None:
    first, second = character(), replace(character(), id="second")
    await characters.add(PROJECT, ingested(first))
    with pytest.raises(CharacterNameTaken) as refusal:
        await characters.add(PROJECT, ingested(second))
    assert (refusal.value.name, refusal.value.id) == (first.name, first.id)


async def test_whoever_wants_a_name_back_that_another_has_by_now_is_told_who(characters: StoredCharacters) -> None:
    first, second = character(), replace(character(), id="second")
    await characters.add(PROJECT, ingested(first))
    await characters.change(PROJECT, first.id, lambda current: deleted(current, 2.0))
    await characters.add(PROJECT, ingested(second))
    with pytest.raises(CharacterNameTaken) as refusal:
        await characters.change(PROJECT, first.id, lambda current: ingested(first))
    assert (refusal.value.name, refusal.value.id) == (second.name, second.id)


async def test_photograph_and_picture_of_a_character_are_referred_to_even_when_it_is_deleted(
    documents: SqliteDocuments, characters: StoredCharacters
) -> None:
    ward = character()
    await characters.add(PROJECT, ingested(ward))
    referenced = DocumentReferences(documents, (CHARACTERS, PHOTO), (CHARACTERS, PICTURE))
    asked = [ward.photo.key, ward.picture.key, "film/characters/other"]
    assert await referenced(asked) == set(asked[:2])
    await characters.change(PROJECT, ward.id, lambda current: deleted(current, 2.0))
    assert await referenced(asked) == set(asked[:2])
