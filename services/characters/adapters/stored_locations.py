"""Locations in the document store."""

from __future__ import annotations

from collections.abc import Callable

from continuity.documents.port import Collection, DocumentExists, DocumentMissing, equal
from continuity.kernel.values import Change
from continuity.messaging.repository import Aggregates
from services.characters.domain.errors import LocationMissing
from services.characters.domain.location import Location, saved
from services.characters.domain.names import name_key

LOCATIONS = Collection("locations", unique=(("name_key",),))


class StoredLocations:
    """The ``Locations`` port."""

    def __init__(self, aggregates: Aggregates[Location]) -> None:
        self._aggregates = aggregates

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
            return await self._aggregates.change(project, location.id, decide)
        return location

    async def change(self, project: str, id: str, decide: Callable[[Location], Change[Location] | None]) -> Location:
        """Change a location by a decision. Raises ``LocationMissing``."""
        try:
            return await self._aggregates.change(project, id, decide)
        except DocumentMissing:
            raise LocationMissing(id=id) from None

    async def page(self, project: str, limit: int, token: str) -> tuple[list[Location], str]:
        """Return locations that are not deleted by id, and the token of the next page."""
        standing = [equal("deleted", False)]
        found, next_token = await self._aggregates.page(standing, project=project, limit=limit, token=token)
        return [stored.aggregate for stored in found], next_token
