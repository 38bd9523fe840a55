"""PlanRelease task: take the stages' locks, verify the evidence, and say what goes where."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.domain import names
from sluice.domain.release import approvals, releases
from sluice.domain.release.releases import Deployment, ReleaseRefusedError, Request, StagePlan
from sluice.events import PlanReleaseTask
from sluice.observability import logger
from sluice.ports import Cloud, Item
from sluice.services import releasing, vouching
from sluice.services.releasing import Package
from sluice.services.timeline import note
from sluice.tasks import machine_task


@logger.inject_lambda_context(clear_state=True)
@machine_task
@event_parser(model=PlanReleaseTask)
def lambda_handler(event: PlanReleaseTask, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    request = event.release
    logger.append_keys(release_id=request.release_id)
    _record(cloud, request, event.execution_arn)
    package, stages = _plan_rollback(cloud, request) if request.is_rollback else _plan_forward(cloud, request)
    plans = [_plan(cloud, request, package, stage, bake_s) for stage, bake_s in stages]
    changes = {
        "package_arn": package.arn,
        "package_version": package.version,
        "stages": [plan.stage for plan in plans],
    }
    cloud.catalog.update(keys.release_key(request.pipeline, request.release_id), changes)
    return {
        "package_arn": package.arn,
        "package_version": package.version,
        "is_rollback": request.is_rollback,
        "stages": [plan.model_dump() for plan in plans],
    }


def _record(cloud: Cloud, request: Request, execution_arn: str) -> None:
    catalog, key = cloud.catalog, keys.release_key(request.pipeline, request.release_id)
    if catalog.get(keys.pipeline_key(request.pipeline)) is None:
        raise ReleaseRefusedError(f"there is no pipeline {request.pipeline}")
    item = {
        **key,
        "cause": request.cause,
        "status": "running",
        "actor": vouching.actor(cloud, request),
        "execution_arn": execution_arn,
        "started_at": cloud.now(),
    }
    is_new = catalog.create(item)
    if not is_new and (catalog.get(key) or {}).get("status") != "running":
        # Nobody would give back what it took now.
        raise ReleaseRefusedError(f"{request.release_id} has ended")
    if is_new:
        what = "rollback started" if request.is_rollback else "release started"
        at, actor, reason = item["started_at"], item["actor"], request.reason
        note(cloud, request.pipeline, at, request.release_id, what, reason, actor)


def _plan_forward(cloud: Cloud, request: Request) -> tuple[Package, list[tuple[str, int]]]:
    """The package that was asked for, to every stage that does not serve it yet."""
    package = releasing.find_package(cloud, request.pipeline, str(request.package_arn))
    stages = releases.planned_stages(package.config.release, request.stages)
    positions = {stage.name: index for index, stage in enumerate(package.config.release.stages)}
    wanted = {stage.name: positions[stage.name] for stage in stages}
    releasing.lock_stages(cloud, request.pipeline, request.release_id, wanted)
    if reasons := _objections(cloud, package) + releasing.evidence_faults(cloud, package):
        raise ReleaseRefusedError(*reasons)
    if request.cause == "approval" and (reasons := _overtaken(cloud, request, package, list(wanted))):
        raise ReleaseRefusedError(*reasons)
    planned = [
        (each.name, each.traffic.bake_s) for each in stages if not _serves(cloud, request, each.name, package)
    ]
    if not planned:
        served = ", ".join(stage.name for stage in stages)
        raise ReleaseRefusedError(f"v{package.version} is already live on {served}")
    if request.stages is None:
        _note_held_back(cloud, request, package, [stage.name for stage in stages])
    return package, planned


def _note_held_back(cloud: Cloud, request: Request, package: Package, released: list[str]) -> None:
    """Say which stage waits for a person."""
    gated = [stage.name for stage in package.config.release.stages if stage.name not in released]
    if gated:
        detail = f"{gated[0]} asks for a person: start a release of v{package.version} that names the stage"
        at = releasing.started_at(cloud, request.pipeline, request.release_id)
        note(cloud, request.pipeline, at, request.release_id, "held back", detail)


def _plan_rollback(cloud: Cloud, request: Request) -> tuple[Package, list[tuple[str, int]]]:
    """The stage's last known good whose evidence still holds."""
    stage = str(request.stage)
    if cloud.catalog.get(keys.stage_key(request.pipeline, stage)) is None:
        raise ReleaseRefusedError(f"nothing was ever released to a stage {stage} of {request.pipeline}")
    releasing.lock_stages(cloud, request.pipeline, request.release_id, {stage: None})
    live = _live(cloud, request.pipeline, stage)
    if live is None:
        raise ReleaseRefusedError(f"no release is live on {stage}, so there is none to take back")
    if request.rolls_back not in (None, live.release_id):
        raise ReleaseRefusedError(f"{stage} no longer serves {request.rolls_back}, but {live.release_id}")
    options = releases.rollback_options(
        releasing.find_history(cloud, request.pipeline, stage), live, cloud.now()
    )
    package = _first_sound(cloud, request.pipeline, live, options)
    bake_s = {each.name: each.traffic.bake_s for each in package.config.release.stages}
    return package, [(stage, bake_s.get(stage, 0))]


