"""Record what was decided about a model package, and start what follows: a release, or rollbacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.parser import event_parser
from aws_lambda_powertools.utilities.typing import LambdaContext

from sluice import wiring
from sluice.catalog import keys
from sluice.domain.failures import ConflictError, MissingError
from sluice.domain.release import approvals, packages, releases
from sluice.domain.release.approvals import Decision, LastSeen, Provenance, Told
from sluice.events import ModelPackageStateChanged
from sluice.observability import logger
from sluice.ports import Cloud, Item
from sluice.services import releasing
from sluice.services.timeline import note

_CLAIMS = 5


@dataclass(frozen=True, slots=True)
class _Claim:
    """A decision that is ours to act on."""

    package: Item
    approval: Item

    @property
    def version_name(self) -> str:
        return packages.version_name(self.package["group"], self.package["version"])


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
        return {"status": "nothing new", "releases": []}
    started = _act(cloud, arn, claim)
    epoch = claim.package["approval_epoch"]
    cloud.catalog.update(keys.package_key(arn), {"acted_epoch": epoch}, when={"approval_epoch": epoch})
    logger.info("decision recorded", extra={"decision": claim.approval["status"], "releases": started})
    return {"status": claim.approval["status"], "releases": started}


def _claim(cloud: Cloud, arn: str, told: Told) -> _Claim | None:
    """Take the described decision if it is news, or was news to an invocation that did not get to act on it.

    The description is read again whenever another invocation was quicker: the last one to write has then
    seen the newest.
    """
    for _ in range(_CLAIMS):
        package = cloud.registry.describe_package(arn)
        if package is None:
            return None
        provenance = _provenance(cloud, package)
        seen = _last_seen(cloud, arn, package, provenance)
        newest = _newest_approval(cloud, arn)
        decision = Decision.of(package, cloud.now(), told, newest)
        last = LastSeen.of(seen)
        if decision.status == last.status and last.is_unfinished:
            return _recorded(cloud, arn, seen, decision, provenance)
        if decision.status == last.status and not approvals.is_renewed(told, decision.status, newest):
            return None
        news = {"approval_status": decision.status, "approval_epoch": last.epoch + 1}
        when = {name: seen.get(name) for name in news}
        if cloud.catalog.update(keys.package_key(arn), news, when=when):
            return _recorded(cloud, arn, {**seen, **news}, decision, provenance)
    raise ConflictError(f"others kept recording decisions about {arn}")


def _provenance(cloud: Cloud, package: dict[str, Any]) -> Provenance | None:
    """Our metadata, if the run it names is ours too, and registered this package or may be about to."""
    provenance = Provenance.of(package)
    if provenance is None or not provenance.is_of(cloud.stack_name):
        return None
    run = cloud.catalog.get(keys.run_key(provenance.pipeline, provenance.run_id)) or {}
    registered = run.get("model_package_arn")
    is_ours = registered == package["ModelPackageArn"] if registered else run.get("status") == "running"
    return provenance if is_ours else None


def _last_seen(cloud: Cloud, arn: str, package: dict[str, Any], provenance: Provenance | None) -> Item:
    catalog = cloud.catalog
    item = catalog.get(keys.package_key(arn))
    if item is None:
        item = approvals.package_item(arn, package, provenance)
        if not catalog.create(item):
            return _last_seen(cloud, arn, package, provenance)
    return item


def _newest_approval(cloud: Cloud, arn: str) -> Item | None:
    newest = cloud.catalog.query(f"PACKAGE#{arn}", "APPROVAL#", newest_first=True, limit=1)
    return next(iter(newest), None)


def _recorded(
    cloud: Cloud, arn: str, package: Item, decision: Decision, provenance: Provenance | None
) -> _Claim:
    """The approval's record as it was first written, whoever wrote it."""
    catalog = cloud.catalog
    epoch = package["approval_epoch"]
    catalog.create(approvals.approval_item(arn, epoch, decision, provenance))
    approval = catalog.get(keys.approval_key(arn, epoch))
    if approval is None:
        raise MissingError(f"approval {epoch} of {arn} was created but is not there")
    return _Claim(package, approval)


