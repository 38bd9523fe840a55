"""Show pipelines: their state, what waits for a person, and what happened."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline
from sluice.catalog.records.recalls import Recall
from sluice.catalog.records.releases import PENDING, Package
from sluice.domain import config, failures
from sluice.domain.release import awaited, packages, releases
from sluice.ports import Cloud
from sluice.services import timeline
from sluice.services.build import costs
from sluice.services.data import arrivals, recalling
from sluice.services.release import approving, deploying, releasing
from sluice.services.side_by_side import on_each
from sluice.services.views import data, models, overtaken, recalls, runs, stages, uploads


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
    waits = awaited_decisions(cloud, pipeline, serving, newest)
    remark = _at_a_glance if is_glance else _with_remarks
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
        "recalls": recalls.recalls(cloud, pipeline, _unsettled(recalled, newest)),
        "last_run": next(iter(runs.newest(cloud, state, 1)), None) if state else None,
        "last_release": stages.last_release(cloud, pipeline, item.get("last_release")),
        "group": item.get("group"),
        "stages": serving,
        "awaited": on_each(waits, partial(remark, cloud, pipeline, recalled)),
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


def _unsettled(found: Sequence[Recall], newest: Sequence[dict[str, Any]]) -> list[Recall]:
    """Return recalls but for those after whose model a later one was approved, which is without it too."""
    decided = next((row for row in newest if row["approval_status"] != PENDING), None)
    if decided is None or decided["approval_status"] != "Approved":
        return [*found]
    group, version = decided["group"], decided["version"]
    return [each for each in found if not _is_before(each.package_arn, group, version)]


def _is_before(arn: str | None, group: str, version: int) -> bool:
    return arn is not None and packages.group_of(arn) == group and int(arn.rpartition("/")[2]) < version


def with_remarks(cloud: Cloud, pipeline: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to what `awaited_decisions` lists what a person should know before approving it."""
    recalled = recalling.find(cloud, pipeline) if found else []
    return on_each(found, partial(_with_remarks, cloud, pipeline, recalled))


def _with_remarks(
    cloud: Cloud, pipeline: str, recalled: Sequence[Recall], decision: dict[str, Any]
) -> dict[str, Any]:
    """Add to what waits to be approved what overtook it since it was compared, and recalled objects in it."""
    package = _awaited(cloud, decision)
    if package is None:
        return decision
    remarks = {
        "overtaken": overtaken.said(cloud, package),
        "recalled": recalls.recalled_in(cloud, pipeline, package.run_id, recalled),
    }
    return {**decision, **{name: remark for name, remark in remarks.items() if remark}}


def _at_a_glance(
    cloud: Cloud, pipeline: str, recalled: Sequence[Recall], decision: dict[str, Any]
) -> dict[str, Any]:
    """Add to what waits to be approved what was recalled since it began to be trained."""
    package = _awaited(cloud, decision)
    since = recalls.recalled_since(cloud, pipeline, package.run_id, recalled) if package else []
    return {**decision, "recalled_since": since} if since else decision


def _awaited(cloud: Cloud, decision: dict[str, Any]) -> Package | None:
    """Return the version that waits to be approved; None of one that waits for a stage."""
    item = cloud.catalog.get(keys.package_key(decision["arn"])) if decision["what"] == "approval" else None
    return Package.of(item) if item else None


def awaited_decisions(
    cloud: Cloud,
    pipeline: str,
    serving: list[dict[str, Any]] | None = None,
    undecided: list[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """List what waits for a person, by the pipeline's current project.

    `serving` is what `stages` shows, `undecided` what `models.undecided` does.
    """
    project_version = (cloud.catalog.get(keys.pipeline_key(pipeline)) or {}).get("project_version")
    project = cloud.catalog.get(keys.project_key(pipeline, project_version)) if project_version else None
    if project is None:
        return []
    listed = config.restore(project["config"]).release.stages
    serving = stages.stages(cloud, pipeline) if serving is None else serving
    rows = models.undecided(cloud, pipeline, serving) if undecided is None else undecided
    # All before the newest decided one were passed over: there may be thousands.
    decided = next((row for row in rows if row["approval_status"] != PENDING), None)
    newest = [{**row, "held": _held(cloud, row, serving) if row is decided else None} for row in rows]
    found = awaited.decisions(listed, serving, newest)
    return [each for each in found if not _was_taken_back(cloud, pipeline, each)]


def _held(cloud: Cloud, row: dict[str, Any], serving: list[dict[str, Any]]) -> str | None:
    """Say why an approved version waits: others must approve it too, or its release was refused."""
    item = cloud.catalog.get(keys.package_key(row["arn"])) if row["approval_status"] == "Approved" else None
    if item is None:
        return None
    package = Package.of(item)
    counted = approving.find_quorum(cloud, package)
    if counted and not counted.is_reached:
        return counted.missing
    return None if any(models.is_live(row, stage) for stage in serving) else _refused(cloud, package, serving)


def _refused(cloud: Cloud, package: Package, serving: list[dict[str, Any]]) -> str | None:
    """Say why the release of an approval was refused, if the version never served since, nor will soon."""
    pipeline = package.pipeline
    release = releasing.find_release(cloud, pipeline, releases.of_approval(package)) if pipeline else None
    if release is None or release.status != "refused":
        return None
    if any(_is_coming(cloud, package, stage) for stage in serving):
        return None
    if any(deploying.has_served(cloud, package, stage["stage"]) for stage in serving):
        return None
    return f"its release was refused at {release.ended_at}: {'; '.join(map(failures.plain, release.reasons))}"


def _is_coming(cloud: Cloud, package: Package, stage: dict[str, Any]) -> bool:
    """Tell whether a release, which a person asked for by its stage, brings a version there."""
    coming = deploying.find_deployment(cloud, str(package.pipeline), stage["stage"], stage["releasing"])
    return coming is not None and coming.is_of(package.arn, package.run_id)


def _was_taken_back(cloud: Cloud, pipeline: str, decision: dict[str, Any]) -> bool:
    """Tell whether a stage waits for a version that was rolled back there: that wait is over."""
    stage, arn = decision["stage"], decision["arn"]
    if stage is None:
        return False
    return deploying.was_taken_back(cloud, pipeline, stage, arn, int(arn.rpartition("/")[2]))


def unclaimed(cloud: Cloud, limit: int | None = None) -> list[dict[str, Any]]:
    """List objects that belong to no pipeline, by key, without what a pipeline claimed since."""
    return [keys.shown(arrival.item()) for arrival in islice(arrivals.unclaimed(cloud), limit)]
