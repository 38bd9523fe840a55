"""RegisterModel task: register the candidate with the manifest of its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import builds, releases
from sluice.catalog.records.builds import Step
from sluice.catalog.records.releases import PENDING, Package
from sluice.domain.build import run_manifest
from sluice.domain.build.errors import BuildError
from sluice.domain.config import PipelineConfig
from sluice.domain.release import approvals, automatic, packages, serving
from sluice.domain.release.approvals import Provenance
from sluice.events import RegisterModelTask, event_parser
from sluice.observability import logger
from sluice.ports import Cloud
from sluice.services import announcing, building
from sluice.services.build import manifesting
from sluice.services.building import Begun
from sluice.services.data import recalling
from sluice.services.side_by_side import together
from sluice.services.timeline import noting
from sluice.tasks import machine_task


class PackageGoneError(BuildError):
    """The package was deleted while it was being registered."""


class ReproductionError(BuildError):
    """The run repeats another, to be compared with it: it registers nothing."""


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=RegisterModelTask)
def lambda_handler(task: RegisterModelTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    logger.append_keys(run_id=task.run_id)
    begun, recorded, recalls = together(
        partial(building.find_begun, cloud, task, keys.dataset_key(task.pipeline, task.dataset_version)),
        partial(_steps, cloud, task.run_id),
        partial(recalling.find, cloud, task.pipeline),
    )
    if begun.run.reproduces:
        raise ReproductionError(f"{task.run_id} reproduces {begun.run.reproduces}: it registers nothing")
    config = begun.config()
    (document, sha256), _ = together(
        partial(manifesting.write, cloud, task, begun, config, recorded),
        # A clean-up of the registry may have deleted the group.
        partial(building.ensure_group, cloud, config),
    )
    manifest_uri = building.locations(cloud, task.pipeline).run_manifest(task.run_id)
    needs_person = _needs_person(cloud, task, config, document)
    request = run_manifest.package_request(
        config,
        document,
        stack=cloud.stack_name,
        manifest_uri=manifest_uri,
        manifest_sha256=sha256,
        may_approve=needs_person is None,
    )
    arn = cloud.registry.create_package(request)
    package = cloud.registry.describe_package(arn)
    if package is None:
        raise PackageGoneError(arn)
    registered = {
        "model_package_arn": arn,
        "package_version": package["ModelPackageVersion"],
        "manifest_uri": manifest_uri,
        "manifest_sha256": sha256,
    }
    status = package["ModelApprovalStatus"]
    needs_person = automatic.as_registered(config.register_.approval, status, needs_person)
    # The time of the first attempt.
    _record(cloud, task, begun, package, registered, document["created_at"], needs_person)
    # Last: another attempt must see why the version waits.
    recalling.note_rebuilt(cloud, recalls, task.pipeline, task.run_id, begun.run.started_at, arn)
    return registered


def _needs_person(
    cloud: Cloud, task: RegisterModelTask, config: PipelineConfig, document: Mapping[str, Any]
) -> str | None:
    """Return why a person decides about the version, although the project's approval is automatic."""
    if config.register_.approval != "automatic":
        return None
    recalled = [each.key for each in recalling.open_recalls(cloud, task.pipeline)]
    return automatic.needs_person(document["gates"], recalled, is_allowed=cloud.allows_automatic_approval)


def _steps(cloud: Cloud, run_id: str) -> list[dict[str, Any]]:
    """Return the run's recorded steps without the table's own attributes."""
    items = cloud.catalog.query(keys.steps_partition(run_id), keys.STEPS)
    return [{"step": keys.step_of(item), **keys.without_key(item)} for item in items]


def _record(
    cloud: Cloud,
    task: RegisterModelTask,
    begun: Begun,
    package: Mapping[str, Any],
    registered: dict[str, Any],
    now: str,
    needs_person: str | None,
) -> None:
    arn, uri = registered["model_package_arn"], registered["manifest_uri"]
    digest = serving.container(package).get("ImageDigest")
    status = package["ModelApprovalStatus"]
    name = packages.version_name(
        cloud.stack_name, task.pipeline, package["ModelPackageGroupName"], registered["package_version"]
    )
    because = f"; {needs_person}" if needs_person else ""
    step = Step(
        run_id=task.run_id,
        step="register",
        status="Completed",
        kind="model_package",
        started_at=now,
        ended_at=now,
        detail=registered,
    )
    together(
        partial(_record_package, cloud, task, arn, package, now, needs_person),
        partial(
            building.apply_each,
            cloud,
            builds.register_model(task.pipeline, task.run_id, arn, uri, digest),
            builds.note_package(task.pipeline, arn),
            builds.record_step(step),
            noting(task.pipeline, now, task.run_id, "model registered", f"{name}, {status}{because}"),
        ),
    )
    # A push that waives the comparison with the champion does so for one model, which is this one.
    if begun.project.replaces_champion_at:
        cloud.catalog.apply(builds.use_up_replacement(task.pipeline, task.project_version, task.run_id))
    if status == PENDING:
        why = f"{task.run_id} registered it: its gates passed{because}"
        announcing.approval_awaited(cloud, task.pipeline, name, arn, now, run_id=task.run_id, reason=why)


def _record_package(
    cloud: Cloud,
    task: RegisterModelTask,
    arn: str,
    package: Mapping[str, Any],
    now: str,
    needs_person: str | None,
) -> None:
    """Write the package's item, unless the approval already wrote it.

    A group that was deleted and made again numbers its versions from 1 again: decisions about a former
    version with this ARN do not count for this one.
    """
    registered = replace(
        approvals.undecided(arn, package, Provenance.of(package)), created_at=now, needs_person=needs_person
    )
    if cloud.catalog.apply(releases.see_package(registered)):
        return
    item = cloud.catalog.get(keys.package_key(arn))
    if item and (former := Package.of(item)).run_id != task.run_id:
        cloud.catalog.apply(releases.register_again(former, registered))
    elif needs_person:
        cloud.catalog.apply(releases.need_person(arn, task.run_id, needs_person))
