"""Show the candidates of a run as a leaderboard, beside the champion that they have to beat."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Run, Step
from sluice.catalog.records.releases import Package
from sluice.domain import names
from sluice.domain.build import candidates, champions, costs, selection, usage
from sluice.domain.build.selection import Trained
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.views import models

if TYPE_CHECKING:
    from sluice.domain.config.models import Train

Row = dict[str, Any]


def leaderboard(cloud: Cloud, run: Run) -> dict[str, Any]:
    """Return a run's candidates, the best first, which was chosen and why, and the champion's row.

    The objective of the champion was measured by its own run, on its own validation data; `evaluation` of
    both is of the same hold-out.
    """
    train = building.config_of(cloud, run).train
    steps = building.find_steps(cloud, run.run_id)
    rows = ranked(train, steps)
    chosen = chosen_step(steps)
    for row in rows:
        row["is_chosen"] = row["step"] == chosen
    return {
        "run_id": run.run_id,
        "pipeline": run.pipeline,
        "status": run.status,
        "strategy": train.candidates.strategy,
        "objective": train.candidates.objective,
        "direction": train.candidates.direction,
        "parameters": list(varied(train)),
        "planned": sum(rung.size for rung in candidates.rungs(train)),
        "candidates": rows,
        "chosen": chosen,
        **judged(cloud, run, steps),
    }


def judged(cloud: Cloud, run: Run, steps: Sequence[Step]) -> dict[str, Any]:
    """Return why a run's candidate was chosen, how it was evaluated, and the champion that it had to beat."""
    detail = selected(steps)
    return {
        "why": detail.get("why"),
        "evaluation": _evaluation(steps, "candidate"),
        "champion": _champion(cloud, run.pipeline, detail.get("champion"), steps),
    }


def ranked(train: Train, steps: Sequence[Step]) -> list[Row]:
    """Return a row for each candidate: the eligible ones by rank, then the others in order."""
    found = sorted(
        (step for step in steps if candidates.is_candidate(step.step)),
        key=lambda step: candidates.place(step.step)[::-1],
    )
    judged = selection.select(train, [*map(Trained.of, found)])
    order = selected(steps).get("ranked") or [each.step for each in judged.ranked]
    ranks = {step: rank for rank, step in enumerate(order, 1)}
    rows = [
        row_of(step, varied(train), train.candidates.objective)
        | {"rank": ranks.get(step.step), "problem": problem_of(step, judged.problems)}
        for step in found
    ]
    return sorted(rows, key=lambda row: row["rank"] or len(rows) + 1)


def problem_of(step: Step, problems: Mapping[str, str]) -> str | None:
    """Return why a candidate that has ended is not eligible; None if it is, or is under way."""
    if step.ended_at is None:
        return None
    # A remark was made when it was known what the job wrote.
    return step.remark or problems.get(step.step)


def row_of(step: Step, shown: Sequence[str], objective: str) -> Row:
    """Return what is known of a candidate; `shown` are the hyperparameters by which candidates differ."""
    index, rung = candidates.place(step.step)
    values = hyperparameters(step)
    return {
        "step": step.step,
        "index": index,
        "rung": rung,
        "status": step.status,
        "parameters": {name: values[name] for name in shown if name in values},
        "hyperparameters": values,
        "value": (step.metrics or {}).get(objective),
        "metrics": dict(step.metrics or {}),
        "duration_s": usage.took_s(step.item()),
        "cost_usd": costs.usd_of_item({"step": step.step, **step.item()}),
        "backend": step.backend,
        "cached": step.cached is not None,
    }


def varied(train: Train) -> list[str]:
    """Return the hyperparameters by which candidates differ, in the order written, and the budget's."""
    budget = train.candidates.budget
    return [*train.candidates.space, *([budget.hyperparameter] if budget else [])]


def hyperparameters(step: Step) -> dict[str, Any]:
    """Return the hyperparameters of a candidate's step, which are recorded JSON-encoded."""
    given = step.detail if candidates.is_candidate(step.step) and isinstance(step.detail, Mapping) else {}
    return {name: json.loads(value) for name, value in given.items()}


def selected(steps: Sequence[Step]) -> dict[str, Any]:
    """Return what the run recorded of its selection; empty before that, and for runs older than that."""
    return next((dict(step.detail) for step in steps if step.step == names.SELECT), {})


def chosen_step(steps: Sequence[Step]) -> str | None:
    """Return the step of the candidate that was chosen; None before that."""
    return next(iter(selected(steps).get("ranked") or []), None)


def _evaluation(steps: Sequence[Step], *roles: str) -> dict[str, Any] | None:
    """Return the metrics of the first of these evaluations that completed."""
    by_name = {step.step: step for step in steps}
    for role in roles:
        step = by_name.get(names.evaluate_step(role))
        if step is not None and step.status == building.COMPLETED and step.metrics is not None:
            return dict(step.metrics)
    return None


def _champion(
    cloud: Cloud, pipeline: str, champion: Mapping[str, Any] | None, steps: Sequence[Step]
) -> Row | None:
    """Return the champion's row: the chosen candidate of its own run, and its evaluation in this one."""
    if not champion:
        return None
    arn = champion["package_arn"]
    item = cloud.catalog.get(keys.package_key(arn)) if arn else None
    run_id = Package.of(item).run_id if item else None
    run = building.find_run(cloud, pipeline, run_id) if run_id else None
    return {
        "model": models.model_name(cloud, pipeline, arn),
        "stage": champion.get("stage"),
        "run_id": run_id,
        "problem": champion.get("problem") or champion.get("passed_over"),
        "evaluation": _evaluation(steps, champions.ROLE, champions.OWN_ROLE),
        **(_chosen(cloud, run) if run else {}),
    }


def _chosen(cloud: Cloud, run: Run) -> Row:
    """Return the row of a run's chosen candidate; empty if the run did not record it."""
    if run.runs_pipeline:
        return {}
    judged = cloud.catalog.get(keys.step_key(run.run_id, names.SELECT))
    chosen = chosen_step([Step.of(judged)] if judged else [])
    item = cloud.catalog.get(keys.step_key(run.run_id, chosen)) if chosen else None
    train = building.config_of(cloud, run).train
    return row_of(Step.of(item), varied(train), train.candidates.objective) if item else {}
