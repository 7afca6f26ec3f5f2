from __future__ import annotations

from collections import Counter

from tests.chaos.schedule import (
    CLOCK_JUMPS_S,
    DISTURBANCES,
    KILLS,
    LENGTHS_S,
    LINKS,
    REPLICAS,
    SERVICES,
    TROUBLES,
    Fault,
    plan,
)

COMPLETE = 40
SEEDS = range(50)


def test_the_seed_alone_makes_the_schedule() -> None:
    assert plan(7, kills=20, every_s=5) == plan(7, kills=20, every_s=5)
    assert plan(7, kills=20, every_s=5) != plan(8, kills=20, every_s=5)


def test_a_complete_run_has_every_kind_of_fault_at_least_twice() -> None:
    for seed in SEEDS:
        counts = Counter(planned.fault for planned in plan(seed, kills=COMPLETE, every_s=5))
        assert set(counts) == set(Fault)
        assert min(counts.values()) >= 2, counts


def test_a_complete_run_disturbs_every_link_and_moves_clocks_both_ways() -> None:
    for seed in SEEDS:
        planned = plan(seed, kills=COMPLETE, every_s=5)
        disturbed = Counter(each.victim.split("-")[0] for each in planned if each.fault in DISTURBANCES)
        assert set(disturbed) == set(LINKS)
        assert min(disturbed.values()) >= 2, disturbed
        jumps = [each.amount for each in planned if each.fault is Fault.CLOCK]
        assert min(jumps) < 0 < max(jumps)
        assert {abs(jump) for jump in jumps} == set(CLOCK_JUMPS_S)
        assert {each.victim for each in planned if each.fault is Fault.FREEZE} == {"rendering-1", "rendering-2"}


def test_clocks_jump_by_up_to_a_day() -> None:
    assert max(CLOCK_JUMPS_S) == 24 * 3600


def test_every_service_loses_its_own_way_to_each_server() -> None:
    planned = [each for seed in SEEDS for each in plan(seed, kills=COMPLETE, every_s=5)]
    disturbed = {each.victim for each in planned if each.fault in DISTURBANCES}
    own = {f"{server}-{service}" for server in ("kafka", "mongo", "minio") for service in SERVICES}
    assert disturbed == own | {"triton"}


def test_a_process_dies_every_few_seconds() -> None:
    moments = [planned.moment_s for planned in plan(1, kills=8, every_s=5) if planned.is_kill]
    assert moments == [5, 10, 15, 20, 25, 30, 35, 40]


def test_any_replica_may_die() -> None:
    planned = [each for seed in SEEDS for each in plan(seed, kills=10, every_s=5)]
    assert {each.victim for each in planned if each.fault is Fault.KILL_REPLICA} == set(REPLICAS)


def test_every_fault_is_a_death_or_lasts_for_a_while() -> None:
    assert set(KILLS) | set(TROUBLES) == set(Fault)
    assert set(TROUBLES) == set(LENGTHS_S)
    assert not set(KILLS) & set(TROUBLES)
