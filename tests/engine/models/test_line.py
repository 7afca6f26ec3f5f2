"""Who waits for room: the urgent first, then the older, and nobody takes what somebody before them waits for."""

from __future__ import annotations

from itertools import pairwise, permutations
from random import Random

import pytest

from engine.models.line import Line, Place


class Device:
    """Room for ``limit`` bytes, of checkpoints of one byte each that requests hold."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held: list[str] = []
        self.line = Line(lambda: dict.fromkeys(self.held, 1), lambda: self.limit)

    def wants(self, names: str, priority: int = 50) -> Place:
        return self.line.enter(dict.fromkeys(names, 1), priority)

    def take(self, place: Place) -> None:
        assert place.has_room()
        self.held += place.wanted
        place.leave()
        assert len(set(self.held)) <= self.limit

    def give_back(self, names: str) -> None:
        for name in names:
            self.held.remove(name)
        self.line.changed()


def test_who_finds_no_room_waits_until_the_other_has_left() -> None:
    device = Device(limit=1)
    first, other = device.wants("a"), device.wants("b")
    device.take(first)
    assert not other.has_room()
    device.give_back("a")
    device.take(other)


def test_who_has_left_the_line_waits_for_nothing() -> None:
    device = Device(limit=1)
    place = device.wants("a")
    device.take(place)
    device.take(device.wants("a"))
    assert place.has_room()
    place.leave()


def test_many_share_what_is_held() -> None:
    device = Device(limit=1)
    places = [device.wants("a") for _ in range(3)]
    assert all(each.has_room() for each in places)
    for place in reversed(places):
        device.take(place)


def test_nobody_keeps_a_checkpoint_in_use_that_an_older_one_waits_to_be_left() -> None:
    device = Device(limit=1)
    device.take(device.wants("a"))
    older, younger = device.wants("b"), device.wants("a")
    assert not older.has_room() and not younger.has_room()
    device.give_back("a")
    assert older.has_room() and not younger.has_room()
    device.take(older)
    device.give_back("b")
    assert younger.has_room()


def test_an_urgent_one_overtakes_those_who_wait() -> None:
    device = Device(limit=1)
    device.take(device.wants("a"))
    usual = device.wants("b")
    urgent, same = device.wants("c", priority=90), device.wants("a", priority=90)
    assert not any(each.has_room() for each in (usual, urgent, same))
    device.give_back("a")
    assert [each.has_room() for each in (usual, urgent, same)] == [False, True, False]


def test_an_urgent_one_that_finds_room_begins_at_once_whoever_waits() -> None:
    device = Device(limit=1)
    device.take(device.wants("a"))
    device.wants("b")
    assert device.wants("a", priority=90).has_room()


def test_who_gives_up_holds_up_nobody() -> None:
    device = Device(limit=1)
    device.take(device.wants("a"))
    leaving, other = device.wants("b"), device.wants("a")
    leaving.leave()
    leaving.leave()
    assert other.has_room()


@pytest.mark.parametrize("order", list(permutations(["ar", "br", "rs"])))
def test_two_of_which_each_wants_half_of_what_the_other_has_take_turns(order: tuple[str, ...]) -> None:
    device = Device(limit=2)
    places = [device.wants(names) for names in order]
    assert [each.has_room() for each in places] == [True, False, False]
    for before, after in pairwise(places):
        device.take(before)
        assert not after.has_room()
        device.give_back("".join(before.wanted))
    device.take(places[-1])


@pytest.mark.parametrize("seed", range(20))
def test_all_of_many_come_to_their_turn_and_equal_ones_never_wait_for_a_younger(seed: int) -> None:
    chance = Random(seed)
    device = Device(limit=3)
    waiting = [
        device.wants("".join(chance.sample("abcdef", chance.randint(1, 3))), chance.choice([10, 50, 90]))
        for _ in range(60)
    ]
    running: list[Place] = []
    while waiting or running:
        ready = [each for each in waiting if each.has_room()]
        assert ready or running, "nobody gets on"
        if ready and (not running or chance.random() < 0.6):
            device.take(chosen := chance.choice(ready))
            waiting.remove(chosen)
            running.append(chosen)
        else:
            running.remove(chosen := chance.choice(running))
            device.give_back("".join(chosen.wanted))
