"""Decide whether a build is due, by complete batches, one build at a time, a cooldown and a daily budget.

What arrives while no build may start waits. The decision is taken again at each arrival, at the end of each
build, and at the time that WaitUntil names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from sluice.domain.data.batches import Batch
from sluice.domain.times import from_iso

if TYPE_CHECKING:
    from sluice.domain.config import PipelineConfig


@dataclass(frozen=True, slots=True)
class PendingArrival:
    """An object of a complete batch that is not in a data set yet, and when the stack heard of it.

    `failed_run` is the last run that took it up, if that failed: such an object alone starts no build.
    """

    key: str
    version_id: str
    arrived_at: datetime
    failed_run: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits in the pipeline's config."""

    quiet_period_s: int
    cooldown_s: int
    daily_budget: int

    @classmethod
    def of(cls, config: PipelineConfig) -> Policy:
        return cls(
            quiet_period_s=config.data.complete_when.wait_s,
            cooldown_s=config.retrain.cooldown_s,
            daily_budget=config.retrain.daily_budget,
        )


@dataclass(frozen=True, slots=True)
class PipelineState:
    """What the catalog says of the pipeline; `has_data` tells whether there is a data set to build on.

    `content` is the digest of what a run of the project reads; `built_content` that of the newest run.
    """

    project_version: str | None
    built_project_version: str | None
    in_flight: str | None
    last_build_at: datetime | None
    budget_day: str | None
    budget_used: int
    has_data: bool
    content: str | None = None
    built_content: str | None = None

    @classmethod
    def of(cls, item: Mapping[str, Any], *, has_data: bool) -> PipelineState:
        """Read the catalog's pipeline item."""
        last = item.get("last_build_at")
        return cls(
            project_version=item.get("project_version"),
            built_project_version=item.get("built_project_version"),
            in_flight=item.get("in_flight"),
            last_build_at=from_iso(last) if last else None,
            budget_day=item.get("budget_day"),
            budget_used=int(item.get("budget_used") or 0),
            has_data=has_data,
            content=item.get("project_content"),
            built_content=item.get("built_content"),
        )

    @property
    def is_project_new(self) -> bool:
        """Whether the newest run read other content; a pipeline of an older stack knows only versions."""
        if self.content and self.built_content:
            return self.content != self.built_content
        return self.project_version != self.built_project_version

    def used_on(self, day: str) -> int:
        return self.budget_used if self.budget_day == day else 0


@dataclass(frozen=True, slots=True)
class StartBuild:
    """Start a build now; the claim writes `budget_day` and `budget_used`."""

    reason: str
    budget_day: str
    budget_used: int


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """A build is due, but not before a time: decide again then."""

    time: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class NothingDue:
    """No build is due until something happens."""

    reason: str


Decision = StartBuild | WaitUntil | NothingDue


def pending(ready: Iterable[Batch], items: Iterable[Mapping[str, Any]]) -> list[PendingArrival]:
    """List the objects of complete batches that are in no data set, with when the stack heard of them."""
    known = {(item["key"], item["version_id"]): item for item in items}
    return [
        PendingArrival(
            obj.key,
            obj.version_id,
            from_iso(max(obj.arrived_at, item.get("recorded_at", ""))),
            item.get("failed_run"),
        )
        for batch in ready
        for obj in batch.waiting
        for item in [known[obj.key, obj.version_id]]
    ]


def decide(
    state: PipelineState, pending: Sequence[PendingArrival], policy: Policy, now: datetime
) -> Decision:
    """Decide for one pipeline; `now` is aware."""
    if state.project_version is None:
        return NothingDue("no project was pushed")
    cause = _cause(state, pending)
    if cause is None:
        return NothingDue(_nothing(pending))
    if state.in_flight is not None:
        return NothingDue(f"{state.in_flight} is in flight; its end asks again")
    waits = [wait for wait in _waits(state, pending, policy, now) if wait.time > now]
    if waits:
        return max(waits, key=lambda wait: wait.time)
    day = _day(now)
    return StartBuild(cause, day, state.used_on(day) + 1)


def _cause(state: PipelineState, pending: Sequence[PendingArrival]) -> str | None:
    if any(arrival.failed_run is None for arrival in pending):
        return _objects(len(pending), "new object")
    # Another project version tries again what a failed run took up.
    is_other = state.built_project_version != state.project_version
    if (pending and is_other) or (state.has_data and state.is_project_new):
        return "a new project version"
    return None


def _nothing(pending: Sequence[PendingArrival]) -> str:
    if not pending:
        return "nothing new"
    run = max(arrival.failed_run or "" for arrival in pending)
    count = _objects(len(pending), "object")
    return f"{run} failed with {count}, built with the next upload or push"


def _objects(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _waits(
    state: PipelineState, pending: Sequence[PendingArrival], policy: Policy, now: datetime
) -> list[WaitUntil]:
    waits = []
    if pending:
        quiet = max(arrival.arrived_at for arrival in pending) + timedelta(seconds=policy.quiet_period_s)
        waits.append(WaitUntil(quiet, f"quiet period of {policy.quiet_period_s} s"))
    if state.last_build_at is not None:
        cool = state.last_build_at + timedelta(seconds=policy.cooldown_s)
        waits.append(WaitUntil(cool, f"cooldown of {policy.cooldown_s} s"))
    if state.used_on(_day(now)) >= policy.daily_budget:
        reason = f"daily budget of {policy.daily_budget} used"
        waits.append(WaitUntil(_next_day(now), reason))
    return waits


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _next_day(at: datetime) -> datetime:
    return datetime.combine(at.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
