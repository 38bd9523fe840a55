"""Record a decision about a model package, and start what follows: a release or rollbacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.builds import Pipeline, Run
from sluice.catalog.records.releases import Approval, Deployment, Package
from sluice.domain.failures import ConflictError, MissingError
from sluice.domain.release import approvals, packages, releases
from sluice.domain.release.approvals import Decision, Provenance, Told
from sluice.domain.times import to_iso
from sluice.events import event_parser
from sluice.lazy import dataclass
from sluice.observability import logger
from sluice.ports import Cloud, Item
from sluice.release_events import ModelPackageStateChanged
from sluice.services import announcing, metering
from sluice.services.release import approving, deploying, recovering, releasing
from sluice.services.release.recovering import Fault
from sluice.services.timeline import note

_CLAIMS = 5


@dataclass(frozen=True, slots=True)
class _Claim:
    """A decision that is ours to act on."""

    package: Package
    approval: Approval
    version_name: str


@logger.inject_lambda_context(clear_state=True)
@event_parser(model=ModelPackageStateChanged)
def lambda_handler(event: ModelPackageStateChanged, context: LambdaContext) -> dict[str, Any]:
    cloud = wiring.cloud()
    arn = event.model_package_arn
    logger.append_keys(model_package_arn=arn)
    if not approvals.concerns_approval(event.told.fields):
        if approvals.restates(event.told.fields):
            _note_restated(cloud, arn, event.told)
        return {"status": "metadata only", "releases": []}
    claim = _claim(cloud, arn, event.told)
    if claim is None:
        return {"status": "nothing new", "releases": _recover_again(cloud, arn, event.told)}
    started = _act(cloud, arn, claim)
    cloud.catalog.apply(changes.finish_decision(arn, claim.package.epoch))
    logger.info("decision recorded", extra={"decision": claim.approval.status, "releases": started})
    return {"status": claim.approval.status, "releases": started}


def _claim(cloud: Cloud, arn: str, told: Told) -> _Claim | None:
    """Take the described decision if it is new, or if an earlier invocation died before it acted on it.

    Reads the description again if another invocation was quicker, so that the last one to write has seen
    the newest.
    """
    for _ in range(_CLAIMS):
        package = cloud.registry.describe_package(arn)
        if package is None:
            _note_deleted(cloud, arn)
            return None
        provenance = _provenance(cloud, package)
        seen = _last_seen(cloud, arn, package, provenance)
        newest = releasing.find_approval(cloud, arn)
        decision = Decision.of(package, cloud.now(), told, newest)
        if decision.status == seen.status and seen.is_unfinished:
            return _recorded(cloud, package, seen, decision, provenance)
        if decision.status == seen.status and not approvals.is_renewed(told, decision.status, newest):
            return None
        if cloud.catalog.apply(changes.decide(seen, decision.status)):
            taken = replace(seen, approval_status=decision.status, approval_epoch=seen.epoch + 1)
            return _recorded(cloud, package, taken, decision, provenance)
    raise ConflictError(f"others kept recording decisions about {arn}")


def _note_deleted(cloud: Cloud, arn: str) -> None:
    """Note that the registry has a version no more, so that nobody is asked to decide about it."""
    seen, now = _find_seen(cloud, arn), cloud.now()
    if seen and seen.pipeline and cloud.catalog.apply(changes.note_deleted(seen, now)):
        name = packages.name_of(cloud.stack_name, seen)
        note(cloud, seen.pipeline, now, name, "version deleted", "the registry has it no more")


def _provenance(cloud: Cloud, package: dict[str, Any]) -> Provenance | None:
    """Return our metadata, if its run is ours and registered this package, or may be about to.

    The project is the run's: who may write metadata could name one whose approvals hold longer.
    """
    provenance = Provenance.of(package)
    if provenance is None or not provenance.is_of(cloud.stack_name):
        return None
    item = cloud.catalog.get(keys.run_key(provenance.pipeline, provenance.run_id))
    run = Run.of(item) if item else None
    if run is None or run.model_package_arn is None:
        return provenance if run and run.status == "running" else None
    if run.model_package_arn != package["ModelPackageArn"]:
        return None
    return replace(provenance, project_version=run.project_version)


def _last_seen(cloud: Cloud, arn: str, described: dict[str, Any], provenance: Provenance | None) -> Package:
    found = _find_seen(cloud, arn)
    if found is None:
        found = approvals.undecided(arn, described, provenance)
        if not cloud.catalog.apply(changes.see_package(found)):
            return _last_seen(cloud, arn, described, provenance)
    return found


def _find_seen(cloud: Cloud, arn: str) -> Package | None:
    item = cloud.catalog.get(keys.package_key(arn))
    return Package.of(item) if item else None


def _recorded(
    cloud: Cloud, described: Item, package: Package, decision: Decision, provenance: Provenance | None
) -> _Claim:
    """Return the claim with the approval's record as it was first written, by any invocation."""
    arn, epoch, valid_for = package.arn, package.epoch, approvals.VALID_FOR
    if provenance is not None:
        rules = approving.find_rules(cloud, provenance.pipeline, provenance.project_version)
        valid_for = rules.valid_for if rules else valid_for
    record = approvals.approval(arn, epoch, decision, provenance, valid_for)
    if cloud.catalog.apply(changes.record_approval(record)) and package.pipeline:
        metering.decided(cloud, package.pipeline, record, to_iso(described["CreationTime"]))
    item = cloud.catalog.get(keys.approval_key(arn, epoch))
    if item is None:
        raise MissingError(f"approval {epoch} of {arn} was created but is not there")
    return _Claim(package, Approval.of(item), packages.name_of(cloud.stack_name, package))


