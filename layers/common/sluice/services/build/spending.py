"""Start no more candidates than `max_cost_usd` allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.domain import names
from sluice.domain.build import candidates, jobs
from sluice.domain.build.errors import BuildError
from sluice.domain.quotas import QuotaTakenError
from sluice.ports import Cloud
from sluice.services.building import find_steps

if TYPE_CHECKING:
    from sluice.domain.config.models import Train


class CostLimitError(BuildError):
    """The run's candidates cost as much as they may: this one is not trained."""


def check(cloud: Cloud, run_id: str, step: str, job_name: str, train: Train) -> None:
    """Raise CostLimitError for a candidate that is one too many, unless its job was started before.

    Raises QuotaTakenError for one whose cost is not known yet: it waits as for any allowance.
    """
    most_usd = train.candidates.max_cost_usd
    if most_usd is None or not candidates.is_candidate(step):
        return
    from sluice.domain.build import spending

    before = names.previous_run_id(run_id)
    former = find_steps(cloud, before) if before else []
    steps = find_steps(cloud, run_id)
    if spending.must_wait(steps, step, former):
        raise QuotaTakenError("max_cost_usd: it waits for what the first candidate costs")
    why = spending.refusal(steps, step, most_usd, former)
    kind = jobs.kind_of(step)
    if why and not any(running.describe(kind, job_name) for running in (cloud.jobs, cloud.lambda_jobs)):
        raise CostLimitError(f"not trained: {why}")
