"""Locations: places where scenes play."""

from __future__ import annotations

from collections.abc import AsyncIterator

from continuity.api.common.v1.shot_pb2 import LocationType, TimeOfDay, Weather
from continuity.api.locations.v1.location_pb2 import Location
from continuity.api.locations.v1.location_service_pb2 import (
    DeleteLocationRequest,
    GetLocationRequest,
    ListLocationsRequest,
    SaveLocationRequest,
)
from continuity.api.locations.v1.location_service_pb2_grpc import LocationServiceStub
from continuity.client.transport import Transport


class Locations:
    """The locations of a project. Every method raises ``CallFailed``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._stub = LocationServiceStub(transport.channel)

    async def save(
        self,
        name: str,
        type: LocationType.ValueType,
        *,
        description: str = "",
        time_of_day: TimeOfDay.ValueType = TimeOfDay.TIME_OF_DAY_UNSPECIFIED,
        weather: Weather.ValueType = Weather.WEATHER_UNSPECIFIED,
        photo: bytes = b"",
    ) -> Location:
        """Make the location, or change the one that has this name; without a photograph its set is drawn."""
        request = SaveLocationRequest(
            name=name, type=type, description=description, time_of_day=time_of_day, weather=weather, photo=photo
        )
        return (await self._transport.unary(self._stub.SaveLocation, request, repeatable=True)).location

    async def get(self, id: str) -> Location:
        """Return the location of this id or name."""
        request = GetLocationRequest(id=id)
        return (await self._transport.unary(self._stub.GetLocation, request, repeatable=True)).location

    async def list(self, *, page_size: int = 0) -> AsyncIterator[Location]:
        """Yield all locations, ordered by id."""
        request = ListLocationsRequest(page_size=page_size)
        while True:
            page = await self._transport.unary(self._stub.ListLocations, request, repeatable=True)
            for location in page.locations:
                yield location
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def delete(self, id: str) -> None:
        """Delete the location of this id or name.

        It is called once only: a repetition could meet another location that has taken the name.
        """
        await self._transport.unary(self._stub.DeleteLocation, DeleteLocationRequest(id=id), repeatable=False)
