from collections.abc import AsyncIterator, Iterator

import pytest

from continuity.client import Backoff, ContinuityClient
from tests.unit.client.fakes import serving
from tests.unit.client.studio import Studio

IMPATIENT = Backoff(attempts=3, first_s=0.001, longest_s=0.002)


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def address(studio: Studio) -> Iterator[str]:
    with serving(studio) as address:
        yield address


@pytest.fixture
async def client(address: str) -> AsyncIterator[ContinuityClient]:
    async with ContinuityClient(address, "pilot", timeout_s=10, backoff=IMPATIENT) as client:
        yield client
