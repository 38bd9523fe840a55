"""What the registry, the catalog and the stages say of a version that a person decides about."""

from __future__ import annotations

from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Project
from sluice.catalog.records.releases import Package
from sluice.domain import config
from sluice.domain.release import holds, releases
from sluice.domain.release.holds import Hold
from sluice.services import building
from sluice.services.release import deploying, releasing
from sluice.services.views import stages
from sluice_cli.errors import CommandError, unknown
from sluice_cli.target import Target

APPROVED, REJECTED = "Approved", "Rejected"


def own_package(target: Target, arn: str) -> Package:
    """Return the catalog's item of a version that a run of this stack registered."""
    found = find_package(target, arn)
    if found is None or found.pipeline is None:
        raise CommandError(f"{arn} was not registered by this stack, so nothing will be released")
    return found


def find_package(target: Target, arn: str) -> Package | None:
    item = target.catalog.get(keys.package_key(arn))
    return Package.of(item) if item else None


def status(target: Target, arn: str) -> str:
    described = target.call("sagemaker", "describe_model_package", ModelPackageName=arn)
    return str(described["ModelApprovalStatus"])


def check_stage(target: Target, package: Package, stage: str) -> None:
    """Raise CommandError, which lists them, if the project that trained a version has no such stage."""
    run = building.find_run(target.cloud, str(package.pipeline), str(package.run_id))
    listed = [each.name for each in building.config_of(target.cloud, run).release.stages] if run else [stage]
    if stage not in listed:
        problem = f"the project of {package.pipeline} v{package.version} has no stage {stage!r}"
        raise unknown(problem, stage, listed, f"Stages: {', '.join(listed)}.")


def wanted(target: Target, package: Package) -> list[str]:
    """Return the stages that an approval of the version releases to, by the project that trained it."""
    pipeline = str(package.pipeline)
    run = building.find_run(target.cloud, pipeline, str(package.run_id))
    version = run.project_version if run else None
    project = target.catalog.get(keys.project_key(pipeline, version)) if version else None
    if project is None:
        return []
    listed = releases.planned_stages(config.restore(Project.of(project).config).release, None)
    return [stage.name for stage in listed]


def serving(target: Target, package: Package) -> list[dict[str, Any]]:
    """Return the stages where the catalog calls the version live and an endpoint exists, if one should."""
    rows = stages.stages(target.cloud, package.pipeline) if package.pipeline else []
    return [
        row
        for row in rows
        if row["live_package_arn"] == package.arn
        and row["run_id"] in (None, package.run_id)
        and (row["is_batch"] or stages.endpoint_status(target.cloud, row["endpoint_name"]) != "missing")
    ]


def settled(target: Target, package: Package) -> list[dict[str, Any]]:
    """Return the stages where a version is live, and where a release of it would change nothing."""
    rows = serving(target, package)
    # What is being released there would replace it.
    return [row for row in rows if not (is_held(row) or row["deviation"] or row["releasing"])]


def coming(target: Target, package: Package) -> dict[str, str]:
    """Return the release that is bringing a version to a stage, by the stage."""
    found = releasing.find_stages(target.cloud, package.pipeline) if package.pipeline else []
    trying = [
        deploying.find_deployment(target.cloud, stage.pipeline, stage.name, stage.releasing)
        for stage in found
    ]
    return {
        each.stage: each.release_id for each in trying if each and each.is_of(package.arn, package.run_id)
    }


def is_held(row: dict[str, Any]) -> bool:
    """Tell whether an automatic rollback put back what serves on a stage, and nobody released it since."""
    return row["hold"] is not None and row["hold"]["why"] == "held"


def refusal(row: dict[str, Any]) -> str | None:
    """Say why a release to a stage would be refused, if what serves there is pinned."""
    is_pinned = row["hold"] is not None and row["hold"]["why"] == "pinned"
    return holds.refusal(row["stage"], Hold(**row["hold"])) if is_pinned else None
