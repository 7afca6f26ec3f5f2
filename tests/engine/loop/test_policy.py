"""Whose unit runs next, unit by unit, on a clock that the test moves."""

import random
from dataclasses import dataclass, field

import pytest

from engine.loop.costs import Costs
from engine.loop.job import Job
from engine.loop.policy import Policy, Rules
from engine.work import Unit

STEP_S = 0.1


@dataclass(eq=False)
class Asked:
    """A job with its units: one ``encode``, steps, one ``decode``; ``came_s`` is when it asks."""

    id: str
    steps: int = 20
    came_s: float = 0.0
    priority: int = 50
    project: str = ""
    deadline_s: float | None = None
    kin: str = "small"
    alone: bool = False
    units: list[str] = field(default_factory=list)
    job: Job | None = None
    ended_s: float = 0.0
    began_s: float | None = None

    def enter(self):
        self.units = ["encode", *["step"] * self.steps, "decode"]
        deadline_s = None if self.deadline_s is None else self.came_s + self.deadline_s
        self.job = Job(
            self.id, self.project, self.priority, self.came_s, deadline_s, self.kin, 1, self.unit(), self.came_s
        )
        self.job.alone = self.alone

    def unit(self):
        phase = self.units[0]
        return Unit(phase, self.kin if phase == "step" else None, len(self.units))


class Device:
    """Runs what a policy chooses; every unit takes ``STEP_S``, more or less by ``waver`` of it."""

    def __init__(self, slots=1, rules=None, may_start=lambda _job: True, waver=0.0):
        self.chance, self.waver = random.Random(0), waver
        self.policy = Policy(lambda _group: slots, rules, Costs(STEP_S))
        self.may_start = may_start
        self.now_s = 0.0
        self.log = []
        self.waiting, self.present = [], []

    def run(self, *asked, until_s=1e9):
        self.waiting = sorted([*self.waiting, *asked], key=lambda one: one.came_s)
        while (self.waiting or self.present) and self.now_s < until_s:
            self.unit()
        return self

    def unit(self):
        while self.waiting and self.waiting[0].came_s <= self.now_s + 1e-9:
            one = self.waiting.pop(0)
            one.enter()
            self.present.append(one)
        by_job = {one.job: one for one in self.present}
        batch = self.policy.choose(list(by_job), self.now_s, self.may_start)
        self.unit_s = STEP_S * (1 + self.waver * self.chance.uniform(-1, 1))
        self.now_s += self.unit_s
        if batch:
            self.took(batch, [by_job[job] for job in batch])

    def took(self, batch, ones):
        assert len({one.units[0] for one in ones}) == 1
        self.policy.ran(batch, self.unit_s, self.now_s)
        self.log.append("+".join(one.id for one in ones))
        for one in ones:
            one.job.started = True
            one.began_s = self.now_s - self.unit_s if one.began_s is None else one.began_s
            del one.units[0]
            if one.units:
                one.job.unit = one.unit()
            else:
                one.ended_s = self.now_s
                self.present.remove(one)

    def turns(self):
        """The log with runs of the same shortened to (who, how many)."""
        turns = []
        for who in self.log:
            turns = [*turns[:-1], (who, turns[-1][1] + 1)] if turns and turns[-1][0] == who else [*turns, (who, 1)]
        return turns


def test_equal_jobs_run_one_after_the_other_not_in_slices():
    device = Device().run(Asked("a"), Asked("b"), Asked("c"))
    assert device.turns() == [("a", 22), ("b", 22), ("c", 22)]


def test_the_older_of_equals_is_first_whatever_their_order():
    device = Device().run(Asked("late", came_s=0.02), Asked("run"), Asked("early", came_s=0.01))
    assert [who for who, _ in device.turns()] == ["run", "early", "late"]


def test_an_interactive_request_starts_with_the_next_unit_and_the_other_goes_on_behind_it():
    device = Device().run(Asked("long", steps=50), Asked("now", steps=5, came_s=1.0, priority=80))
    assert device.turns() == [("long", 10), ("now", 7), ("long", 42)]


def test_a_higher_priority_takes_the_device_a_lower_one_waits():
    device = Device().run(Asked("a"), Asked("high", came_s=0.5, priority=60), Asked("low", came_s=0.5, priority=40))
    assert device.turns() == [("a", 5), ("high", 22), ("a", 17), ("low", 22)]


