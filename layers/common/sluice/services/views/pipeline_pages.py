"""Show all of a pipeline together: its definition, what it does now, its data and its releases."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, get_args

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline, Project
from sluice.catalog.records.releases import ApprovalStatus
from sluice.domain import config
from sluice.domain.build import candidates
from sluice.domain.config import PipelineConfig
from sluice.domain.failures import MissingError
from sluice.domain.release.releases import RollbackOptions
from sluice.domain.times import from_iso, to_iso
from sluice.ports import Cloud, Item
from sluice.services import building
from sluice.services.data import arrivals
from sluice.services.release import deploying, releasing
from sluice.services.side_by_side import on_each
from sluice.services.views import (
    ahead,
    awaited,
    batches,
    comparison,
    data,
    history,
    lineage,
    model_pages,
    models,
    monitoring,
    pipelines,
    runs,
    stages,
    story,
    uploads,
)

RUNS, VERSIONS, ARRIVALS, PROMOTIONS, WINDOWS = 15, 12, 50, 12, 60
# Of what was set aside so much is shown, and so many promotions are looked at for one to go back to.
ASIDE, LOOKED_BACK = 20, 50
# States of arrivals, in the order in which they are offered.
STATES = ("waiting", "quarantined", "included")
# So long ago are values of alarms shown.
_JUDGED = timedelta(hours=1)


def overview(cloud: Cloud, pipeline: str) -> dict[str, Any]:
    """Return a pipeline's status, its definition in short, and its newest runs."""
    found = ahead.find_with_stages(cloud, pipeline, RUNS)
    ahead.read_troubles(cloud, pipeline)
    return {
        **pipelines.status(cloud, pipeline, is_glance=True),
        "definition": _definition(_config(cloud, found)),
        "runs": runs.newest(cloud, found, RUNS),
    }


def _config(cloud: Cloud, pipeline: Pipeline) -> PipelineConfig | None:
    key = keys.project_key(pipeline.name, pipeline.project_version) if pipeline.project_version else None
    found = cloud.catalog.get(key) if key else None
    return config.restore(Project.of(found).config) if found else None


def _definition(found: PipelineConfig | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "mode": found.data.mode,
        "columns": len(found.data.columns),
        "checks": len(found.data.quality),
        "candidates": len(candidates.first(found.train)) if found.train_ else 0,
        "strategy": found.train.candidates.strategy if found.train_ else None,
        "pipeline": found.build.pipeline if found.build else None,
        "gates": len(found.gates),
        "approval": found.register_.approval,
        "stages": [
            {
                "stage": stage.name,
                "requires_approval": stage.requires_approval,
                "traffic": stage.traffic.type,
                "percent": stage.traffic.percent,
                "bake_s": stage.traffic.bake_s,
            }
            for stage in found.release.stages
        ],
    }


def data_page(cloud: Cloud, pipeline: str, after: str | None = None) -> dict[str, Any]:
    """Return data set versions with their drift, what waits or is set aside, and how much arrived.

    The versions are the newest, or those older than the one named `after`.
    """
    found = ahead.find(cloud, pipeline)
    waits = data.what_waits(cloud, pipeline)
    read = data.dataset_versions(cloud, pipeline, limit=VERSIONS + 1, after=after)
    versions = read[:VERSIONS]
    aside = uploads.quarantined(cloud, pipeline, limit=ASIDE, keep=uploads.still_aside)
    waiting = sorted(arrivals.waiting(cloud, pipeline), key=lambda each: each.arrived_at, reverse=True)
    return {
        "pipeline": pipeline,
        "versions": versions,
        "after": versions[-1]["dataset_version"] if len(read) > VERSIONS else None,
        "is_newest": after is None,
        "drift": [each for each in on_each(versions, lambda item: _drift(cloud, item)) if each],
        "arrivals": uploads.counts(cloud, found.name, len(aside.items)),
        "waiting": [uploads.shown(each) for each in waiting[:ARRIVALS]],
        "quarantined": [uploads.shown(each) for each in aside.items],
        "more_quarantined": aside.after is not None,
        **waits,
    }


def arrivals_page(
    cloud: Cloud, pipeline: str, state: str | None = None, wanted: str = "", after: str | None = None
) -> dict[str, Any]:
    """Return a page of what arrived: of one state, and those whose keys begin as `wanted` says."""
    ahead.find(cloud, pipeline)
    found = uploads.find(cloud, pipeline, state or STATES[0], wanted, after, ARRIVALS)
    return {
        "pipeline": pipeline,
        "state": state or STATES[0],
        "states": list(STATES),
        "key": wanted,
        "arrivals": [uploads.shown(each) for each in found.items],
        "after": found.after,
    }


def _drift(cloud: Cloud, version: Item) -> dict[str, Any] | None:
    """Return how far each column of a version is from its baseline; None if that was not measured."""
    report = _report(cloud, version)
    found = (report or {}).get("drift")
    if not found:
        return None
    method = found["method"]
    columns = {
        each["column"]: each["distances"].get(method, {}).get("value")
        for each in found["columns"]
        if each["distances"].get(method)
    }
    return {
        "dataset_version": version["dataset_version"],
        "created_at": version["created_at"],
        "method": method,
        "max": found["max"],
        "columns": columns,
    }


