"""An attempt's own time begins with its first step."""

from __future__ import annotations

from math import inf

from engine.loop.limits import Limits
from services.rendering.domain.errors import AttemptTooLong, TurnTooLate
from services.rendering.handlers.attempt_clock import WAIT_S, AttemptClock


class Loop:
    now_s = 100.0

    def time(self) -> float:
        return self.now_s


def clock(left_s: float = inf) -> tuple[AttemptClock, Loop]:
    loop = Loop()
    return AttemptClock(50.0, 10.0, left_s, loop.time), loop


def test_its_time_runs_from_the_first_step_and_no_later_one() -> None:
    made, loop = clock()
    assert made.until_s == 150
    loop.now_s = 149.0
    assert made.begin() == 159
    loop.now_s = 155.0
    assert made.begin() == made.until_s == 159


def test_the_time_to_live_goes_on_while_it_waits_and_while_it_is_drawn() -> None:
    made, loop = clock(left_s=45.0)
    assert (made.until_s, made.most_s) == (145, 45)
    loop.now_s = 140.0
    assert made.begin() == 145


def test_the_longest_that_both_take_is_told() -> None:
    assert clock()[0].most_s == 60


def test_it_is_told_which_of_the_two_was_too_long() -> None:
    made, _ = clock()
    late = made.over()
    assert isinstance(late, TurnTooLate)
    assert late.limit_s == 50
    made.begin()
    assert isinstance(made.over(), AttemptTooLong)


def test_the_engines_own_line_gives_up_before_it_and_says_why() -> None:
    assert Limits().waiting_s < WAIT_S
