"""Show what waits for a person, why, and what to know before deciding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.recalls import Recall
from sluice.catalog.records.releases import PENDING, Package
from sluice.domain import config, failures
from sluice.domain.release import awaited, releases
from sluice.ports import Cloud
from sluice.services.release import approving, deploying, releasing
from sluice.services.side_by_side import on_each
from sluice.services.views import models, overtaken, recalls, stages


def decisions(
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
    release = releasing.find_release(cloud, pipeline, releases.id_of_approval(package)) if pipeline else None
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


def with_remarks(
    cloud: Cloud, pipeline: str, found: Sequence[dict[str, Any]], recalled: Sequence[Recall]
) -> list[dict[str, Any]]:
    """Add to versions among the decisions what overtook them, and which of the pipeline's recalls they hold.

    It reads the data of each that began to be trained before such a recall was done.
    """
    return on_each(found, partial(_remarked, cloud, pipeline, recalled))


def _remarked(
    cloud: Cloud, pipeline: str, recalled: Sequence[Recall], decision: dict[str, Any]
) -> dict[str, Any]:
    package = _version(cloud, decision)
    if package is None:
        return decision
    remarks = {
        "overtaken": overtaken.said(cloud, package),
        "recalled": recalls.recalled_in(cloud, pipeline, package.run_id, recalled),
    }
    return {**decision, **{name: remark for name, remark in remarks.items() if remark}}


def at_a_glance(
    cloud: Cloud, pipeline: str, found: Sequence[dict[str, Any]], recalled: Sequence[Recall]
) -> list[dict[str, Any]]:
    """Add to versions among the decisions what was recalled since their runs began; reads no data."""
    return on_each(found, partial(_dated, cloud, pipeline, recalled))


def _dated(
    cloud: Cloud, pipeline: str, recalled: Sequence[Recall], decision: dict[str, Any]
) -> dict[str, Any]:
    package = _version(cloud, decision)
    since = recalls.recalled_since(cloud, pipeline, package.run_id, recalled) if package else []
    return {**decision, "recalled_since": since} if since else decision


def _version(cloud: Cloud, decision: dict[str, Any]) -> Package | None:
    """Return the version that waits to be approved; None where a stage waits for one."""
    item = cloud.catalog.get(keys.package_key(decision["arn"])) if decision["what"] == "approval" else None
    return Package.of(item) if item else None
