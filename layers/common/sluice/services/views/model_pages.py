"""Show all of a model together: what it was made of, how it was judged, who decided, and what waits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline
from sluice.catalog.records.releases import Package
from sluice.domain import names
from sluice.domain.build import champions
from sluice.domain.failures import MissingError
from sluice.ports import Cloud
from sluice.services import building
from sluice.services.release import approving
from sluice.services.views import ahead, awaited, gates, lineage, models, overtaken, recalls, stages


def page(cloud: Cloud, name: str) -> dict[str, Any]:
    """Return what is known of a version that commands would take by this name; raises MissingError."""
    row = find(cloud, name)
    ahead.read_package(cloud, row["arn"])
    item = cloud.catalog.get(keys.package_key(row["arn"]))
    package = Package.of(item) if item else Package(row["arn"])
    made, problem = _made(cloud, row["arn"])
    pipeline = package.pipeline or name.partition("/")[0]
    quorum = approving.find_quorum(cloud, package)
    serving = stages.stages(cloud, pipeline)
    known = cloud.catalog.get(keys.pipeline_key(pipeline))
    undecided = models.on_record(cloud, Pipeline.of(known), serving) if known else None
    return {
        "model": name,
        "pipeline": pipeline,
        "arn": row["arn"],
        "approval_status": row["approval_status"],
        "created_at": row["created_at"],
        "run_id": package.run_id,
        "made": made,
        "problem": problem,
        "signed": {"manifest_sha256": package.manifest_sha256, "model_sha256": package.model_sha256},
        "overtaken": overtaken.said(cloud, package),
        "recalled": []
        if row["approval_status"] == "Rejected"
        else recalls.recalled_in(cloud, pipeline, package.run_id),
        "decisions": [keys.shown(each.item()) for each in approving.find_decisions(cloud, row["arn"])],
        "quorum": asdict(quorum) | {"missing": quorum.missing} if quorum else None,
        "awaited": [
            each
            for each in awaited.decisions(cloud, pipeline, serving, undecided)
            if each["arn"] == row["arn"]
        ],
        "live_on": [stage["stage"] for stage in serving if models.is_live(row, stage)],
        "measured": _measured(cloud, package.run_id),
        "gates": gates.document(cloud, pipeline, package.run_id) if package.run_id else None,
    }


def find(cloud: Cloud, name: str) -> dict[str, Any]:
    """Return the version of a name, first by the pipeline that it begins with; raises MissingError."""
    found = None
    try:
        pipeline = ahead.find_with_stages(cloud, name.partition("/")[0])
        found = models.of_pipeline(cloud, pipeline, name)
    except MissingError:
        found = next(iter(models.named(cloud, name) or ()), None)
    if found is None:
        raise MissingError(f"There is no model {name!r}.")
    return found


def _made(cloud: Cloud, arn: str) -> tuple[dict[str, Any] | None, str | None]:
    try:
        return lineage.model(cloud, arn), None
    except MissingError as error:
        return None, str(error)


def _measured(cloud: Cloud, run_id: str | None) -> dict[str, Any]:
    """Return what the evaluations of the candidate and of the champion measured, on the same hold-out."""
    steps = {step.step: step for step in building.find_steps(cloud, run_id)} if run_id else {}

    def metrics(*roles: str) -> dict[str, Any] | None:
        evaluated = (steps.get(names.evaluate_step(role)) for role in roles)
        return next((dict(each.metrics) for each in evaluated if each and each.metrics), None)

    return {
        "candidate": metrics("candidate"),
        "champion": metrics(champions.ROLE, champions.OWN_ROLE),
    }
