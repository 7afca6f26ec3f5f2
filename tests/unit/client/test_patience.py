"""How often a call is repeated: never sooner than asked, never beyond the deadline, never by the multiple."""

import asyncio
from collections.abc import Callable

import grpc
import pytest

from continuity.api.characters.v1.character_pb2 import Character
from continuity.client import CallFailed, ContinuityClient
from continuity.client.transport import RetryBudget
from continuity.kernel.errors import ContinuityError, Full
from tests.unit.client.conftest import IMPATIENT
from tests.unit.client.studio import Studio

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED


class Broken(ContinuityError):
    template = "the house burns"


class HouseFull(Full):
    template = "the house is full"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every wait, none of which is waited for."""
    waited: list[float] = []
    sleep: Callable[..., object] = asyncio.sleep

    async def at_once(seconds: float) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr("continuity.client.transport.asyncio.sleep", at_once)
    return waited


def full(retry_after_s: float) -> HouseFull:
    error = HouseFull()
    error.retry_after_s = retry_after_s
    return error


async def test_a_service_that_is_full_is_called_again_after_the_delay_that_it_asks_for(client, studio, waits) -> None:
    studio.refusals["GetCharacter"] = [full(7.0)]
    studio.characters["ward"] = ward()
    await client.characters.get("ward")
    assert studio.calls["GetCharacter"] == 2
    assert 7.0 <= waits[0] <= 7.0 + IMPATIENT.first_s


async def test_a_delay_beyond_the_deadline_is_not_waited_for(client, studio, waits) -> None:
    studio.refusals["GetCharacter"] = [full(11.0)]
    with pytest.raises(CallFailed) as failed:
        await client.characters.get("ward")
    assert (failed.value.status, failed.value.retry_after_s) == (EXHAUSTED, 11.0)
    assert studio.calls["GetCharacter"] == 1
    assert not waits


async def test_a_service_that_is_full_and_names_no_delay_is_not_called_again(client, studio, waits) -> None:
    studio.faults["GetCharacter"] = [EXHAUSTED]
    with pytest.raises(CallFailed):
        await client.characters.get("ward")
    assert studio.calls["GetCharacter"] == 1


async def test_a_stream_that_a_proxy_resets_is_begun_anew(client, studio, waits) -> None:
    studio.faults["GetCharacter"] = [grpc.StatusCode.INTERNAL]
    studio.characters["ward"] = ward()
    await client.characters.get("ward")
    assert studio.calls["GetCharacter"] == 2


async def test_an_error_inside_a_service_is_not_repeated(client, studio, waits) -> None:
    studio.refusals["GetCharacter"] = [Broken()]
    with pytest.raises(CallFailed) as failed:
        await client.characters.get("ward")
    assert failed.value.status is grpc.StatusCode.INTERNAL
    assert studio.calls["GetCharacter"] == 1


@pytest.mark.parametrize("fault", ["down", "full"])
async def test_a_service_in_trouble_gets_a_tenth_more_calls_and_no_multiple(
    client, studio: Studio, waits, fault
) -> None:
    wanted = 200
    if fault == "down":
        studio.faults["GetCharacter"] = [UNAVAILABLE] * 10 * wanted
    else:
        studio.refusals["GetCharacter"] = [full(0.5)] * 10 * wanted
    for _ in range(wanted):
        with pytest.raises(CallFailed):
            await client.characters.get("ward")
    assert studio.calls["GetCharacter"] <= wanted * 1.1 + 10


async def test_calls_that_go_well_fill_the_budget_again(client: ContinuityClient, studio: Studio, waits) -> None:
    studio.characters["ward"] = ward()
    for _ in range(5):
        studio.faults["GetCharacter"] = [UNAVAILABLE] * 2
        await client.characters.get("ward")
        for _ in range(20):
            await client.characters.get("ward")


def test_a_budget_allows_a_burst_and_then_one_repetition_for_ten_calls() -> None:
    budget = RetryBudget(burst=3)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
    repetitions = 0
    for _ in range(1_000):
        budget.note_call()
        repetitions += budget.take()
    assert 99 <= repetitions <= 100


def test_a_budget_holds_no_more_than_its_burst() -> None:
    budget = RetryBudget(burst=2)
    for _ in range(1_000):
        budget.note_call()
        budget.give_back()
    assert [budget.take() for _ in range(3)] == [True, True, False]


def ward() -> Character:
    return Character(id="ward", name="Ward")