def test_interactive_ones_are_not_sliced_among_themselves():
    device = Device().run(Asked("a", priority=80), Asked("b", priority=80, came_s=0.3))
    assert device.turns() == [("a", 22), ("b", 22)]


def test_an_endangered_deadline_takes_the_device_just_in_time():
    hurried = Asked("hurried", steps=10, deadline_s=3.0)
    hurried.came_s = 0.05
    device = Device().run(Asked("long", steps=50), hurried)
    assert device.turns()[0][0] == "long" and device.turns()[1] == ("hurried", 12)
    assert 2.0 < hurried.ended_s <= 3.05


def test_a_deadline_that_is_far_takes_nothing():
    device = Device().run(Asked("first", steps=20), Asked("relaxed", steps=5, came_s=0.1, deadline_s=60.0))
    assert [who for who, _ in device.turns()] == ["first", "relaxed"]


def test_a_deadline_that_is_lost_takes_nothing_from_others():
    device = Device().run(Asked("first", steps=20), Asked("lost", steps=50, came_s=0.1, deadline_s=1.0))
    assert [who for who, _ in device.turns()] == ["first", "lost"]


def test_an_interactive_request_goes_before_a_deadline():
    device = Device().run(Asked("hurried", steps=10, deadline_s=1.3), Asked("now", steps=3, came_s=0.2, priority=80))
    assert device.turns()[:2] == [("hurried", 2), ("now", 5)]


def test_another_projects_short_job_waits_five_steps_and_no_more():
    device = Device().run(Asked("long", steps=50, project="A"), Asked("short", steps=5, came_s=0.05, project="B"))
    assert device.turns() == [("long", 6), ("short", 7), ("long", 46)]


def test_an_equally_long_job_of_another_project_does_not_slice():
    device = Device().run(Asked("a", project="A"), Asked("b", came_s=0.05, project="B"))
    assert device.turns() == [("a", 22), ("b", 22)]


@pytest.mark.parametrize("projects", ["AA", "AB"])
def test_equal_jobs_are_not_sliced_because_what_is_measured_wavers(projects):
    jobs = [
        Asked(f"{project}{n}", came_s=0.01 * n, project=project, steps=40)
        for n in range(4)
        for project in projects[n % 2]
    ]
    device = Device(waver=0.15).run(*jobs)
    assert len(device.turns()) == 4


def test_a_shorter_one_goes_first_but_not_in_the_midst_of_another_of_its_project():
    device = Device().run(
        Asked("runs", steps=50), Asked("long", steps=50, came_s=0.05), Asked("short", steps=5, came_s=0.06)
    )
    assert device.turns() == [("runs", 52), ("short", 7), ("long", 52)]


def test_a_project_with_many_jobs_does_not_keep_out_one_with_few():
    crowd = [Asked(f"a{number}", steps=10, project="A") for number in range(20)]
    single = Asked("b", steps=10, came_s=0.5, project="B")
    device = Device().run(*crowd, single)
    assert [who for who, _ in device.turns()].index("b") <= 2
    assert single.ended_s < 4


def test_projects_of_equal_demand_get_equal_time():
    jobs = [
        Asked(f"{project}{n}", steps=10 + 30 * (project == "A"), project=project)
        for n in range(200)
        for project in "AB"
    ]
    device = Device().run(*jobs, until_s=200)
    share = sum(who[0] == "A" for who in device.log) / len(device.log)
    assert 0.45 < share < 0.55


def test_a_project_that_was_idle_has_not_saved_up():
    early = [Asked(f"a{number}", project="A") for number in range(20)]
    late = [Asked(f"b{number}", came_s=40.0, project="B") for number in range(20)]
    more = [Asked(f"c{number}", came_s=40.0, project="A") for number in range(20)]
    device = Device().run(*early, *late, *more, until_s=60)
    behind = device.log[450:600]
    assert 0.35 < sum(who[0] == "b" for who in behind) / len(behind) < 0.65


def test_free_slots_are_filled_with_the_next_best_of_the_same_group():
    device = Device(slots=4).run(*(Asked(name, steps=3) for name in "abcde"))
    assert device.log.count("a+b+c+d") == 3


def test_a_request_joins_a_batch_that_runs():
    device = Device(slots=2).run(Asked("a", steps=6), Asked("b", steps=6, came_s=0.35))
    assert device.turns()[:4] == [("a", 4), ("b", 1), ("a+b", 3), ("a", 1)]


