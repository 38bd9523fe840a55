"""PlanRelease task: take the stages' locks, verify the evidence, and decide what goes where."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

import sluice.domain.config  # noqa: F401 - each event needs it, and it loads faster before the first one
from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import PENDING, Deployment, Stage
from sluice.domain import names
from sluice.domain.release import approvals, holds, releases, serving
from sluice.domain.release.errors import ReleaseRefusedError
from sluice.domain.release.releases import Request, RollbackOptions, ShadowPlan, StagePlan
from sluice.events import event_parser
from sluice.observability import logger
from sluice.ports import Cloud, Item
from sluice.release_events import PlanReleaseTask
from sluice.services.release import (
    approving,
    claiming,
    deploying,
    holding,
    model_packages,
    releasing,
    scaling,
    vouching,
)
from sluice.services.release.model_packages import Package
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
    planned = [plan.stage for plan in plans]
    cloud.catalog.apply(
        *changes.plan_release(request.pipeline, request.release_id, package.arn, package.version, planned)
    )
    return {
        "package_arn": package.arn,
        "package_version": package.version,
        "is_rollback": request.is_rollback,
        "stages": [asdict(plan) for plan in plans],
    }


def _record(cloud: Cloud, request: Request, execution_arn: str) -> None:
    if cloud.catalog.get(keys.pipeline_key(request.pipeline)) is None:
        raise ReleaseRefusedError(f"there is no pipeline {request.pipeline}")
    release, is_new = vouching.begin(cloud, request, execution_arn)
    if is_new:
        what = "rollback started" if request.is_rollback else "release started"
        note(
            cloud,
            request.pipeline,
            release.started_at,
            request.release_id,
            what,
            request.reason,
            release.actor,
        )
        return
    known = releasing.find_release(cloud, request.pipeline, request.release_id)
    if known is None or known.status != "running":
        # Nobody would release the locks that it took now.
        raise ReleaseRefusedError(f"{request.release_id} has ended")


def _plan_forward(cloud: Cloud, request: Request) -> tuple[Package, list[tuple[str, int]]]:
    """Plan the requested package for every stage that does not serve it yet."""
    package = model_packages.find_package(cloud, request.pipeline, str(request.package_arn))
    stages = releases.planned_stages(package.config.release, request.stages)
    positions = {stage.name: index for index, stage in enumerate(package.config.release.stages)}
    wanted = {stage.name: positions[stage.name] for stage in stages}
    claiming.lock_stages(cloud, request.pipeline, request.release_id, wanted)
    stages, pinned = holding.before_a_pin(cloud, request, stages)
    wanted = {stage.name: positions[stage.name] for stage in stages}
    if reasons := _objections(cloud, package) + model_packages.evidence_faults(cloud, package):
        raise ReleaseRefusedError(*reasons)
    if reasons := _kind_faults(cloud, request, package, list(wanted)):
        raise ReleaseRefusedError(*reasons)
    if reasons := holding.objections(cloud, request, package, list(wanted)):
        raise ReleaseRefusedError(*reasons)
    if request.cause == "approval" and (reasons := _overtaken(cloud, request, package, list(wanted))):
        raise ReleaseRefusedError(*reasons)
    planned = [
        (each.name, each.traffic.bake_s) for each in stages if not _serves(cloud, request, each.name, package)
    ]
    if pinned and not planned:
        raise ReleaseRefusedError(pinned)
    if not planned:
        served = ", ".join(stage.name for stage in stages)
        raise ReleaseRefusedError(f"v{package.version} is already live on {served}")
    if request.stages is None:
        _note_held_back(cloud, request, package, [stage.name for stage in stages], pinned)
    return package, planned


def _note_held_back(
    cloud: Cloud, request: Request, package: Package, released: list[str], pinned: str | None
) -> None:
    """Note which stage waits for a person."""
    gated = [stage.name for stage in package.config.release.stages if stage.name not in released]
    if gated:
        asks = f"{gated[0]} asks for a person: start a release of v{package.version} that names the stage"
        detail = pinned or asks
        at = releasing.started_at(cloud, request.pipeline, request.release_id)
        note(cloud, request.pipeline, at, request.release_id, "held back", detail)
        cloud.catalog.apply(changes.hold_back(request.pipeline, request.release_id, gated[0]))


def _plan_rollback(cloud: Cloud, request: Request) -> tuple[Package, list[tuple[str, int]]]:
    """Plan the stage's last known good whose evidence still holds."""
    stage = str(request.stage)
    found = releasing.find_stage(cloud, request.pipeline, stage)
    if found is None:
        raise ReleaseRefusedError(f"nothing was ever released to a stage {stage} of {request.pipeline}")
    claiming.lock_stages(cloud, request.pipeline, request.release_id, {stage: None})
    found = releasing.find_stage(cloud, request.pipeline, stage) or found
    live = deploying.find_deployment(cloud, request.pipeline, stage, found.live)
    if live is None:
        raise ReleaseRefusedError(f"no release is live on {stage}, so there is none to take back")
    if request.rolls_back not in (None, live.release_id):
        raise ReleaseRefusedError(f"{stage} no longer serves {request.rolls_back}, but {live.release_id}")
    hold = holds.of_pin(found, live) if request.cause == "alarm" else None
    if hold:
        raise ReleaseRefusedError(holds.refusal(stage, hold))
    package = _first_sound(cloud, live, found.endpoint_name)
    bake_s = {each.name: each.traffic.bake_s for each in package.config.release.stages}
    return package, [(stage, bake_s.get(stage, 0))]


