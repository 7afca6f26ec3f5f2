from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from continuity.kernel.errors import Unavailable
from continuity.kernel.looks import Patience, look_at_each

LENGTHS = st.floats(0.01, 1e6)


def pauses(patience: Patience) -> list[float]:
    """Return every pause until it was waited long enough."""
    found: list[float] = []
    while pause_s := patience.pause_s(len(found)):
        found.append(pause_s)
    return found


def test_pauses_double_to_the_longest_and_end_at_the_limit():
    assert pauses(Patience(2.0, 10.0, 40.0)) == [2.0, 4.0, 8.0, 10.0, 10.0, 6.0]


def test_whoever_has_less_time_than_a_pause_waits_that_long_once():
    assert pauses(Patience(60.0, 600.0, 1.0)) == [1.0]


@settings(deadline=None)
@given(LENGTHS, LENGTHS, st.floats(0.01, 200.0))
def test_pauses_grow_but_for_the_last_and_add_up_to_the_limit(first_s, more_s, times):
    patience = Patience(first_s, first_s + more_s, first_s * times)
    found = pauses(patience)
    assert sum(found) == pytest.approx(patience.limit_s)
    assert found[:-1] == sorted(found[:-1])
    assert patience.waited_s(len(found)) == patience.waited_s(10_000) == patience.limit_s


async def test_one_that_fails_keeps_no_other_from_being_looked_at(caplog):
    looked = []

    async def fine():
        looked.append("fine")

    async def away():
        raise Unavailable

    async def broken():
        raise ZeroDivisionError

    await look_at_each([away(), broken(), fine()])
    assert looked == ["fine"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
