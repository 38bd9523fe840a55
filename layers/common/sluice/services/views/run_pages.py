"""Show all of a run together: its steps with their costs, candidates, gates, and what a script wrote."""

from __future__ import annotations

from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Run
from sluice.domain.build import costs, log_tails
from sluice.domain.failures import MissingError
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.views import ahead, candidates, gates, runs

LOG_LINES = 200


def page(cloud: Cloud, run_id: str) -> dict[str, Any]:
    """Return a run as `runs.run` does, with `cost`, `leaderboard` and `gates`; raises MissingError."""
    ahead.read_run(cloud, run_id)
    found = runs.run(cloud, run_id, is_glance=True)
    item = cloud.catalog.get(keys.run_key(run_id.rpartition("-")[0], run_id)) if found else None
    if found is None or item is None:
        raise MissingError(f"There is no run {run_id!r}.")
    cost = costs.of_run(found["steps"], {name: found.get(name) for name in costs.ATTRIBUTES})
    by_step = {each.step: each.usd for each in cost.steps}
    for step in found["steps"]:
        step["cost_usd"] = by_step.get(step["step"])
    run = Run.of(item)
    has_trained = any(step["kind"] == "training_job" for step in found["steps"] if step.get("kind"))
    return {
        **found,
        "cost": {"usd": cost.usd, "known_usd": cost.known_usd, "unknown": list(cost.unknown)},
        "leaderboard": candidates.leaderboard(cloud, run) if has_trained and not run.runs_pipeline else None,
        "gates": gates.document(cloud, found["pipeline"], run_id) if _is_judged(found) else None,
    }


def _is_judged(found: dict[str, Any]) -> bool:
    return any(step["step"] == "gates" for step in found["steps"])


def log(cloud: Cloud, run_id: str, step: str, lines: int = LOG_LINES) -> dict[str, Any]:
    """Return the last lines of a step's job; raises MissingError if the run has no such step."""
    found = building.find_step(cloud, run_id, step)
    if found is None:
        raise MissingError(f"{run_id} has no step {step!r}.")
    pipeline = run_id.rpartition("-")[0]
    told: list[str] = []
    if found.job_name and found.kind in ("training_job", "processing_job"):
        group = log_tails.group(cloud.stack_name, pipeline, found.kind, found.backend)
        told = cloud.job_logs.tail(group, found.job_name, lines)
    return {
        "run_id": run_id,
        "pipeline": pipeline,
        "step": step,
        "status": found.status,
        "started_at": found.started_at,
        "ended_at": found.ended_at,
        "lines": told or list(found.log_tail or ()),
    }