def _first_sound(cloud: Cloud, live: Deployment, endpoint_name: str) -> Package:
    """Return the first known good with sound evidence; its approval counts unless it was rejected since."""
    options = RollbackOptions(deploying.find_history(cloud, live), live, cloud.now())
    reasons = list[str]()
    for deployment in options.known_good():
        try:
            package = model_packages.find_package(
                cloud, live.pipeline, deployment.package_arn, deployment.run_id
            )
        except ReleaseRefusedError as refusal:
            reasons += refusal.reasons
            continue
        if package.described.get("ModelApprovalStatus") == "Rejected":
            reasons.append(f"v{package.version} was rejected")
        elif faults := model_packages.evidence_faults(cloud, package):
            reasons += [f"v{package.version}: {fault}" for fault in faults]
        elif fault := _kind_fault(cloud, live.stage, endpoint_name, package):
            reasons.append(f"v{package.version}: {fault}")
        else:
            return package
    raise ReleaseRefusedError(releases.no_known_good(live, [*options.reasons(), *reasons]))


def _serves(cloud: Cloud, request: Request, stage: str, package: Package) -> bool:
    """Tell whether the package is live there, by the catalog and by the endpoint itself."""
    found = releasing.find_stage(cloud, request.pipeline, stage)
    if found is None or found.deviates:
        return False
    live = deploying.find_deployment(cloud, request.pipeline, stage, found.live)
    if live is None or not live.is_of(package.arn, package.provenance.run_id):
        return False
    if holding.find_hold(cloud, found, live):
        # A person releases it once more, which ends the hold.
        return False
    if live.is_batch:
        return cloud.endpoints.describe_model(live.model_name) is not None
    endpoint = cloud.endpoints.describe_endpoint(releasing.find_endpoint_name(cloud, request.pipeline, stage))
    return endpoint is not None and endpoint.get("EndpointConfigName") == live.endpoint_config_name


def _objections(cloud: Cloud, package: Package) -> list[str]:
    status = package.described.get("ModelApprovalStatus", PENDING)
    approval, provenance = releasing.find_approval(cloud, package.arn), package.provenance
    reasons = approvals.objections(status, approval, provenance, cloud.now())
    rules = package.config.release.approval
    if reasons or not rules.counts_people:
        return reasons
    counted = approving.count(
        cloud,
        rules,
        provenance.pipeline,
        provenance.project_version,
        package.arn,
        provenance.manifest_sha256,
    )
    return [] if counted.is_reached else [counted.awaited]


def _kind_faults(cloud: Cloud, request: Request, package: Package, stages: list[str]) -> list[str]:
    named = {stage: releasing.find_endpoint_name(cloud, request.pipeline, stage) for stage in stages}
    faults = [_kind_fault(cloud, stage, name, package) for stage, name in named.items()]
    return [fault for fault in faults if fault]