def _act(cloud: Cloud, arn: str, claim: _Claim) -> list[str]:
    pipeline, approval = claim.package.pipeline, claim.approval
    if pipeline is None:
        _note_foreign(cloud, claim)
        return []
    event = {"Approved": "approved", "Rejected": "rejected"}.get(approval.status, "approval withdrawn")
    note(cloud, pipeline, approval.decided_at, claim.version_name, event, approval.reason, approval.approver)
    if approval.status == "Rejected":
        return _recover(cloud, claim.package, approval, _serving(cloud, pipeline, claim.package))
    if approval.status != "Approved" or _is_held(cloud, pipeline, claim):
        return []
    request = _release(pipeline, claim)
    cloud.workflows.start("release", request.release_id, asdict(request))
    return [request.release_id]


def _is_held(cloud: Cloud, pipeline: str, claim: _Claim) -> bool:
    """Tell whether other people must approve the version too; `plan_release` refuses it until then."""
    quorum = approving.find_quorum(cloud, claim.package)
    if quorum is None or quorum.is_reached:
        return False
    detail = f"{quorum.missing}: {quorum.others} must approve it with `sluice approve {claim.version_name}`"
    at, name = claim.approval.decided_at, claim.version_name
    note(cloud, pipeline, at, name, "approval awaited", detail)
    announcing.approval_awaited(cloud, pipeline, name, claim.package.arn, at, reason=quorum.missing)
    return True


def _release(pipeline: str, claim: _Claim) -> releases.Request:
    package, approval = claim.package, claim.approval
    return releases.approval_request(
        pipeline, package.arn, package.version, package.epoch, approval.approver, approval.reason
    )


def _recover(cloud: Cloud, package: Package, approval: Approval, serving: Iterable[Deployment]) -> list[str]:
    """Roll back each stage where the rejected package is live or under release; returns what was started."""
    name = packages.name_of(cloud.stack_name, package)
    reason = f"{name} was rejected: {approval.reason or 'no reason given'}"
    started = []
    for each in serving:
        who = each.release_id, approval.approver, reason
        ask = partial(releases.rejection_request, each.pipeline, each.stage, package, *who)
        fault = Fault(each, package.rejection, approval.decided_at, approval.approver, ask)
        started.append(recovering.recover(cloud, fault))
    return [release_id for release_id in started if release_id]


def _recover_again(cloud: Cloud, arn: str, told: Told) -> list[str]:
    """Try the rollback of a rejected version again that still serves: the first attempt failed."""
    package, approval = _find_seen(cloud, arn), releasing.find_approval(cloud, arn)
    if package is None or package.pipeline is None or approval is None:
        return []
    if not told.status == package.status == approval.status == "Rejected":
        return []
    stages = [stage for stage in releasing.find_stages(cloud, package.pipeline) if not stage.releasing]
    live = [deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live) for stage in stages]
    serving = [each for each in live if each and each.is_of(package.arn, package.run_id)]
    return _recover(cloud, package, approval, serving)


def _serving(cloud: Cloud, pipeline: str, package: Package) -> list[Deployment]:
    found = []
    for stage in releasing.find_stages(cloud, pipeline):
        for release_id in (stage.releasing, stage.live):
            deployment = deploying.find_deployment(cloud, pipeline, stage.name, release_id)
            if deployment and deployment.is_of(package.arn, package.run_id):
                found.append(deployment)
                break
    return found


def _note_restated(cloud: Cloud, arn: str, told: Told) -> None:
    """Note that approving a version again, which is approved and not live, has no effect."""
    package = _find_seen(cloud, arn)
    if package is None or package.pipeline is None:
        return
    if not told.status == package.approval_status == "Approved":
        return
    if _serving(cloud, package.pipeline, package):
        return
    name = packages.name_of(cloud.stack_name, package)
    detail = (
        f"{name} was Approved already, so the registry has no new decision. To release it again: "
        f"sluice approve {name}, or set it to PendingManualApproval and approve it then"
    )
    note(cloud, package.pipeline, told.at or cloud.now(), name, "approved already", detail)


def _note_foreign(cloud: Cloud, claim: _Claim) -> None:
    """Note in the group's timeline that approving a foreign package has no effect."""
    of_another_stack = claim.package.stack not in (None, cloud.stack_name)
    if claim.approval.status != "Approved" or of_another_stack:
        return
    detail = (
        f"{claim.version_name} was approved, but no run of this stack registered it, so there is no evidence "
        "to release it by. Push its project and train it here, or deploy it yourself"
    )
    approval = claim.approval
    owners = [
        keys.pipeline_of(item)
        for item in cloud.catalog.listing(keys.PIPELINES)
        if claim.package.group in packages.groups_of(Pipeline.of(item))
    ]
    note(
        cloud,
        owners[0] if owners else None,
        approval.decided_at,
        claim.version_name,
        "approval ignored",
        detail,
        approval.approver,
    )