def _first_sound(cloud: Cloud, pipeline: str, live: Deployment, options: releases.RollbackOptions) -> Package:
    """Nothing is expected of a known good's approval but that nobody rejected it since."""
    reasons = list(options.reasons)
    for deployment in options.known_good:
        try:
            package = releasing.find_package(cloud, pipeline, deployment.package_arn, deployment.run_id)
        except ReleaseRefusedError as refusal:
            reasons += refusal.reasons
            continue
        if package.described.get("ModelApprovalStatus") == "Rejected":
            reasons.append(f"v{package.version} was rejected")
        elif faults := releasing.evidence_faults(cloud, package):
            reasons += [f"v{package.version}: {fault}" for fault in faults]
        else:
            return package
    raise ReleaseRefusedError(releases.no_known_good(live, reasons))


def _live(cloud: Cloud, pipeline: str, stage: str) -> Deployment | None:
    item = cloud.catalog.get(keys.stage_key(pipeline, stage)) or {}
    return releasing.find_deployment(cloud, pipeline, stage, item.get("live"))


def _serves(cloud: Cloud, request: Request, stage: str, package: Package) -> bool:
    """Whether the package is live there, by the catalog and by the endpoint itself."""
    live = _live(cloud, request.pipeline, stage)
    if live is None or not live.is_of(package.arn, package.provenance.run_id):
        return False
    endpoint = cloud.endpoints.describe_endpoint(releasing.find_endpoint_name(cloud, request.pipeline, stage))
    return endpoint is not None and endpoint.get("EndpointConfigName") == live.endpoint_config_name


def _objections(cloud: Cloud, package: Package) -> list[str]:
    status = package.described.get("ModelApprovalStatus", approvals.PENDING)
    return approvals.objections(status, _newest_approval(cloud, package.arn), package.provenance, cloud.now())


def _newest_approval(cloud: Cloud, arn: str) -> Item | None:
    newest = cloud.catalog.query(f"PACKAGE#{arn}", "APPROVAL#", newest_first=True, limit=1)
    return next(iter(newest), None)


def _overtaken(cloud: Cloud, request: Request, package: Package, stages: list[str]) -> list[str]:
    """Releases wait for a stage in no order: the version that was approved last is to stay."""
    ours = _newest_approval(cloud, package.arn) or {}
    reasons = []
    for stage in stages:
        live = _live(cloud, request.pipeline, stage)
        if live is None or live.is_of(package.arn, package.provenance.run_id):
            continue
        theirs = _newest_approval(cloud, live.package_arn) or {}
        if theirs.get("status") == "Approved" and theirs["decided_at"] > ours.get("decided_at", ""):
            reasons.append(f"{stage} serves v{live.package_version}, which was approved later")
    return reasons


def _plan(cloud: Cloud, request: Request, package: Package, stage: str, bake_s: int) -> StagePlan:
    stack, endpoint_name = cloud.stack_name, releasing.find_endpoint_name(cloud, request.pipeline, stage)
    endpoint = releasing.find_own_endpoint(cloud, request.pipeline, stage, endpoint_name) or {}
    own_config = names.endpoint_config_name(stack, request.release_id, stage)
    previous = endpoint.get("EndpointConfigName")
    plan = StagePlan(
        stage=stage,
        endpoint_name=endpoint_name,
        model_name=names.model_name(stack, request.release_id),
        endpoint_config_name=own_config,
        previous_config_name=previous if previous != own_config else None,
        bake_s=bake_s,
    )
    item = {
        **keys.deployment_key(request.pipeline, stage, request.release_id),
        "package_arn": package.arn,
        "package_version": package.version,
        "run_id": package.provenance.run_id,
        "model_name": plan.model_name,
        "endpoint_config_name": plan.endpoint_config_name,
        "status": "deploying",
    }
    cloud.catalog.create(item)
    return plan
