"""What becomes of an event that could not be handled."""

from dataclasses import replace

import pytest

from continuity.documents import DocumentsBusy, DocumentsUnavailable
from continuity.kernel.errors import Absent, Conflict, Unavailable, WrongState
from continuity.kernel.values import Failure
from continuity.messaging.handling import Failed
from continuity.messaging.held_event import DEAD, WAITING, HeldEvent
from continuity.messaging.record import Record
from continuity.messaging.verdict import (
    ABSENT_ATTEMPTS,
    FIRST_DELAY_S,
    MAX_ATTEMPTS,
    MAX_DELAY_S,
    UNAVAILABLE_LIMIT_S,
    judged,
)

NEW = HeldEvent("id", WAITING, Record("t", 0, 0, b"k", (), b""), "t/k", 1, hold_time=100.0, due_time=100.0)


def after(error, times, now=100.0, held=NEW):
    for _ in range(times):
        held = judged(held, Failed.by(error), now)
    return held


@pytest.mark.parametrize(
    ("error", "attempts"), [(Conflict(), MAX_ATTEMPTS), (Absent(), ABSENT_ATTEMPTS), (WrongState(), 1)]
)
def test_an_event_is_dead_after_as_many_attempts_as_its_error_deserves(error, attempts):
    assert after(error, attempts - 1).state == WAITING
    dead = after(error, attempts)
    assert (dead.state, dead.attempts, dead.due_time, dead.told) == (DEAD, attempts, 100.0, False)
    assert dead.failure == Failure.of(error)


def test_what_is_away_is_waited_for_without_blame_for_a_day_and_no_longer():
    first = after(Unavailable(), 1)
    waiting = after(Unavailable(), 500, now=100.0 + UNAVAILABLE_LIMIT_S, held=first)
    assert (waiting.state, waiting.attempts, waiting.tries) == (WAITING, 0, 501)
    assert after(Unavailable(), 1, now=101.0 + UNAVAILABLE_LIMIT_S, held=first).state == DEAD


@pytest.mark.parametrize("error", [DocumentsBusy(waiting=9, limit=9), DocumentsUnavailable(cause="a full disk")])
def test_a_store_that_fails_is_no_fault_of_the_events_and_is_waited_for_as_long(error):
    waiting = after(error, 50, now=100.0 + UNAVAILABLE_LIMIT_S)
    assert (waiting.state, waiting.attempts, waiting.tries) == (WAITING, 0, 50)
    assert judged(waiting, Failed.by(error), waiting.tried_time + UNAVAILABLE_LIMIT_S + 1).state == DEAD


def test_the_day_begins_when_the_event_itself_is_first_tried():
    behind = replace(NEW, hold_time=100.0, tries=0)
    first = judged(behind, Failed.by(Unavailable()), 200.0 + UNAVAILABLE_LIMIT_S)
    assert first.state == WAITING, "it waited behind another all the while"
    again = judged(first, Failed.by(Unavailable()), 200.0 + 2 * UNAVAILABLE_LIMIT_S)
    assert again.state == WAITING
    assert judged(again, Failed.by(Unavailable()), 201.0 + 2 * UNAVAILABLE_LIMIT_S).state == DEAD


def test_one_that_an_older_version_tried_first_has_its_day_from_when_it_was_held():
    older = replace(NEW, tries=3)
    assert judged(older, Failed.by(Unavailable()), 101.0 + UNAVAILABLE_LIMIT_S).state == DEAD


def test_delays_double_up_to_a_limit_and_differ():
    bounds = [after(Unavailable(), tries, now=0.0).due_time for tries in range(1, 40)]
    assert all(0 < due <= MAX_DELAY_S for due in bounds)
    assert bounds[0] <= FIRST_DELAY_S
    assert max(bounds[15:]) > 10 * max(bounds[:3])
    assert len(set(bounds[20:])) == len(bounds[20:])


def test_an_outage_that_came_before_does_not_shorten_the_attempts():
    held = after(Unavailable(), 30)
    for _ in range(MAX_ATTEMPTS - 1):
        held = judged(held, Failed.by(Conflict()), 100.0)
    assert held.state == WAITING
    assert judged(held, Failed.by(Conflict()), 100.0).state == DEAD
