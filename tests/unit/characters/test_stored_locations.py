"""Locations on SQLite: which pictures they refer to, for jobs that have frozen them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest_asyncio

from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.values import ObjectRef
from continuity.messaging.repository import Aggregates
from continuity.objects.references import DocumentReferences
from services.characters.adapters.stored_locations import (
    LOCATIONS,
    PAST_PICTURE,
    PAST_PICTURES,
    PICTURE,
    PastPicture,
    StoredLocations,
)
from services.characters.domain.location import Location, changed, removed
from services.characters.entrypoints.mapping import CODEC

PROJECT = "film"
PAD = Location("pad", "Pad", "pad", "exterior", "", "dusk", "rain", version=1, create_time=1.0, update_time=1.0)


class House:
    def __init__(self, documents: SqliteDocuments) -> None:
        self.locations = StoredLocations(
            Aggregates(Location, LOCATIONS, documents, CODEC, Mock(owner="test")),
            Aggregates(PastPicture, PAST_PICTURES, documents, CODEC, Mock(owner="test")),
        )
        self.referenced = DocumentReferences(documents, (LOCATIONS, PICTURE), (PAST_PICTURES, PAST_PICTURE))

    async def save(self, picture: str | None) -> Location:
        taken = ObjectRef(picture, "00", 3, "image/png") if picture else None
        wanted = replace(PAD, picture=taken)
        return await self.locations.save(PROJECT, wanted, lambda current: changed(current, wanted))


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    documents = await SqliteDocuments(tmp_path / "documents.sqlite3", [LOCATIONS, PAST_PICTURES]).open()
    yield House(documents)
    await documents.close()


async def test_a_picture_that_was_replaced_is_still_referred_to(house: House) -> None:
    pictures = [f"film/locations/{number}" for number in range(3)]
    for picture in pictures:
        assert (await house.save(picture)).picture.key == picture
    assert await house.referenced([*pictures, "film/locations/never"]) == set(pictures)


async def test_a_picture_that_was_taken_away_or_deleted_with_its_location_is_still_referred_to(house: House) -> None:
    await house.save("film/locations/a")
    assert (await house.save(None)).picture is None
    await house.save("film/locations/b")
    await house.locations.change(PROJECT, "pad", partial(removed, now=2.0))
    assert await house.referenced(["film/locations/a", "film/locations/b"]) == {"film/locations/a", "film/locations/b"}


async def test_a_picture_may_come_back(house: House) -> None:
    for picture in ("film/locations/a", "film/locations/b", "film/locations/a", "film/locations/b"):
        saved = await house.save(picture)
    assert saved.version == 4
    assert await house.referenced(["film/locations/a", "film/locations/b"]) == {"film/locations/a", "film/locations/b"}


async def test_eight_who_replace_the_picture_at_once_lose_none(house: House) -> None:
    pictures = [f"film/locations/{number}" for number in range(8)]
    await asyncio.gather(*map(house.save, pictures))
    assert (await house.locations.get(PROJECT, "pad")).version == 8
    assert await house.referenced(pictures) == set(pictures)
