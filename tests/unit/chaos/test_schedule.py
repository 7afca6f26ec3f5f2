from __future__ import annotations

from tests.chaos.schedule import KILLS, LENGTHS_S, REPLICAS, TROUBLES, Fault, plan

FULL = len(TROUBLES) * 2


def test_the_seed_alone_makes_the_schedule() -> None:
    assert plan(7, kills=20, every_s=5) == plan(7, kills=20, every_s=5)
    assert plan(7, kills=20, every_s=5) != plan(8, kills=20, every_s=5)


def test_a_full_run_has_every_kind_of_fault() -> None:
    for seed in range(20):
        assert {planned.fault for planned in plan(seed, kills=FULL, every_s=5)} == set(Fault)


def test_a_process_dies_every_few_seconds() -> None:
    moments = [planned.moment_s for planned in plan(1, kills=8, every_s=5) if planned.is_kill]
    assert moments == [5, 10, 15, 20, 25, 30, 35, 40]


def test_any_replica_may_die() -> None:
    planned = [each for seed in range(50) for each in plan(seed, kills=10, every_s=5)]
    assert {each.victim for each in planned if each.fault is Fault.KILL_REPLICA} == set(REPLICAS)


def test_every_fault_is_a_death_or_lasts_for_a_while() -> None:
    assert set(KILLS) | set(LENGTHS_S) == set(Fault)
    assert not set(KILLS) & set(LENGTHS_S)