def _report(cloud: Cloud, version: Item) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(cloud.objects.read(version.get("report_uri") or "s3:///"))
    except (FileNotFoundError, ValueError):
        return None
    return found


def version_page(cloud: Cloud, pipeline: str, digits: str) -> dict[str, Any]:
    """Return a data set version, found by its first digits, with what came from it; raises MissingError."""
    ahead.find(cloud, pipeline)
    found = _version(cloud, pipeline, digits)
    return {**found, **lineage.dataset(cloud, pipeline, found["dataset_version"])}


def report_html(cloud: Cloud, pipeline: str, digits: str) -> bytes:
    """Return the page of a version's data report, found by its first digits; raises MissingError."""
    found = _version(cloud, pipeline, digits)
    try:
        return cloud.objects.read(f"{found['manifest_uri'].rpartition('/')[0]}/report.html")
    except FileNotFoundError:
        raise MissingError(f"The data set {digits[:12]} has no report.") from None


def _version(cloud: Cloud, pipeline: str, digits: str) -> dict[str, Any]:
    """Return the only data set version that begins with the digits; raises MissingError."""
    found = data.versions_beginning(cloud, pipeline, digits)
    if len(found) != 1:
        raise MissingError(
            f"{pipeline} has {len(found) or 'no'} data set versions that begin with {digits!r}."
        )
    return found[0]


def release_page(cloud: Cloud, pipeline: str) -> dict[str, Any]:
    """Return a pipeline's stages in order, with traffic and alarms as they are, and what served when."""
    found = ahead.find_with_stages(cloud, pipeline)
    ahead.read_history(cloud, releasing.find_stages(cloud, pipeline), PROMOTIONS)
    serving = {stage["stage"]: stage for stage in stages.stages(cloud, pipeline)}
    definition = _definition(_config(cloud, found))
    undecided = models.on_record(cloud, found, [*serving.values()])
    declared = {each["stage"]: each for each in definition["stages"]} if definition else {}
    names = [*declared, *(name for name in serving if name not in declared)]
    return {
        "pipeline": pipeline,
        "stages": on_each(names, lambda name: _stage(cloud, pipeline, name, declared, serving)),
        "awaited": awaited.decisions(cloud, pipeline, [*serving.values()], undecided),
        "last_release": stages.last_release(cloud, pipeline, found.last_release),
        "history": history.history(cloud, pipeline, limit=PROMOTIONS),
        "now": cloud.now(),
    }


def _stage(
    cloud: Cloud, pipeline: str, name: str, declared: dict[str, Any], serving: dict[str, Any]
) -> dict[str, Any]:
    shown = {**declared.get(name, {"stage": name}), **serving.get(name, {"live": None, "releasing": None})}
    if not shown.get("endpoint_name"):
        return {**shown, "endpoint": None, "alarms": []}
    live = deploying.find_deployment(cloud, pipeline, name, shown["live"])
    return {
        **shown,
        "bake_until": live.bake_until if live else None,
        "endpoint": _endpoint(cloud.endpoints.describe_endpoint(shown["endpoint_name"])),
        "alarms": _alarms(cloud, pipeline, name, shown["endpoint_name"]),
    }


