"""Hold `max_cost_usd`: whether a run's candidates have cost so much that no more are started."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sluice.domain.build import candidates, costs, jobs
from sluice.domain.money import money

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Step


def refusal(steps: Sequence[Step], step: str, most_usd: float) -> str | None:
    """Say why a candidate is not started; None if it is. `steps` are those of its run.

    What runs, and the one to start, are taken to cost the mean of those that ended. So the first ones always
    start, as nothing is known of them. A cost that cannot be told holds back all others.
    """
    others = [each for each in steps if candidates.is_candidate(each.step) and each.step != step]
    items = [{"step": each.step, **each.item()} for each in others if jobs.has_ended(each.status)]
    running = len(others) - len(items)
    # What was reused cost nothing, and says nothing of what the next one will.
    ended = [item for item in items if item.get("job_arn") and not item.get("cached")]
    priced = [cost for item in ended for cost in costs.of_item(item)]
    for cost in priced:
        if cost.usd is None:
            return f"max_cost_usd cannot be held, as the cost of {cost.step} is unknown: {cost.unknown}"
    if not ended:
        return None
    spent = math.fsum(cost.usd or 0 for cost in priced)
    expected = spent / len(ended) * (len(ended) + running + 1)
    if expected <= most_usd:
        return None
    return (
        f"one more would make candidates cost about {money(expected)}, more than max_cost_usd, "
        f"{money(most_usd)}"
    )
