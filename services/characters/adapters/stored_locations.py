"""Locations in the document store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from continuity.documents.port import Collection, DocumentExists, DocumentMissing, equal
from continuity.kernel.errors import Conflict
from continuity.kernel.ids import derived_id
from continuity.kernel.values import Change, ObjectRef
from continuity.messaging.repository import Aggregates
from services.characters.domain.errors import LocationMissing
from services.characters.domain.location import Location, saved
from services.characters.domain.names import name_key

PICTURE, PAST_PICTURE = "picture.key", "picture_key"
LOCATIONS = Collection("locations", unique=(("name_key",),), indexes=((PICTURE,),), listings=((),))
PAST_PICTURES = Collection("past_pictures", indexes=((PAST_PICTURE,),))
ATTEMPTS = 20


@dataclass(frozen=True)
class PastPicture:
    """A picture that a location had: jobs that have frozen the location still need it."""

    picture_key: str


@dataclass(eq=False)
class PictureReplaced(Conflict):
    """Somebody else gave the location another picture just now."""

    template = "the picture of location {id!r} was replaced at the same moment"
    id: str


class StoredLocations:
    """The ``Locations`` port."""

    def __init__(self, aggregates: Aggregates[Location], past_pictures: Aggregates[PastPicture]) -> None:
        self._aggregates = aggregates
        self._past_pictures = past_pictures

    async def named(self, project: str, name: str) -> Location | None:
        """Return the location that has the name, if one has."""
        found, _ = await self._aggregates.page([equal("name_key", name_key(name))], project=project, limit=1)
        return found[0].aggregate if found else None

    async def get(self, project: str, id: str) -> Location:
        """Return a location by id. Raises ``LocationMissing``."""
        try:
            return await self._aggregates.get(project, id)
        except DocumentMissing:
            raise LocationMissing(id=id) from None

    async def save(
        self, project: str, location: Location, decide: Callable[[Location], Change[Location] | None]
    ) -> Location:
        """Add the location, or change the one that has its id by a decision."""
        try:
            await self._aggregates.add(project, location.id, saved(location))
        except DocumentExists:
            return await self._replace(project, location, decide)
        return location

    async def change(self, project: str, id: str, decide: Callable[[Location], Change[Location] | None]) -> Location:
        """Change a location by a decision. Raises ``LocationMissing``."""
        try:
            return await self._aggregates.change(project, id, decide)
        except DocumentMissing:
            raise LocationMissing(id=id) from None

    async def _replace(
        self, project: str, location: Location, decide: Callable[[Location], Change[Location] | None]
    ) -> Location:
        for _ in range(ATTEMPTS - 1):
            with suppress(PictureReplaced):
                return await self._replace_once(project, location, decide)
        return await self._replace_once(project, location, decide)

    async def _replace_once(
        self, project: str, location: Location, decide: Callable[[Location], Change[Location] | None]
    ) -> Location:
        """Write the picture down that goes before it goes. Raises ``PictureReplaced`` if it was another one."""
        before = (await self._aggregates.get(project, location.id)).picture
        if before is not None and before != location.picture:
            await self._remember(project, before)

        def decided(current: Location) -> Change[Location] | None:
            if current.picture != before:
                raise PictureReplaced(id=location.id)
            return decide(current)

        return await self._aggregates.change(project, location.id, decided)

    async def _remember(self, project: str, picture: ObjectRef) -> None:
        with suppress(DocumentExists):
            past = PastPicture(picture.key)
            await self._past_pictures.add(project, derived_id("past picture", picture.key), Change(past))

    async def page(self, project: str, limit: int, token: str) -> tuple[list[Location], str]:
        """Return locations that are not deleted by id, and the token of the next page."""
        standing = [equal("deleted", False)]
        found, next_token = await self._aggregates.page(standing, project=project, limit=limit, token=token)
        return [stored.aggregate for stored in found], next_token
