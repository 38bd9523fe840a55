"""A build starts when a batch is complete and the limits allow it; nothing is lost or built twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.catalog.records.arrivals import Arrival
from sluice.catalog.records.builds import Pipeline
from sluice.domain.build.governor import (
    Decision,
    NothingDue,
    Policy,
    StartBuild,
    WaitUntil,
    decide,
)
from sluice.domain.config import PipelineConfig
from sluice.domain.times import from_iso, to_iso

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = Policy(quiet_period_s=60, cooldown_s=600, daily_budget=3)
FRESH = Pipeline("reviews", "p1")
WITH_DATA = replace(FRESH, dataset_version="d1")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def arrival(seconds: float, key: str = "a") -> Arrival:
    """What arrived by S3's clock long before the stack heard of it."""
    known = to_iso(at(seconds))
    return Arrival("reviews", key, "1", 1, to_iso(at(-9999)), "pending", recorded_at=known)


@pytest.mark.parametrize(
    ("overwritten", "cause"),
    [
        (0, "2 new objects, 3 deleted"),
        (1, "1 new object, 1 overwritten, 3 deleted"),
        (2, "2 objects overwritten, 3 deleted"),
        (None, "2 objects uploaded, 3 deleted"),
    ],
)
def test_the_cause_tells_new_objects_from_those_that_were_overwritten(
    overwritten: int | None, cause: str
) -> None:
    decision = decide(FRESH, [arrival(0), arrival(30)], POLICY, at(90), 3, overwritten)
    assert isinstance(decision, StartBuild)
    assert decision.reason == cause


def test_a_batch_is_complete_after_its_quiet_period() -> None:
    assert decide(FRESH, [arrival(0)], POLICY, at(59)) == WaitUntil(at(60), "quiet period of 60 s")
    assert decide(FRESH, [arrival(0)], POLICY, at(60)) == StartBuild("1 object uploaded", "2026-03-01", 1)


def test_each_arrival_prolongs_the_quiet_period() -> None:
    pending = [arrival(30, "b"), arrival(0)]
    assert decide(FRESH, pending, POLICY, at(60)) == WaitUntil(at(90), "quiet period of 60 s")
    assert decide(FRESH, pending, POLICY, at(90)) == StartBuild("2 objects uploaded", "2026-03-01", 1)


def test_nothing_is_built_without_a_project() -> None:
    state = replace(WITH_DATA, project_version="")
    assert decide(state, [arrival(0)], POLICY, at(999)) == NothingDue("no project was pushed")


@pytest.mark.parametrize(
    ("content", "built", "is_built"),
    [("c1", "c1", False), ("c2", "c1", True), ("c1", None, True), (None, "c1", True)],
)
def test_a_push_of_what_no_run_reads_builds_nothing(
    content: str | None, built: str | None, is_built: bool
) -> None:
    """Where either is not known, as of an older stack, the versions decide."""
    state = replace(WITH_DATA, built_project_version="p0", project_content=content, built_content=built)
    assert isinstance(decide(state, [], POLICY, NOON), StartBuild) is is_built


def test_what_a_failed_run_took_up_is_tried_again_with_any_other_version() -> None:
    state = replace(WITH_DATA, built_project_version="p0", project_content="c1", built_content="c1")
    taken_up = replace(arrival(-100), failed_run="r-00001")
    assert isinstance(decide(state, [], POLICY, NOON), NothingDue)
    assert isinstance(decide(state, [taken_up], POLICY, NOON), StartBuild)


@pytest.mark.parametrize("built", [None, "p1"])
def test_nothing_is_built_without_anything_new(built: str | None) -> None:
    state = replace(FRESH, built_project_version=built, dataset_version="d1" if built else None)
    assert decide(state, [], POLICY, NOON) == NothingDue("nothing new")


def test_one_build_at_a_time() -> None:
    state = replace(FRESH, in_flight="ab-00001")
    assert decide(state, [arrival(0)], POLICY, at(999)) == NothingDue(
        "ab-00001 is in flight; its end asks again"
    )


def test_a_new_project_version_is_built_with_the_data_there_are() -> None:
    state = replace(WITH_DATA, project_version="p2", built_project_version="p1")
    assert decide(state, [], POLICY, NOON) == StartBuild("a new project version", "2026-03-01", 1)


def test_builds_keep_their_distance() -> None:
    state = replace(FRESH, last_build_at=to_iso(at(-300)))
    assert decide(state, [arrival(-100)], POLICY, NOON) == WaitUntil(at(300), "cooldown of 600 s")
    assert isinstance(decide(state, [arrival(-100)], POLICY, at(300)), StartBuild)


