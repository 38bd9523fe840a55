"""Show runs and their steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline
from sluice.catalog.records.releases import PENDING, Package
from sluice.domain import names
from sluice.domain.build import candidates, log_tails, run_manifest, usage
from sluice.domain.times import from_iso, to_iso
from sluice.ports import Cloud, Item
from sluice.services import timeline
from sluice.services.build import environments
from sluice.services.views import graph, models, narrowed, overtaken, recalls

# No job runs longer than this after its run has ended.
_AFTERWARDS = timedelta(days=1)
_EVER = "9"


def runs(
    cloud: Cloud, pipeline: str, limit: int | None = None, after: str | None = None
) -> list[dict[str, Any]]:
    """List a pipeline's runs, newest first; `after` is the run to go on behind."""
    begins = keys.run_key(pipeline, after)["sk"] if after else None
    items = cloud.catalog.query(
        keys.partition(pipeline), keys.RUNS, after=begins, newest_first=True, limit=limit
    )
    return [_head(pipeline, item) for item in items]


def page(
    cloud: Cloud, pipeline: str, limit: int, after: str | None = None, status: str | None = None
) -> dict[str, Any]:
    """List a page of `runs`, those of a status if one is given; `after` of the answer is where to go on.

    For a status so many are looked at at most, so a page may have fewer than there are.
    """
    found, last = narrowed.page(
        lambda looked_at: runs(cloud, pipeline, looked_at, after),
        limit,
        (lambda row: row["status"] == status) if status else None,
    )
    return {"pipeline": pipeline, "status": status, "runs": found, "after": last["run_id"] if last else None}


def newest(cloud: Cloud, pipeline: Pipeline, limit: int) -> list[dict[str, Any]]:
    """List a pipeline's newest runs like `runs`, by their numbers: by one request, and no query."""
    found = cloud.catalog.get_all([keys.run_key(pipeline.name, each) for each in newest_ids(pipeline, limit)])
    return [_head(pipeline.name, item) for item in found if item][:limit]


def newest_ids(pipeline: Pipeline, limit: int) -> list[str]:
    """Name the runs that may be the newest: a build takes its number before its run is on record."""
    last = pipeline.build_seq
    return [names.run_id(pipeline.name, number) for number in range(last, max(last - limit - 1, 0), -1)]


def _head(pipeline: str, item: Item) -> dict[str, Any]:
    return {"run_id": keys.run_id_of(item), "pipeline": pipeline, **keys.shown(item)}


def log_job(step: Mapping[str, Any]) -> str | None:
    """Return the name of the job that wrote a step's log: its own, or that of the step that it reuses."""
    return step.get("job_name") or (step.get("cached") or {}).get("job_name") or None


def run(cloud: Cloud, run_id: str, *, is_glance: bool = False) -> dict[str, Any] | None:
    """Return one run with its steps, in the order of its graph, gates and part of the timeline.

    None if there is none. `model_recalled` names recalled objects in the data of a version that waits; at a
    glance it is None, as that reads the data set's manifest.
    """
    pipeline = run_id.rpartition("-")[0]
    item = cloud.catalog.get(keys.run_key(pipeline, run_id))
    if item is None:
        return None
    steps = [
        {"step": keys.step_of(step), **keys.shown(step)}
        for step in cloud.catalog.query(keys.steps_partition(run_id), keys.STEPS)
    ]
    steps += _under_way(cloud, run_id, item, steps)
    steps.sort(key=started)
    now = cloud.now()
    for step in steps:
        step["took_s"] = usage.took_s(step)
        if not step.get("ended_at"):
            if item.get("status") == "running":
                step["so_far_s"] = usage.seconds(step.get("started_at"), now)
            elif step.get("status") == "InProgress":
                # A job's own end comes later, of one on Lambda that died when its time is over.
                step["status"] = "Stopping"
        if log_job(step):
            backend = step.get("backend", "sagemaker")
            step["log_group"] = log_tails.group(cloud.stack_name, pipeline, step["kind"], backend)
        if candidates.is_candidate(step["step"]):
            encoded = step.get("detail") or {}
            step["hyperparameters"] = {name: json.loads(text) for name, text in encoded.items()}
    stages = graph.stages(item, steps, now)
    order = {name: place for place, name in enumerate(name for stage in stages for name in stage["steps"])}
    # What runs beside each other began in any order.
    steps.sort(key=lambda step: order.get(step["step"], len(order)))
    return {
        "run_id": run_id,
        "pipeline": pipeline,
        **keys.shown(item),
        "selected": _selected(steps),
        "graph": stages,
        "model": models.model_name(cloud, pipeline, item.get("model_package_arn")),
        **_model(cloud, pipeline, item.get("model_package_arn"), is_glance=is_glance),
        "steps": steps,
        "environments": run_manifest.environments(environments.with_packages(cloud, steps)),
        "timeline": _timeline(cloud, pipeline, run_id, item),
    }


def _under_way(
    cloud: Cloud, run_id: str, item: Item, steps: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the steps of a pipeline of SageMaker that runs: they are on record once it has ended."""
    if not item.get("runs_pipeline") or item.get("ended_at"):
        return []
    # Few pipelines are SageMaker's.
    from sluice.services.build import sdk_pipelines

    known = {step["step"] for step in steps}
    found = [step for step in sdk_pipelines.under_way(cloud, run_id) if step.step not in known]
    return [{"step": step.step, **keys.shown(step.item())} for step in found]


def _model(cloud: Cloud, pipeline: str, arn: str | None, *, is_glance: bool) -> dict[str, Any]:
    """Return what was decided about the run's version, and what a person should know who decides now."""
    item = cloud.catalog.get(keys.package_key(arn)) if arn else None
    package = Package.of(item) if item else None
    looks = not is_glance and package is not None and package.status == PENDING and not package.deleted_at
    return {
        "model_status": package.status if package else None,
        "model_waits_because": package.waits_because if package else None,
        "model_overtaken": overtaken.said(cloud, package) if package else None,
        "model_recalled": recalls.recalled_in(cloud, pipeline, package.run_id) if package and looks else None,
    }


def _selected(steps: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return which candidate was chosen, and why; None before that."""
    detail = next((step["detail"] for step in steps if step["step"] == names.SELECT), None)
    return detail and {"step": detail["ranked"][0], "why": detail["why"]}


def _timeline(cloud: Cloud, pipeline: str, run_id: str, item: Item) -> list[Item]:
    """Return what happened to a run, including later ends of jobs that were stopped at its end."""
    ended_at = item.get("ended_at")
    until = to_iso(from_iso(ended_at) + _AFTERWARDS) if ended_at else _EVER
    return timeline.entries_of(cloud, pipeline, run_id, item["started_at"], until)


def waiting_steps(cloud: Cloud, run_id: str | None) -> list[dict[str, Any]]:
    """List the steps of the run in flight whose jobs cannot start yet, with SageMaker's reason."""
    steps = cloud.catalog.query(keys.steps_partition(run_id), keys.STEPS) if run_id else []
    return [
        {"step": keys.step_of(step), "waits_for": step["waits_for"]}
        for step in steps
        if step.get("waits_for")
    ]


def started(item: dict[str, Any]) -> str:
    return str(item.get("started_at") or "")
