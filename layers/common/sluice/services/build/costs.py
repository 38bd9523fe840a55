"""Tell what runs cost at list prices, what the next one will, and count what a pipeline's month costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.catalog.records.builds import Pipeline, Run
from sluice.domain.money import month_of
from sluice.domain.times import from_iso
from sluice.services import building

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Step
    from sluice.domain.build.costs import Estimate, RunCost
    from sluice.ports import Cloud, Item

# An estimate is made from so many runs.
_ESTIMATED_FROM = 5
# Runs that did all that a run does.
_WHOLE = ("registered", "rejected")


def of_run(cloud: Cloud, run: Run, storage_bytes: int = 0, known: Sequence[Step] | None = None) -> RunCost:
    """Price a run by its steps; a job that still runs, or ended unheard of, by the time since its start.

    `known` are the steps, if they were read before.
    """
    from sluice.domain.build import candidates, costs

    found = building.find_steps(cloud, run.run_id) if known is None else known
    steps = candidates.in_order({"step": each.step, **each.item()} for each in found)
    measured = [_measured(cloud, run, step) for step in steps]
    return costs.of_run(measured, {name: getattr(run, name) for name in costs.ATTRIBUTES}, storage_bytes)


def _measured(cloud: Cloud, run: Run, step: Mapping[str, Any]) -> Item:
    """Return a step with the usage so far, if it has none yet."""
    usage = dict(step.get("usage") or {})
    started = step.get("started_at")
    is_over = not step.get("job_arn") and step.get("ended_at")
    if not step.get("job_name") or "billed_s" in usage or not started or is_over:
        return dict(step)
    until = step.get("ended_at") or cloud.now()
    usage["billed_s"] = max(0.0, (from_iso(until) - from_iso(started)).total_seconds())
    backend = step.get("backend", "sagemaker")
    if backend == "sagemaker":
        usage = {**_asked_for(cloud, run, str(step["step"])), **usage}
    if backend == "lambda":
        described = cloud.lambda_jobs.describe(step["kind"], step["job_name"]) or {}
        usage = {**described.get("Usage", {}), **usage}
    return {**step, "usage": usage}


def _asked_for(cloud: Cloud, run: Run, step: str) -> Item:
    """Return the instances that a step of a run asks for."""
    compute = building.config_of(cloud, run).computes[step.partition("-")[0]]
    return {
        "instance_type": compute.instance_type,
        "instance_count": getattr(compute, "instance_count", 1),
        "volume_gb": compute.volume_gb,
    }


def count(
    cloud: Cloud, pipeline: Pipeline, run: Run, steps: Sequence[Step] | None = None
) -> tuple[float | None, dict[str, Any]]:
    """Return what an ended run cost, and the pipeline's counters with it: attributes of its item.

    A run of unknown cost counts with what is known of it, and as one of `unpriced_runs`.
    """
    cost, month = of_run(cloud, run, known=steps), month_of(from_iso(cloud.now()))
    is_same = pipeline.spent_month == month
    spent: dict[str, Any] = {
        "spent_month": month,
        "spent_usd": pipeline.spent_in(month) + cost.known_usd,
        "unpriced_runs": (pipeline.unpriced_runs if is_same else 0) + bool(cost.unknown),
    }
    if run.status in _WHOLE and cost.usd is not None and not cost.is_reusing:
        again_usd = cost.usd - cost.packages_usd
        spent["recent_costs_usd"] = [*pipeline.recent_costs_usd, again_usd][-_ESTIMATED_FROM:]
    if cost.packages_usd:
        spent["packages_usd"] = cost.packages_usd
    return cost.usd, spent


def estimate(cloud: Cloud, pipeline: str) -> Estimate:
    """Estimate what the next run costs: the mean of the last five that computed all, of known cost."""
    return _estimate(building.find_pipeline(cloud, pipeline))


def _estimate(pipeline: Pipeline | None) -> Estimate:
    from sluice.domain.build import costs

    return costs.estimate(pipeline.recent_costs_usd if pipeline else ())


def packages(cloud: Cloud, pipeline: str) -> dict[str, Any] | None:
    """Return what the next run pays for its packages on Lambda, and whether they are still to be built.

    None if a run before has paid, or no job runs there. `usd` is what the last ones cost, if these are to be
    built; None if there were none.
    """
    from sluice.domain import config
    from sluice.domain.build import costs
    from sluice.services.build import environments  # the end of a run, which counts too, has no need of it

    state = building.find_pipeline(cloud, pipeline)
    if state is None:
        return None
    project = building.find_project(cloud, pipeline, state.project_version)
    ahead = environments.ahead(cloud, project, config.restore(project.config))
    if ahead is None:
        return None
    if ahead.usage is None:
        return {"are_built": False, "usd": state.packages_usd}
    return {"are_built": True, "usd": costs.of_step("packages", "lambda", ahead.usage).usd}


def outlook(cloud: Cloud, pipeline: str) -> dict[str, Any]:
    """Return what the next run will cost, what the month's did, and why the budget holds builds back."""
    from sluice.domain import config
    from sluice.domain.build import governor

    state, now = building.find_pipeline(cloud, pipeline), from_iso(cloud.now())
    if state is None:
        return {"estimate": None, "month": None, "held_back": None}
    month, expected = month_of(now), _estimate(state)
    project = config.restore(building.find_project(cloud, pipeline, state.project_version).config)
    policy = governor.Policy.of(project)
    return {
        "estimate": {
            "runs": expected.runs,
            "usd": expected.usd,
            "least_usd": expected.least_usd,
            "most_usd": expected.most_usd,
        },
        "month": {
            "month": month,
            "spent_usd": state.spent_in(month),
            "budget_usd": policy.monthly_budget_usd,
            "unpriced_runs": state.unpriced_runs if state.spent_month == month else 0,
        },
        "held_back": governor.over_budget(state, policy, now),
    }
