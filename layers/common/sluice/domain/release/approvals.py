"""Judge approvals: who gave one, for what, until when, and whether its evidence still holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sluice.catalog.records.releases import PENDING, Approval, ApprovalStatus, Package
from sluice.domain import actors, tags
from sluice.domain.times import from_iso, to_iso
from sluice.lazy import dataclass

VALID_FOR = timedelta(days=30)
_APPROVAL_FIELD, _DESCRIPTION_FIELD = "ModelApprovalStatus", "ApprovalDescription"
_SAME_TIME = timedelta(seconds=2)


def concerns_approval(updated_fields: Sequence[str] | None) -> bool:
    """Tell whether an event can be about approval: a change of metadata repeats the old status."""
    return updated_fields is None or _APPROVAL_FIELD in updated_fields


def restates(updated_fields: Sequence[str] | None) -> bool:
    """Tell whether an update may repeat a decision: the registry tells no more about that."""
    return updated_fields is not None and set(updated_fields) <= {_DESCRIPTION_FIELD}


def is_renewed(told: Told, status: str, last: Approval | None) -> bool:
    """Tell whether an event is about a new decision, not about the one on record again."""
    if last is None or told.at is None or not told.is_decision(status):
        return False
    return _is_later(told.at, than=last.decided_at)


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of a model package, from the metadata that `register_model` wrote."""

    pipeline: str
    run_id: str
    project_version: str
    manifest_uri: str
    manifest_sha256: str
    model_sha256: str
    # Missing in versions older than this attribute.
    stack: str | None = None

    def is_of(self, stack: str) -> bool:
        return self.stack in (None, stack)

    @classmethod
    def of(cls, package: Mapping[str, Any]) -> Provenance | None:
        """Read a described package; None if no run registered it."""
        metadata = package.get("CustomerMetadataProperties", {})
        try:
            return cls(
                pipeline=metadata["sluice:pipeline"],
                run_id=metadata["sluice:run"],
                project_version=metadata["sluice:project-version"],
                manifest_uri=metadata["sluice:manifest-uri"],
                manifest_sha256=metadata["sluice:manifest-sha256"],
                model_sha256=metadata["sluice:model-sha256"],
                stack=metadata.get(tags.STACK),
            )
        except KeyError:
            return None


@dataclass(frozen=True, slots=True)
class Told:
    """What an event says about an update: the new status, the changed fields, and when.

    A hint says nothing: it tells to look at the version, and anybody may have sent it.
    """

    status: str | None = None
    fields: tuple[str, ...] | None = None
    at: str | None = None
    is_hint: bool = False

    def is_decision(self, status: str) -> bool:
        """Tell whether the update was the decision for this status; a hint does not say."""
        return self.status == status and self.fields is not None and _APPROVAL_FIELD in self.fields


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a package.

    The registry has one description, one person and one time, all of the last update. Each belongs to the
    decision only if it came with it; `description` is the registry's, whoever wrote it.
    """

    status: ApprovalStatus
    approver: str
    reason: str
    decided_at: str
    description: str = ""
    # The IAM identity that decided, beside the person behind it.
    identity: str | None = None

    @classmethod
    def of(
        cls,
        package: Mapping[str, Any],
        now: str,
        told: Told | None = None,
        last: Approval | None = None,
    ) -> Decision:
        """Read a described package, with what an event told and the record of the previous decision."""
        status = package.get("ModelApprovalStatus", PENDING)
        description = package.get("ApprovalDescription", "")
        modified = package.get("LastModifiedTime") or package.get("CreationTime")
        modified_at = to_iso(modified) if modified else now
        context = package.get("LastModifiedBy") or package.get("CreatedBy") or {}
        approver, identity = _who(context), context.get("IamIdentity", {}).get("Arn")
        if told and told.is_hint:
            # The registry names who changed something last, and no event says that this was the decision.
            approver = actors.unverified(approver)
        decided_at = modified_at
        if told and told.is_decision(status) and told.at is not None:
            decided_at = min(told.at, modified_at)
            if _is_later(modified_at, than=decided_at):
                # Someone changed something else since, so the decision may be someone else's.
                approver = actors.unverified(approver)
        reason = _reason(status, description, told, last)
        return cls(status, approver, reason, decided_at, description, identity)


def _reason(status: str, description: str, told: Told | None, last: Approval | None) -> str:
    if told and told.is_decision(status):
        return description if _DESCRIPTION_FIELD in (told.fields or ()) else ""
    # Without an event: an unchanged description belongs to the previous decision.
    said_before = (last.reason if last.description is None else last.description) if last else None
    return "" if description == said_before else description


def _is_later(at: str, *, than: str) -> bool:
    """Tell whether a time is later by more than events and descriptions of one update differ."""
    return from_iso(at) - from_iso(than) > _SAME_TIME


def _who(context: Mapping[str, Any]) -> str:
    identity = context.get("IamIdentity", {})
    who = context.get("UserProfileArn") or identity.get("SourceIdentity") or identity.get("Arn")
    return str(who or actors.UNKNOWN)


def undecided(arn: str, package: Mapping[str, Any], provenance: Provenance | None) -> Package:
    """Make the record of a described package without decisions; one from elsewhere has no pipeline."""
    return Package(
        arn=arn,
        group=package.get("ModelPackageGroupName", ""),
        version=package.get("ModelPackageVersion", 0),
        stack=package.get("CustomerMetadataProperties", {}).get(tags.STACK),
        pipeline=provenance.pipeline if provenance else None,
        run_id=provenance.run_id if provenance else None,
        manifest_uri=provenance.manifest_uri if provenance else None,
        manifest_sha256=provenance.manifest_sha256 if provenance else None,
        model_sha256=provenance.model_sha256 if provenance else None,
        created_at=to_iso(package["CreationTime"]) if package.get("CreationTime") else None,
    )


def approval(
    arn: str,
    epoch: int,
    decision: Decision,
    provenance: Provenance | None,
    valid_for: timedelta = VALID_FOR,
) -> Approval:
    """Make the record of a decision, bound to the evidence of that time."""
    return Approval(
        arn=arn,
        epoch=epoch,
        status=decision.status,
        approver=decision.approver,
        reason=decision.reason,
        decided_at=decision.decided_at,
        valid_until=to_iso(from_iso(decision.decided_at) + valid_for),
        description=decision.description,
        identity=decision.identity,
        manifest_sha256=provenance.manifest_sha256 if provenance else None,
    )


def objections(status: str, approval: Approval | None, provenance: Provenance, now: str) -> list[str]:
    """Say why a package's approval (its described status, its last record) allows no release now."""
    if status != "Approved":
        return [f"the package is {status}, not Approved: approve it again to release it"]
    if approval is None or approval.status != "Approved":
        return [
            "no approval of the package is on record: set it to PendingManualApproval and approve it again"
        ]
    if approval.valid_until < now:
        return [
            f"its approval of {approval.decided_at} was valid until {approval.valid_until}: "
            "set the package to PendingManualApproval and approve it again"
        ]
    approved = approval.manifest_sha256
    if approved != provenance.manifest_sha256:
        return [
            "the package names another run manifest than when it was approved: "
            f"{provenance.manifest_sha256[:12]}, not {(approved or 'none')[:12]}"
        ]
    return []