def test_the_longest_wait_counts() -> None:
    state = replace(FRESH, last_build_at=to_iso(at(-590)))
    assert decide(state, [arrival(0)], POLICY, NOON) == WaitUntil(at(60), "quiet period of 60 s")


def test_a_used_budget_waits_for_the_next_utc_day() -> None:
    state = replace(FRESH, budget_day="2026-03-01", budget_used=3)
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    assert decide(state, [arrival(-100)], POLICY, NOON) == WaitUntil(
        midnight, "daily budget of 3 used", is_budget=True
    )
    assert decide(state, [arrival(-100)], POLICY, midnight) == StartBuild(
        "1 object uploaded", "2026-03-02", 1
    )


def test_the_budget_counts_up_within_its_day() -> None:
    state = replace(FRESH, budget_day="2026-03-01", budget_used=2)
    assert decide(state, [arrival(-100)], POLICY, NOON) == StartBuild("1 object uploaded", "2026-03-01", 3)


def test_the_budget_counts_builds_of_its_day_alone() -> None:
    state = replace(FRESH, budget_day="2026-03-01", budget_used=2)
    assert [state.builds_on("2026-03-01"), state.builds_on("2026-03-02")] == [2, 0]


def test_the_policy_is_the_configs(pipeline_config: PipelineConfig) -> None:
    assert Policy.of(pipeline_config) == Policy(quiet_period_s=2, cooldown_s=60, daily_budget=10)