def _act(cloud: Cloud, arn: str, claim: _Claim) -> list[str]:
    pipeline = claim.package.get("pipeline")
    if pipeline is None:
        _note_foreign(cloud, claim)
        return []
    approval = claim.approval
    event = {"Approved": "approved", "Rejected": "rejected"}.get(approval["status"], "approval withdrawn")
    at, actor, reason = approval["decided_at"], approval["approver"], approval["reason"]
    note(cloud, pipeline, at, claim.version_name, event, reason, actor)
    requests = list[releases.Request]()
    if approval["status"] == "Approved":
        requests = _release(arn, claim)
    elif approval["status"] == "Rejected":
        requests = _rollbacks(cloud, arn, claim)
    for request in requests:
        cloud.workflows.start("release", request.release_id, request.model_dump())
    return [request.release_id for request in requests]


def _release(arn: str, claim: _Claim) -> list[releases.Request]:
    package, approval = claim.package, claim.approval
    request = releases.approval_request(
        package["pipeline"],
        arn,
        package["version"],
        package["approval_epoch"],
        approval["approver"],
        approval["reason"],
    )
    return [request]


def _rollbacks(cloud: Cloud, arn: str, claim: _Claim) -> list[releases.Request]:
    """A rollback for each stage where the rejected package is live, or is being released."""
    package, approval = claim.package, claim.approval
    pipeline = package["pipeline"]
    rejected = {**package, "package_arn": arn}
    reason = f"{claim.version_name} was rejected: {approval['reason'] or 'no reason given'}"
    return [
        releases.rejection_request(pipeline, stage, rejected, release_id, approval["approver"], reason)
        for stage, release_id in _serving(cloud, pipeline, arn, package.get("run_id"))
    ]


def _serving(cloud: Cloud, pipeline: str, arn: str, run_id: str | None) -> list[tuple[str, str]]:
    found = []
    for item in cloud.catalog.query(keys.partition(pipeline), "STAGE#"):
        stage = item["sk"].removeprefix("STAGE#")
        for release_id in (item.get("releasing"), item.get("live")):
            deployment = releasing.find_deployment(cloud, pipeline, stage, release_id)
            if deployment and deployment.is_of(arn, run_id):
                found.append((stage, deployment.release_id))
                break
    return found


def _note_restated(cloud: Cloud, arn: str, told: Told) -> None:
    """Say that nothing follows from approving a version that was approved before, and is not live, again."""
    package = cloud.catalog.get(keys.package_key(arn)) or {}
    pipeline = package.get("pipeline")
    if pipeline is None or not told.status == package.get("approval_status") == "Approved":
        return
    if _serving(cloud, pipeline, arn, package.get("run_id")):
        return
    name = packages.version_name(package["group"], package["version"])
    detail = (
        f"{name} was Approved already, so the registry has no new decision. To release it again: "
        f"sluice approve {name}, or set it to PendingManualApproval and approve it then"
    )
    note(cloud, pipeline, told.at or cloud.now(), name, "approved already", detail)


def _note_foreign(cloud: Cloud, claim: _Claim) -> None:
    """Say, where its group's users look, that nothing follows from the approval of a foreign package."""
    of_another_stack = claim.package.get("stack") not in (None, cloud.stack_name)
    if claim.approval["status"] != "Approved" or of_another_stack:
        return
    detail = (
        f"{claim.version_name} was approved, but no run of this stack registered it, so there is no evidence "
        "to release it by. Push its project and train it here, or deploy it yourself"
    )
    approval, catalog = claim.approval, cloud.catalog
    owners = [
        item["gsi1sk"]
        for item in catalog.listing(keys.PIPELINES)
        if claim.package["group"] in packages.groups_of(item)
    ]
    entry = keys.timeline_item(
        owners[0] if owners else "",
        approval["decided_at"],
        claim.version_name,
        "approval ignored",
        actor=approval["approver"],
        detail=detail,
    )
    catalog.create(entry if owners else {**entry, "pk": keys.UNCLAIMED})
