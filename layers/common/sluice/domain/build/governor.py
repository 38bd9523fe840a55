"""Decide whether a build is due, by complete batches, one build at a time, a cooldown, and budgets.

What arrives while no build may start waits. The decision is taken again at each arrival, at the end of each
build, and at the time that WaitUntil names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from sluice.domain.money import money, month_of, next_month
from sluice.domain.times import from_iso
from sluice.lazy import dataclass

if TYPE_CHECKING:
    from sluice.catalog.records.arrivals import Arrival
    from sluice.catalog.records.builds import Pipeline
    from sluice.domain.config import PipelineConfig
    from sluice.domain.data.batches import Batch


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits in the pipeline's config."""

    quiet_period_s: int
    cooldown_s: int
    daily_budget: int
    monthly_budget_usd: float | None = None

    @classmethod
    def of(cls, config: PipelineConfig) -> Policy:
        return cls(
            quiet_period_s=config.data.complete_when.wait_s,
            cooldown_s=config.retrain.cooldown_s,
            daily_budget=config.retrain.daily_budget,
            monthly_budget_usd=config.retrain.monthly_budget_usd,
        )


@dataclass(frozen=True, slots=True)
class StartBuild:
    """Start a build now; the claim writes `budget_day` and `budget_used`."""

    reason: str
    budget_day: str
    budget_used: int
    # Whether a person's recall is the cause, which waits for nothing and costs no budget.
    is_recall: bool = False


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """A build is due, but not before a time: decide again then."""

    time: datetime
    reason: str
    # Whether it is a budget that is used up, of which people are told.
    is_budget: bool = False


@dataclass(frozen=True, slots=True)
class NothingDue:
    """No build is due until something happens."""

    reason: str


Decision = StartBuild | WaitUntil | NothingDue


def pending(ready: Iterable[Batch]) -> list[Arrival]:
    """List the objects of complete batches that are in no data set."""
    return [arrival for batch in ready for arrival in batch.waiting]


def decide(
    pipeline: Pipeline,
    pending: Sequence[Arrival],
    policy: Policy,
    now: datetime,
    deleted: int = 0,
    overwritten: int | None = None,
) -> Decision:
    """Decide for one pipeline; `now` is aware.

    The cause says how many objects were `deleted`, and how many of what is pending were `overwritten`; None
    if nobody counted these.
    """
    if not pipeline.project_version:
        return NothingDue("no project was pushed")
    day = _day(now)
    if pipeline.recalled_key is not None and pipeline.in_flight is None:
        return StartBuild(f"recall of {pipeline.recalled_key}", day, pipeline.builds_on(day), is_recall=True)
    cause = _cause(pipeline, pending, deleted, overwritten)
    if cause is None:
        return NothingDue(_nothing(pending))
    if pipeline.in_flight is not None:
        return NothingDue(f"{pipeline.in_flight} is in flight; its end asks again")
    waits = [wait for wait in _waits(pipeline, pending, policy, now) if wait.time > now]
    if waits:
        return max(waits, key=lambda wait: wait.time)
    return StartBuild(cause, day, pipeline.builds_on(day) + 1)


def is_for_uploads(pipeline: Pipeline, pending: Iterable[Arrival]) -> bool:
    """Tell whether a build, unless it is a recall's, is for what was uploaded since the last one."""
    return not pipeline.retrain_cause and any(arrival.failed_run is None for arrival in pending)


def _cause(
    pipeline: Pipeline, pending: Sequence[Arrival], deleted: int, overwritten: int | None
) -> str | None:
    if pipeline.retrain_cause and (pending or pipeline.has_data):
        return pipeline.retrain_cause
    if is_for_uploads(pipeline, pending):
        return _uploaded(len(pending), overwritten) + (f", {deleted:,} deleted" if deleted else "")
    # Another project version tries again what a failed run took up.
    is_other = pipeline.built_project_version != pipeline.project_version
    if (pending and is_other) or (pipeline.has_data and pipeline.is_project_new):
        left_out = f", {_objects(deleted, 'object')} deleted" if deleted else ""
        return f"a new project version{left_out}"
    return None


def _nothing(pending: Sequence[Arrival]) -> str:
    if not pending:
        return "nothing new"
    run = max(arrival.failed_run or "" for arrival in pending)
    count = _objects(len(pending), "object")
    way = f"built with the next upload or push, or by `sluice retry {run}`"
    return f"{run} ended without using {count}, {way}"


def _uploaded(count: int, overwritten: int | None) -> str:
    """Say what came: `2 new objects, 1 overwritten`."""
    if overwritten is None:
        return f"{_objects(count, 'object')} uploaded"
    if overwritten == count:
        return f"{_objects(count, 'object')} overwritten"
    new = _objects(count - overwritten, "new object")
    return f"{new}, {overwritten:,} overwritten" if overwritten else new


def _objects(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _waits(pipeline: Pipeline, pending: Sequence[Arrival], policy: Policy, now: datetime) -> list[WaitUntil]:
    waits = []
    if pending:
        last = from_iso(max(arrival.known_at for arrival in pending))
        quiet = last + timedelta(seconds=policy.quiet_period_s)
        waits.append(WaitUntil(quiet, f"quiet period of {policy.quiet_period_s} s"))
    if pipeline.last_build_at is not None:
        cool = from_iso(pipeline.last_build_at) + timedelta(seconds=policy.cooldown_s)
        waits.append(WaitUntil(cool, f"cooldown of {policy.cooldown_s} s"))
    if held := budget_wait(pipeline, policy, now):
        waits.append(held)
    return waits


def budget_wait(pipeline: Pipeline, policy: Policy, now: datetime) -> WaitUntil | None:
    """Return until when a budget holds builds back that data cause; None if none does."""
    if held := over_budget(pipeline, policy, now):
        return WaitUntil(next_month(now), held, is_budget=True)
    if pipeline.builds_on(_day(now)) >= policy.daily_budget:
        reason = f"daily budget of {policy.daily_budget} used"
        return WaitUntil(_next_day(now), reason, is_budget=True)
    return None


def over_budget(pipeline: Pipeline, policy: Policy, now: datetime) -> str | None:
    """Say why the month's budget holds builds back; None if it does not.

    It does once it is used up, and if another run like the last one would exceed it. The month's first run
    always starts, as nothing else would show what a changed project costs.
    """
    budget, month = policy.monthly_budget_usd, month_of(now)
    spent = pipeline.spent_in(month)
    if budget is None or spent == 0:
        return None
    said = f"monthly budget of {money(budget)}: {money(spent)} spent in {month}"
    if spent >= budget:
        return said
    expected = [*pipeline.recent_costs_usd][-1:]
    if expected and spent + expected[0] > budget:
        return f"{said}, and another run like the last one costs {money(expected[0])}"
    return None


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _next_day(at: datetime) -> datetime:
    return datetime.combine(at.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
