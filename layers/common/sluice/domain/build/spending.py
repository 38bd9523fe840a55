"""Hold `max_cost_usd`: whether a run's candidates have cost so much that no more are started."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sluice.domain.build import candidates, costs, jobs
from sluice.domain.money import money

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Step


def must_wait(steps: Sequence[Step], step: str, former: Sequence[Step] = ()) -> bool:
    """Tell whether nobody knows yet what a candidate costs, and one that comes first will tell."""
    ended, ahead = _others(steps, step)
    return bool(ahead) and not (_priced(ended) or _of_candidates(former))


def refusal(steps: Sequence[Step], step: str, most_usd: float, former: Sequence[Step] = ()) -> str | None:
    """Say why a candidate is not started; None if it is. `steps` are those of its run, `former` of the last.

    What runs, what is started before it, and itself are taken to cost the mean of those that ended, or else
    of the former run's. A cost that cannot be told holds back all others.
    """
    ended, ahead = _others(steps, step)
    priced = _priced(ended) or _of_candidates(former)
    for cost in (cost for job in priced for cost in job):
        if cost.usd is None:
            return f"max_cost_usd cannot be held, as the cost of {cost.step} is unknown: {cost.unknown}"
    if not priced:
        return None
    expected = _usd(_priced(ended)) + _usd(priced) / len(priced) * (len(ahead) + 1)
    if expected <= most_usd:
        return None
    return (
        f"one more would make candidates cost about {money(expected)}, more than max_cost_usd, "
        f"{money(most_usd)}"
    )


def _others(steps: Sequence[Step], step: str) -> tuple[list[Step], list[Step]]:
    """Return the other candidates that ended, and those that run or are started before it."""
    others = [each for each in steps if candidates.is_candidate(each.step) and each.step != step]
    ended = [each for each in others if jobs.has_ended(each.status)]
    return ended, [each for each in others if each not in ended and _goes_before(each, step)]


def _of_candidates(former: Sequence[Step]) -> list[tuple[costs.StepCost, ...]]:
    return _priced(each for each in former if candidates.is_candidate(each.step))


def _goes_before(other: Step, step: str) -> bool:
    """Tell whether another candidate runs or is to be started before this one.

    Candidates may ask at the same time, so their order decides.
    """
    return other.status == "InProgress" or candidates.place(other.step) < candidates.place(step)


def _priced(steps: Iterable[Step]) -> list[tuple[costs.StepCost, ...]]:
    """Price the jobs that ended; what was reused cost nothing, and says nothing of what the next one will."""
    ran = (each for each in steps if jobs.has_ended(each.status) and each.job_arn and not each.cached)
    return [costs.of_item({"step": each.step, **each.item()}) for each in ran]


def _usd(priced: Iterable[tuple[costs.StepCost, ...]]) -> float:
    return math.fsum(cost.usd or 0 for job in priced for cost in job)
