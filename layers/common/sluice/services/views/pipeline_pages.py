"""Show all of a pipeline together: its definition, what it does now, its data and its releases."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline, Project
from sluice.domain import config
from sluice.domain.build import candidates
from sluice.domain.config import PipelineConfig
from sluice.domain.failures import MissingError
from sluice.domain.release.releases import RollbackOptions
from sluice.domain.times import from_iso, to_iso
from sluice.ports import Cloud, Item
from sluice.services import building, deploying, releasing
from sluice.services.arrivals import on_each
from sluice.services.views import (
    comparison,
    data,
    history,
    lineage,
    models,
    monitoring,
    pipelines,
    runs,
    stages,
    story,
    uploads,
)
from sluice.services.views.overview import read_ahead

RUNS, VERSIONS, ARRIVALS, PROMOTIONS, WINDOWS = 15, 12, 50, 12, 60
# So long ago are values of alarms shown.
_JUDGED = timedelta(hours=1)


def find(cloud: Cloud, pipeline: str) -> Item:
    """Return a pipeline's item; raises MissingError."""
    item = cloud.catalog.get(keys.pipeline_key(pipeline))
    if item is None:
        raise MissingError(f"There is no pipeline {pipeline!r}.")
    return item


def overview(cloud: Cloud, pipeline: str) -> dict[str, Any]:
    """Return a pipeline's status, its definition in short, and its newest runs."""
    item = _find_with_stages(cloud, pipeline)
    return {
        **pipelines.status(cloud, pipeline),
        "definition": _definition(_config(cloud, pipeline, item)),
        "runs": runs.newest(cloud, Pipeline.of(item), RUNS),
    }


def _find_with_stages(cloud: Cloud, pipeline: str) -> Item:
    """Return a pipeline's item, after what its views ask for one by one was read by two requests."""
    item = find(cloud, pipeline)
    read_ahead(cloud, [Pipeline.of(item)], {pipeline: releasing.find_stages(cloud, pipeline)})
    return item


def _config(cloud: Cloud, pipeline: str, item: Item) -> PipelineConfig | None:
    found = cloud.catalog.get(keys.project_key(pipeline, item["project_version"]))
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
    """Return data set versions with their drift, what arrived, what is set aside, and what waits."""
    find(cloud, pipeline)
    waits = data.what_waits(cloud, pipeline)
    versions = data.dataset_versions(cloud, pipeline, limit=VERSIONS)
    arrived = uploads.page(cloud, pipeline, after, ARRIVALS)
    aside = uploads.quarantined(cloud, pipeline, limit=ARRIVALS)
    return {
        "pipeline": pipeline,
        "versions": versions,
        "drift": [each for each in on_each(versions, lambda item: _drift(cloud, item)) if each],
        "arrivals": [uploads.shown(each) for each in arrived.items],
        "after": arrived.after,
        "quarantined": [uploads.shown(each) for each in aside.items],
        "more_quarantined": aside.after is not None,
        **waits,
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
    find(cloud, pipeline)
    found = data.versions_beginning(cloud, pipeline, digits)
    if len(found) != 1:
        raise MissingError(
            f"{pipeline} has {len(found) or 'no'} data set versions that begin with {digits!r}."
        )
    return {**found[0], **lineage.dataset(cloud, pipeline, found[0]["dataset_version"])}


def report_html(cloud: Cloud, pipeline: str, digits: str) -> bytes:
    """Return the page of a version's data report; raises MissingError."""
    for version in data.versions_beginning(cloud, pipeline, digits)[:1]:
        uri = f"{version['manifest_uri'].rpartition('/')[0]}/report.html"
        try:
            return cloud.objects.read(uri)
        except FileNotFoundError:
            break
    raise MissingError(f"The data set {digits[:12]} has no report.")


def release_page(cloud: Cloud, pipeline: str) -> dict[str, Any]:
    """Return a pipeline's stages in order, with traffic and alarms as they are, and what served when."""
    item = _find_with_stages(cloud, pipeline)
    serving = {stage["stage"]: stage for stage in stages.stages(cloud, pipeline)}
    definition = _definition(_config(cloud, pipeline, item))
    declared = {each["stage"]: each for each in definition["stages"]} if definition else {}
    names = [*declared, *(name for name in serving if name not in declared)]
    return {
        "pipeline": pipeline,
        "stages": on_each(names, lambda name: _stage(cloud, pipeline, name, declared, serving)),
        "awaited": pipelines.awaited_decisions(cloud, pipeline),
        "last_release": stages.last_release(cloud, pipeline, item.get("last_release")),
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


def rollback_page(cloud: Cloud, pipeline: str, stage: str) -> dict[str, Any]:
    """Return what serves on a stage and what a rollback would bring back; raises MissingError."""
    find(cloud, pipeline)
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


def monitoring_page(cloud: Cloud, pipeline: str) -> dict[str, Any]:
    """Return the watched stages with their windows, and which release served when."""
    find(cloud, pipeline)
    return {
        "pipeline": pipeline,
        "stages": monitoring.monitoring(cloud, pipeline, limit=WINDOWS),
        "history": history.history(cloud, pipeline, limit=PROMOTIONS),
    }


def why_page(cloud: Cloud, pipeline: str, stage: str | None = None) -> dict[str, Any]:
    """Return why a version serves on a stage, by default on the furthest; raises MissingError."""
    find(cloud, pipeline)
    names = [each["stage"] for each in stages.stages(cloud, pipeline)]
    if stage is None and not names:
        return {"pipeline": pipeline, "stage": None, "stages": [], "serves": None}
    live = [each["stage"] for each in stages.stages(cloud, pipeline) if each["live"]]
    wanted = stage or (live or names)[-1]
    found = story.why(cloud, pipeline, wanted)
    if found is None:
        raise MissingError(f"{pipeline} has no stage {wanted!r}.")
    return {**found, "stages": names}


def comparison_page(cloud: Cloud, run_ids: list[str]) -> dict[str, Any]:
    """Return what differs between runs; raises MissingError for one that there is not."""
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
    found = models.named(cloud, name)
    if not found:
        raise MissingError(f"There is no model {name!r}.")
    if found[0]["run_id"] is None:
        raise MissingError(f"Nobody knows which run trained {name}, so there is nothing to compare.")
    return str(found[0]["run_id"])