def _endpoint(described: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return an endpoint's status and how its traffic is divided between fleets, while it changes."""
    if described is None:
        return None
    pending = described.get("PendingDeploymentSummary") or {}
    return {
        "status": described["EndpointStatus"],
        "config": described.get("EndpointConfigName"),
        "pending_config": pending.get("EndpointConfigName"),
        "since": pending.get("StartTime"),
        "failure": described.get("FailureReason"),
        "variants": [_variant(each) for each in described.get("ProductionVariants") or ()],
        "pending": [_variant(each) for each in pending.get("ProductionVariants") or ()],
    }


def _variant(described: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": described["VariantName"],
        "weight": described.get("CurrentWeight"),
        "instances": described.get("CurrentInstanceCount"),
        "wanted": described.get("DesiredInstanceCount"),
    }


def _alarms(cloud: Cloud, pipeline: str, stage: str, endpoint_name: str) -> list[dict[str, Any]]:
    """Return a stage's alarms with their limits; of those that roll back what they judged lately too."""
    guarded = releasing.find_guarded(cloud, pipeline, stage, endpoint_name)
    names = (*guarded.alarm_names, *releasing.watch_alarm_names(guarded))
    found = cloud.alarms.describe(names)
    return on_each(
        [found[name] for name in names if name in found],
        lambda alarm: _alarm(cloud, alarm, rolls_back=alarm["AlarmName"] in guarded.alarm_names),
    )


def _alarm(cloud: Cloud, alarm: dict[str, Any], *, rolls_back: bool) -> dict[str, Any]:
    now = from_iso(cloud.now())
    judged = cloud.alarms.values(alarm, now - _JUDGED, now) if rolls_back else []
    return {
        "alarm": alarm["AlarmName"],
        "state": alarm["StateValue"],
        "limit": alarm.get("Threshold"),
        "reason": alarm.get("StateReason"),
        "rolls_back": rolls_back,
        "values": [{"at": to_iso(at), "value": value} for at, value in judged],
    }


def batches_page(cloud: Cloud, pipeline: str, after: str | None = None) -> dict[str, Any]:
    """Return what scores files in batches, what waits and what was scored; raises MissingError."""
    ahead.find_with_stages(cloud, pipeline)
    return batches.batches(cloud, pipeline, after=after)


def rollback_page(cloud: Cloud, pipeline: str, stage: str) -> dict[str, Any]:
    """Return what serves on a stage and what a rollback would bring back; raises MissingError."""
    ahead.find_with_stages(cloud, pipeline)
    staged = [each for each in releasing.find_stages(cloud, pipeline) if each.name == stage]
    ahead.read_history(cloud, staged, LOOKED_BACK)
    live = releasing.find_live(cloud, pipeline, stage)
    if live is None:
        raise MissingError(f"Nothing serves on {stage} of {pipeline}, so there is nothing to roll back.")
    options = RollbackOptions(deploying.find_history(cloud, live), live, cloud.now())
    good = next(iter(options.known_good()), None)
    return {
        "pipeline": pipeline,
        "stage": stage,
        "live": {"version": live.package_version, "release_id": live.release_id, "since": live.promoted_at},
        "back_to": {"version": good.package_version, "since": good.promoted_at} if good else None,
        "reasons": [] if good else list(options.reasons()),
    }


def monitoring_page(cloud: Cloud, pipeline: str, stage: str | None = None) -> dict[str, Any]:
    """Return a watched stage with its windows, by default the furthest, and which release served when."""
    ahead.find_with_stages(cloud, pipeline)
    watched = monitoring.watched_stages(cloud, pipeline)
    shown = stage or (watched[-1] if watched else None)
    if shown is not None and shown not in watched:
        raise MissingError(f"Nothing is watched on {shown} of {pipeline}.")
    staged = [each for each in releasing.find_stages(cloud, pipeline) if each.name == shown]
    ahead.read_history(cloud, staged, PROMOTIONS)
    return {
        "pipeline": pipeline,
        "stage": shown,
        "watched": watched,
        "stages": monitoring.monitoring(cloud, pipeline, shown, limit=WINDOWS) if shown else [],
        "history": history.history(cloud, pipeline, shown, limit=PROMOTIONS) if shown else [],
    }


def models_list(
    cloud: Cloud, pipeline: str, after: str | None, limit: int, status: str | None
) -> dict[str, Any]:
    """Return a page of a pipeline's models, newest first, of an approval status; raises MissingError."""
    wanted = status if status in get_args(ApprovalStatus) else None
    ahead.find_with_stages(cloud, pipeline)
    models.read_ahead(cloud, pipeline, after, limit, wanted)
    found = models.page(cloud, pipeline, after, limit, wanted)
    last = found[limit - 1]["arn"] if len(found) >= limit else None
    return {"pipeline": pipeline, "status": wanted, "models": found, "after": last}


def why_page(cloud: Cloud, pipeline: str, stage: str | None = None) -> dict[str, Any]:
    """Return why a version serves on a stage, by default on the furthest; raises MissingError."""
    ahead.find_with_stages(cloud, pipeline)
    names = [each["stage"] for each in stages.stages(cloud, pipeline)]
    if stage is None and not names:
        return {"pipeline": pipeline, "stage": None, "stages": [], "serves": None}
    live = [each["stage"] for each in stages.stages(cloud, pipeline) if each["live"]]
    wanted = stage or (live or names)[-1]
    ahead.read_story(cloud, pipeline, wanted)
    found = story.why(cloud, pipeline, wanted, is_glance=True)
    if found is None:
        raise MissingError(f"{pipeline} has no stage {wanted!r}.")
    return {**found, "stages": names}


def comparison_page(cloud: Cloud, run_ids: list[str]) -> dict[str, Any]:
    """Return what differs between runs; raises MissingError for one that there is not."""
    ahead.read_compared(cloud, run_ids)
    found = [building.find_run(cloud, run_id.rpartition("-")[0], run_id) for run_id in run_ids]
    missing = [run_id for run_id, run in zip(run_ids, found, strict=True) if run is None]
    if missing:
        raise MissingError(f"There is no run {missing[0]!r}.")
    return comparison.compare(cloud, [run for run in found if run])


def models_page(cloud: Cloud, names: list[str]) -> dict[str, Any]:
    """Return what differs between models, which is what differs between their runs; raises MissingError."""
    run_ids = [_run_of(cloud, name) for name in names]
    return {**comparison_page(cloud, run_ids), "models": names}


def _run_of(cloud: Cloud, name: str) -> str:
    found = model_pages.find(cloud, name)
    if found["run_id"] is None:
        raise MissingError(f"Nobody knows which run trained {name}, so there is nothing to compare.")
    return str(found["run_id"])
