"""Show pipelines: their state, what waits for a person, and what happened."""

from __future__ import annotations

from itertools import islice
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline
from sluice.ports import Cloud
from sluice.services import timeline
from sluice.services.build import costs
from sluice.services.data import arrivals, recalling
from sluice.services.views import awaited, data, models, recalls, runs, stages, uploads


def pipelines(cloud: Cloud) -> list[dict[str, Any]]:
    """List all pipelines of the stack."""
    return cloud.catalog.listing(keys.PIPELINES)


def pipeline_names(cloud: Cloud) -> list[str]:
    return [item["gsi1sk"] for item in pipelines(cloud)]


def status(cloud: Cloud, pipeline: str, *, is_glance: bool = False) -> dict[str, Any]:
    """Return what a person asks first about one pipeline.

    At a glance, what waits for a person is by the catalog's record of decisions and by the bucket, with few
    requests however much waits; else by the registry and by all that arrived.
    """
    item = cloud.catalog.get(keys.pipeline_key(pipeline)) or {}
    state = Pipeline.of(item) if item else None
    serving = [
        {
            **stage,
            "endpoint_status": None
            if stage["is_batch"]
            else stages.endpoint_status(cloud, stage["endpoint_name"]),
            "alarms": stages.alarms(cloud, pipeline, stage["stage"], stage["endpoint_name"]),
            "guard_faults": stages.guard_faults(cloud, pipeline, stage["stage"]),
            "recoveries": stages.recoveries(cloud, pipeline, stage["stage"], stage["live"]),
            "scaling": stages.scaling(cloud, pipeline, stage["stage"]),
        }
        for stage in stages.stages(cloud, pipeline)
    ]
    newest = (models.on_record(cloud, state, serving) if is_glance and state else None) or models.undecided(
        cloud, pipeline, serving
    )
    rejected = {
        row["stage"]
        for model in newest
        if model["approval_status"] == "Rejected"
        for row in serving
        if models.is_live(model, row)
    }
    for stage in serving:
        stage["is_rejected"] = stage["stage"] in rejected
    count, aside, has_more = _set_aside(cloud, state, is_glance=is_glance) if state else (0, [], False)
    recalled = recalling.find(cloud, pipeline)
    waits = awaited.decisions(cloud, pipeline, serving, newest)
    remarked = awaited.at_a_glance if is_glance else awaited.with_remarks
    data_set, counts = uploads.in_numbers(cloud, pipeline, count)
    return {
        "pipeline": pipeline,
        "project_version": item.get("project_version"),
        "in_flight": item.get("in_flight"),
        "waiting_steps": runs.waiting_steps(cloud, item.get("in_flight")),
        "data_set": data_set,
        "arrivals": counts,
        **data.what_waits(cloud, pipeline),
        "quarantined": aside,
        "more_quarantined": has_more,
        "costs": costs.outlook(cloud, pipeline),
        "recalls": recalls.recalls(cloud, recalls.unsettled(recalled, newest)),
        "last_run": next(iter(runs.newest(cloud, state, 1)), None) if state else None,
        "last_release": stages.last_release(cloud, pipeline, item.get("last_release")),
        "group": item.get("group"),
        "stages": serving,
        "awaited": remarked(cloud, pipeline, waits, recalled),
        "timeline": timeline.entries(cloud, pipeline, limit=8),
    }


def _set_aside(
    cloud: Cloud, pipeline: Pipeline, *, is_glance: bool
) -> tuple[int, list[dict[str, Any]], bool]:
    """Return how many objects are set aside, the last of them, and whether there may be more."""
    if not is_glance:
        count, aside = uploads.set_aside(cloud, pipeline)
        return count, aside, count > len(aside)
    found = uploads.some_set_aside(cloud, pipeline)
    has_more = bool(found) and uploads.has_more_aside(cloud, pipeline.name)
    return len(found), [*map(uploads.shown, found)], has_more


def unclaimed(cloud: Cloud, limit: int | None = None) -> list[dict[str, Any]]:
    """List objects that belong to no pipeline, by key, without what a pipeline claimed since."""
    return [keys.shown(arrival.item()) for arrival in islice(arrivals.unclaimed(cloud), limit)]