class World:
    """A pipeline in which things happen, and its decisions are carried out as the functions do."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.state = FRESH
        self.now = NOON
        self.pending: list[Arrival] = []
        self.included: list[Arrival] = []
        self.builds: list[datetime] = []

    def arrive(self) -> None:
        number = len(self.pending) + len(self.included)
        self.pending.append(replace(arrival(0, f"key-{number}"), recorded_at=to_iso(self.now)))

    def push(self) -> None:
        self.state = replace(self.state, project_version=f"p{len(self.builds)}-{self.now:%H%M%S}")

    def pass_time(self) -> None:
        self.now += timedelta(seconds=37)

    def pass_hours(self) -> None:
        self.now += timedelta(hours=7)

    def finish(self) -> None:
        version = "d1" if self.state.has_data or self.included else None
        self.state = replace(self.state, in_flight=None, dataset_version=version)

    @property
    def is_due(self) -> bool:
        is_pushed = self.state.built_project_version != self.state.project_version
        return bool(self.pending) or (self.state.has_data and is_pushed)

    def may_start(self, time: datetime) -> bool:
        """Whether all limits allow a build at a time, by what happened and not by what the governor keeps."""
        is_quiet = all(
            time - from_iso(arrival.known_at) >= timedelta(seconds=self.policy.quiet_period_s)
            for arrival in self.pending
        )
        is_cool = not self.builds or time - self.builds[-1] >= timedelta(seconds=self.policy.cooldown_s)
        today = [build for build in self.builds if build.date() == time.date()]
        return is_quiet and is_cool and len(today) < self.policy.daily_budget

    def ask(self) -> Decision:
        """The decision: to start exactly when it is due and allowed, and to wait no longer than needed."""
        decision = decide(self.state, self.pending, self.policy, self.now)
        match decision:
            case StartBuild():
                assert self.state.in_flight is None
                assert self.is_due
                assert self.may_start(self.now)
                self._build(decision)
            case WaitUntil():
                assert self.is_due
                assert self.may_start(decision.time)
                assert not self.may_start(decision.time - timedelta(microseconds=1))
                assert not self.may_start(self.now)
            case NothingDue():
                assert self.state.in_flight is not None or not self.is_due
        return decision

    def _build(self, decision: StartBuild) -> None:
        self.builds.append(self.now)
        self.included += self.pending
        self.pending = []
        self.state = replace(
            self.state,
            in_flight=f"ab-{len(self.builds):05d}",
            built_project_version=self.state.project_version,
            last_build_at=to_iso(self.now),
            budget_day=decision.budget_day,
            budget_used=decision.budget_used,
        )

    def settle(self) -> Decision:
        """Ask when each decision says to, until nothing is left to do."""
        for _ in range(1000):
            decision = self.ask()
            if isinstance(decision, WaitUntil):
                assert decision.time > self.now
                self.now = decision.time
            elif self.state.in_flight is not None:
                self.finish()
            elif isinstance(decision, NothingDue):
                return decision
        raise AssertionError("never settles")


@given(
    st.lists(
        st.sampled_from(
            ["arrive", "arrive", "push", "pass_time", "pass_time", "pass_hours", "finish", "ask", "ask"]
        ),
        min_size=20,
        max_size=60,
    ),
    st.builds(Policy, st.integers(0, 100), st.integers(0, 300), st.integers(1, 3)),
)
def test_whatever_happens_every_arrival_is_built_once_and_no_limit_is_broken(
    happenings: list[str], policy: Policy
) -> None:
    world = World(policy)
    for happening in happenings:
        getattr(world, happening)()
    assert world.settle() == NothingDue("nothing new")

    assert world.pending == []
    keys = [arrival.key for arrival in world.included]
    assert len(keys) == len(set(keys)) == happenings.count("arrive")
    if "arrive" in happenings:
        assert world.state.built_project_version == world.state.project_version


MONTHLY = replace(POLICY, cooldown_s=0, monthly_budget_usd=1.0)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)


def spent(usd: float, month: str = "2026-03", last: float | None = None) -> Pipeline:
    recent = () if last is None else (last / 2, last)
    return replace(FRESH, spent_month=month, spent_usd=usd, recent_costs_usd=recent)


def test_a_months_budget_that_is_used_up_holds_builds_back_until_the_next_month() -> None:
    decision = decide(spent(1.02), [arrival(-100)], MONTHLY, NOON)
    assert decision == WaitUntil(APRIL, "monthly budget of $1.00: $1.02 spent in 2026-03", is_budget=True)
    assert isinstance(decide(spent(1.02), [arrival(-100)], MONTHLY, APRIL), StartBuild)


def test_it_also_holds_back_a_run_that_would_exceed_it_as_the_last_one_shows() -> None:
    decision = decide(spent(0.9, last=0.2), [arrival(-100)], MONTHLY, NOON)
    said = "monthly budget of $1.00: $0.90 spent in 2026-03, and another run like the last one costs $0.20"
    assert decision == WaitUntil(APRIL, said, is_budget=True)
    assert isinstance(decide(spent(0.9, last=0.05), [arrival(-100)], MONTHLY, NOON), StartBuild)


@pytest.mark.parametrize(
    "pipeline",
    [FRESH, spent(0, last=5.0), spent(99, month="2026-02", last=5.0), spent(0.5)],
    ids=["new", "nothing spent", "another month", "below"],
)
def test_the_first_run_of_a_month_always_starts(pipeline: Pipeline) -> None:
    assert isinstance(decide(pipeline, [arrival(-100)], MONTHLY, NOON), StartBuild)


def test_without_a_budget_nothing_is_held_back() -> None:
    assert isinstance(decide(spent(1e6), [arrival(-100)], replace(POLICY, cooldown_s=0), NOON), StartBuild)


@given(
    usd=st.floats(0, 10),
    last=st.none() | st.floats(0, 10),
    budget=st.floats(0.01, 10),
)
def test_more_spent_never_lets_more_through(usd: float, last: float | None, budget: float) -> None:
    policy = replace(MONTHLY, monthly_budget_usd=budget)
    if isinstance(decide(spent(usd, last=last), [arrival(-100)], policy, NOON), WaitUntil):
        assert isinstance(decide(spent(usd + 1, last=last), [arrival(-100)], policy, NOON), WaitUntil)


def test_a_recall_waits_for_the_run_in_flight_and_for_nothing_else() -> None:
    built = replace(WITH_DATA, last_build_at=to_iso(NOON), budget_day="2026-03-01", budget_used=9)
    asked = replace(built, recalled_key="reviews/a.csv")
    decision = StartBuild("recall of reviews/a.csv", "2026-03-01", 9, is_recall=True)
    assert decide(asked, [arrival(0)], POLICY, at(1)) == decision
    assert isinstance(decide(replace(asked, in_flight="reviews-00001"), [], POLICY, at(1)), NothingDue)


def test_what_watching_a_model_asked_for_is_built_within_cooldown_and_budget() -> None:
    state = replace(WITH_DATA, built_project_version="p1", retrain_cause="monitoring: drift on production: x")
    assert decide(state, [], POLICY, NOON) == StartBuild(
        "monitoring: drift on production: x", "2026-03-01", 1
    )
    cooling = replace(state, last_build_at=to_iso(at(-10)))
    assert decide(cooling, [], POLICY, NOON) == WaitUntil(at(590), "cooldown of 600 s")
    spent = replace(state, budget_day="2026-03-01", budget_used=3)
    assert isinstance(decide(spent, [], POLICY, NOON), WaitUntil)
    assert isinstance(decide(replace(state, in_flight="r-00001"), [], POLICY, NOON), NothingDue)
    assert isinstance(decide(replace(state, dataset_version=None), [], POLICY, NOON), NothingDue)
