from __future__ import annotations

from dataclasses import replace

import pytest

from continuity.kernel.errors import InvalidValue
from services.characters.domain.errors import LocationMissing
from services.characters.domain.location import LocationDeleted, LocationSaved
from services.characters.handlers.locations import DeleteLocation, FindLocation, LocationAsked, SaveLocation
from tests.unit.characters.fakes import PROJECT, InMemoryLocations, InMemoryPictures, PlainIntake, SetClock

PAD = LocationAsked("Pad Nine", "exterior", "launch pad", "dusk", "rain", b"", PROJECT)


class Service:
    def __init__(self) -> None:
        self.clock = SetClock()
        self.locations = InMemoryLocations()
        self.pictures = InMemoryPictures()
        self.save = SaveLocation(self.locations, PlainIntake(), self.pictures, self.clock)
        self.find = FindLocation(self.locations)
        self.delete = DeleteLocation(self.locations, self.find, self.clock)

    def told(self) -> list[type]:
        return [type(event) for event in self.locations.events]


async def test_a_location_is_saved_without_a_photograph():
    service = Service()
    made = await service.save(PAD)
    assert (made.name, made.type, made.version, made.picture) == ("Pad Nine", "exterior", 1, None)
    assert service.told() == [LocationSaved]


async def test_saving_under_the_same_name_changes_the_location_and_keeps_its_id():
    service = Service()
    made = await service.save(PAD)
    service.clock.seconds += 60
    changed = await service.save(replace(PAD, name="PAD  nine", weather="snow", photo=b"photo"))
    assert (changed.id, changed.version, changed.create_time) == (made.id, 2, made.create_time)
    assert (changed.name, changed.weather, changed.update_time) == ("PAD nine", "snow", made.update_time + 60)
    assert service.pictures.stored[changed.picture.key] == b"png of photo"
    assert service.told() == [LocationSaved, LocationSaved]


async def test_saving_the_same_again_changes_and_tells_nothing():
    service = Service()
    made = await service.save(PAD)
    service.clock.seconds += 60
    assert await service.save(PAD) == made
    assert service.told() == [LocationSaved]


async def test_a_deleted_location_is_gone_and_saving_it_again_makes_a_later_version():
    service = Service()
    made = await service.save(PAD)
    await service.delete(PROJECT, "pad nine")
    for asked in (made.id, "Pad Nine"):
        with pytest.raises(LocationMissing):
            await service.find(PROJECT, asked)
        with pytest.raises(LocationMissing):
            await service.delete(PROJECT, asked)
    again = await service.save(PAD)
    assert (again.id, again.version, again.deleted) == (made.id, 3, False)
    assert await service.find(PROJECT, "Pad Nine") == again
    assert service.told() == [LocationSaved, LocationDeleted, LocationSaved]


async def test_another_projects_location_does_not_exist():
    service = Service()
    made = await service.save(PAD)
    other = await service.save(replace(PAD, project="other"))
    assert other.id != made.id
    with pytest.raises(LocationMissing):
        await service.find("other", made.id)


async def test_an_id_is_never_taken_for_another_locations_name():
    service = Service()
    made = await service.save(PAD)
    await service.save(replace(PAD, name=made.id))
    assert (await service.find(PROJECT, made.id)).name == "Pad Nine"


@pytest.mark.parametrize(("change", "field"), [({"photo": b"bad"}, "photo"), ({"name": "\t"}, "name")])
async def test_a_bad_request_leaves_nothing_behind(change, field):
    service = Service()
    with pytest.raises(InvalidValue) as refusal:
        await service.save(replace(PAD, **change))
    assert refusal.value.field == field
    assert not service.locations.stored
    assert not service.pictures.stored