def test_a_place_in_a_batch_is_filled_again_as_soon_as_it_is_free():
    device = Device(slots=2).run(
        Asked("a", steps=9), Asked("b", steps=2, came_s=0.05), Asked("c", steps=4, came_s=0.06)
    )
    assert [who for who, _ in device.turns()] == ["a", "b", "a+b", "b", "c", "a+c", "c", "a"]


def test_those_of_another_group_don_t_join():
    device = Device(slots=4).run(Asked("a", kin="small"), Asked("b", kin="large"))
    assert device.turns() == [("a", 22), ("b", 22)]


@pytest.mark.parametrize("suspect", "abc")
def test_one_that_is_to_be_alone_shares_no_batch(suspect):
    device = Device(slots=4).run(*(Asked(name, steps=3, alone=name == suspect) for name in "abc"))
    assert {who for who, _ in device.turns() if suspect in who} == {suspect}
    others = "+".join(sorted({*"abc"} - {suspect}))
    assert device.log.count(others) == 3


def test_an_interactive_request_does_not_wait_for_others_to_fill_its_batch():
    device = Device(slots=4).run(Asked("now", steps=5, priority=90), *(Asked(f"r{number}") for number in range(3)))
    assert device.turns()[0] == ("now", 7)


def test_an_interactive_request_takes_ready_ones_along():
    device = Device(slots=2).run(Asked("a", steps=9), Asked("now", steps=3, came_s=0.4, priority=80))
    assert device.turns()[:3] == [("a", 4), ("now", 1), ("now+a", 3)]


def test_what_may_not_start_is_passed_over_until_it_may():
    allowed = {"small"}
    device = Device(may_start=lambda job: job.id in allowed)
    device.run(Asked("large"), Asked("small", steps=3), until_s=0.75)
    assert device.log == ["small"] * 5
    allowed.add("large")
    assert device.run().log[5:] == ["large"] * 22


def test_whoever_is_overtaken_without_end_still_gets_on():
    flood = [Asked(f"i{number}", steps=8, came_s=number * 0.8, priority=90) for number in range(400)]
    poor = Asked("poor", steps=10, priority=0)
    Device(rules=Rules(patience_s=2.0)).run(poor, *flood, until_s=150)
    assert 0 < poor.ended_s < 100


@pytest.mark.parametrize("seed", range(30))
def test_nobody_starves_and_interactive_ones_start_at_once(seed):
    chance = random.Random(seed)
    came_s, jobs = 0.0, []
    for number in range(120):
        came_s += chance.expovariate(1 / 1.6)
        jobs.append(
            Asked(
                f"r{number}",
                steps=chance.randint(1, 30),
                came_s=came_s,
                priority=chance.choice([0, 20, 50, 50, 50, 79, 85, 100]),
                project=chance.choice("ABC"),
                deadline_s=chance.choice([None, None, 3.0, 10.0]),
                kin=chance.choice(["small", "large"]),
            )
        )
    slots = chance.choice([1, 2, 4])
    device = Device(slots, Rules(patience_s=5.0)).run(*jobs)
    assert all(job.ended_s for job in jobs)
    urgent = [job for job in jobs if job.priority >= 80]
    alone = [job for job in urgent if not any(other is not job and overlap(other, job) for other in urgent)]
    assert alone
    assert all(job.began_s - job.came_s <= 2 * STEP_S + 1e-6 for job in alone)
    assert len(device.log) <= sum(job.steps + 2 for job in jobs)


def overlap(one, other):
    return one.came_s < other.ended_s and other.came_s < one.ended_s


def test_costs_follow_what_was_measured_and_stay_bounded():
    costs = Costs(guess_s=9.0)
    job = Asked("a", steps=10)
    job.enter()
    assert costs.remaining_s(job.job) == pytest.approx(12 * 9.0)
    for _ in range(50):
        costs.took("step", "small", 0.2)
        costs.took("encode", "small", 1.0)
    assert costs.remaining_s(job.job) == pytest.approx(1.0 + 11 * 0.2, rel=1e-3)
    assert costs.unit_s("step", "never seen") == pytest.approx(0.2, rel=1e-3)
    for number in range(5000):
        costs.took("step", number, 0.1)
    assert len(costs._average_s) <= 512
    assert costs.unit_s("decode", "small") == 9.0
