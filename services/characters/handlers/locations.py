"""Save, find and delete locations."""

from __future__ import annotations

from dataclasses import dataclass

from continuity.kernel.clock import Clock
from continuity.kernel.ids import derived_id
from continuity.kernel.values import ObjectRef
from services.characters.domain.errors import LocationMissing
from services.characters.domain.location import Location, changed, removed
from services.characters.domain.names import clean_name, name_key
from services.characters.handlers.ports import Locations, PhotoIntake, Pictures


@dataclass(frozen=True)
class LocationAsked:
    """A location as the caller wants it to be. An empty photo means that the set is drawn."""

    name: str
    type: str
    description: str
    time_of_day: str
    weather: str
    photo: bytes
    project: str = ""


@dataclass(frozen=True)
class SaveLocation:
    """Makes a location, or changes the one that has its name."""

    locations: Locations
    intake: PhotoIntake
    pictures: Pictures
    clock: Clock

    async def __call__(self, asked: LocationAsked) -> Location:
        """Return the location as it is now."""
        key = name_key(asked.name)
        now = self.clock.now()
        wanted = Location(
            id=derived_id("location", asked.project, key),
            name=clean_name(asked.name),
            name_key=key,
            type=asked.type,
            description=asked.description,
            time_of_day=asked.time_of_day,
            weather=asked.weather,
            version=1,
            create_time=now,
            update_time=now,
            picture=await self._picture(asked),
        )
        return await self.locations.save(asked.project, wanted, lambda current: changed(current, wanted))

    async def _picture(self, asked: LocationAsked) -> ObjectRef | None:
        if not asked.photo:
            return None
        picture = await self.intake.read(asked.photo)
        return await self.pictures.store(asked.project, picture.png, "image/png")


@dataclass(frozen=True)
class FindLocation:
    """Finds a location by id or name; an id is never taken for another one's name."""

    locations: Locations

    async def __call__(self, project: str, id_or_name: str) -> Location:
        """Return the location. Raises ``LocationMissing``."""
        try:
            found: Location | None = await self.locations.get(project, id_or_name)
        except LocationMissing:
            found = await self.locations.named(project, id_or_name)
        if found is None or found.deleted:
            raise LocationMissing(id=id_or_name)
        return found


@dataclass(frozen=True)
class DeleteLocation:
    """Deletes by id or name."""

    locations: Locations
    find: FindLocation
    clock: Clock

    async def __call__(self, project: str, id_or_name: str) -> None:
        """Delete the location. Raises ``LocationMissing``."""
        location = await self.find(project, id_or_name)
        await self.locations.change(project, location.id, lambda current: removed(current, self.clock.now()))