def _kind_fault(cloud: Cloud, stage: str, endpoint_name: str, package: Package) -> str | None:
    """Say why the stage's endpoint can serve no package of this kind of compute."""
    endpoint = cloud.endpoints.describe_endpoint(endpoint_name)
    wants_serverless = package.config.serve.compute.serverless is not None
    wants_batch = package.config.serve.compute.batch is not None
    live = releasing.find_live(cloud, package.provenance.pipeline, stage)
    has_endpoint = endpoint is not None or (live is not None and not live.is_batch)
    if wants_batch or (live is not None and live.is_batch):
        return serving.batch_fault(
            package.provenance.pipeline, stage, has_endpoint=has_endpoint, wants_batch=wants_batch
        )
    return serving.kind_fault(package.provenance.pipeline, stage, endpoint, wants_serverless=wants_serverless)


def _overtaken(cloud: Cloud, request: Request, package: Package, stages: list[str]) -> list[str]:
    """Say which stages have a later approved version: releases wait in no order, and that one must stay."""
    ours = releasing.find_approval(cloud, package.arn)
    reasons = []
    for stage in stages:
        live = releasing.find_live(cloud, request.pipeline, stage)
        if live is None or live.is_of(package.arn, package.provenance.run_id):
            continue
        theirs = releasing.find_approval(cloud, live.package_arn)
        if theirs is None or theirs.status != "Approved":
            continue
        if ours is None or theirs.decided_at > ours.decided_at:
            reasons.append(f"{stage} serves v{live.package_version}, which was approved later")
    return reasons


def _plan(cloud: Cloud, request: Request, package: Package, stage: str, bake_s: int) -> StagePlan:
    stack, found = cloud.stack_name, claiming.require_stage(cloud, request.pipeline, stage)
    endpoint_name = found.endpoint_name
    compute = package.config.serve.compute
    endpoint = claiming.find_own_endpoint(cloud, request.pipeline, stage, endpoint_name) or {}
    own_config = names.endpoint_config_name(stack, request.release_id, stage)
    previous = _previous(cloud, request, found, endpoint, own_config)
    plan = StagePlan(
        stage=stage,
        endpoint_name=endpoint_name,
        # A model that captures knows its endpoint; else all stages have the same.
        model_name=own_config
        if serving.captures_itself(package.config)
        else names.model_name(stack, request.release_id),
        endpoint_config_name=own_config,
        previous_config_name=previous,
        bake_s=bake_s,
        shadow=_shadow(cloud, request, package, stage, endpoint, previous),
        **scaling.plan(cloud, found, endpoint, compute),
        is_batch=compute.batch is not None,
    )
    deployment = Deployment(
        pipeline=request.pipeline,
        stage=stage,
        release_id=request.release_id,
        package_arn=package.arn,
        package_version=package.version,
        status="deploying",
        endpoint_config_name=plan.endpoint_config_name,
        model_name=plan.model_name,
        run_id=package.provenance.run_id,
        is_batch=plan.is_batch,
    )
    cloud.catalog.apply(changes.plan_deployment(deployment))
    return plan


def _previous(cloud: Cloud, request: Request, stage: Stage, endpoint: Item, own: str) -> str | None:
    """Return the config to go back to: what serves, but for a shadow that a release left beside it."""
    previous = endpoint.get("EndpointConfigName")
    if serving.has_shadow(endpoint):
        live = deploying.find_deployment(cloud, request.pipeline, stage.name, stage.live)
        return live.endpoint_config_name if live else None
    return previous if previous != own else None


def _shadow(
    cloud: Cloud, request: Request, package: Package, stage: str, endpoint: Item, previous: str | None
) -> ShadowPlan | None:
    """Plan a shadow, if the project wants one and something serves; a rollback waits for none."""
    wanted = next((each.shadow for each in package.config.release.stages if each.name == stage), None)
    if wanted is None or request.is_rollback:
        return None
    if previous is None or serving.status(endpoint["EndpointStatus"]) != "inservice":
        at = releasing.started_at(cloud, request.pipeline, request.release_id)
        detail = f"{stage}: nothing serves there that the version could be compared with"
        note(cloud, request.pipeline, at, request.release_id, "no shadow", detail)
        return None
    return ShadowPlan.of(wanted, names.shadow_config_name(cloud.stack_name, request.release_id, stage))
