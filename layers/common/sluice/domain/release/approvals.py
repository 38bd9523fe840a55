"""Decide what an approval is worth: who gave it, for what, until when, and if its evidence still holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sluice.catalog.records.releases import PENDING, Approval, ApprovalStatus, Package
from sluice.domain import actors, tags
from sluice.domain.times import from_iso, to_iso

VALID_DAYS = 30
_APPROVAL_FIELD, _DESCRIPTION_FIELD = "ModelApprovalStatus", "ApprovalDescription"
_SAME_TIME = timedelta(seconds=2)


def concerns_approval(updated_fields: Sequence[str] | None) -> bool:
    """Whether an event can be about approval: a change of metadata carries the old status once more."""
    return updated_fields is None or _APPROVAL_FIELD in updated_fields


def restates(updated_fields: Sequence[str] | None) -> bool:
    """Whether an update may repeat a decision: of that the registry tells no more than this."""
    return updated_fields is not None and set(updated_fields) <= {_DESCRIPTION_FIELD}


def is_renewed(told: Told, status: str, last: Approval | None) -> bool:
    """Whether an event tells of a decision that was taken again, not again of the one on record."""
    if last is None or told.at is None or not told.is_decision(status):
        return False
    return _is_later(told.at, than=last.decided_at)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model package comes from, by the metadata that `register_model` gave it."""

    pipeline: str
    run_id: str
    project_version: str
    manifest_uri: str
    manifest_sha256: str
    model_sha256: str
    # Unknown of versions that are older than this attribute.
    stack: str | None = None

    def is_of(self, stack: str) -> bool:
        return self.stack in (None, stack)

    @classmethod
    def of(cls, package: Mapping[str, Any]) -> Provenance | None:
        """Read a described package; None if it was not registered by a run."""
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
    """What an event says of an update: the status after it, the fields that it changed, and when."""

    status: str | None = None
    fields: tuple[str, ...] | None = None
    at: str | None = None

    def is_decision(self, status: str) -> bool:
        """Whether the update was the decision for this status; a hint says nothing of the kind."""
        return self.status == status and self.fields is not None and _APPROVAL_FIELD in self.fields


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a package.

    The registry keeps one description, and names one person and one time: of the last update. Each is the
    decision's own only if that was given with it; `description` is the registry's, whosever it is.
    """

    status: ApprovalStatus
    approver: str
    reason: str
    decided_at: str
    description: str = ""

    @classmethod
    def of(
        cls,
        package: Mapping[str, Any],
        now: str,
        told: Told = Told(),
        last: Approval | None = None,
    ) -> Decision:
        """Read a described package, by what an event told and by the record of the decision before."""
        status = package.get("ModelApprovalStatus", PENDING)
        description = package.get("ApprovalDescription", "")
        modified = package.get("LastModifiedTime") or package.get("CreationTime")
        modified_at = to_iso(modified) if modified else now
        approver = _who(package.get("LastModifiedBy") or package.get("CreatedBy") or {})
        decided_at = modified_at
        if told.is_decision(status) and told.at is not None:
            decided_at = min(told.at, modified_at)
            if _is_later(modified_at, than=decided_at):
                # Somebody has changed something else since: the decision may be somebody else's.
                approver = actors.unverified(approver)
        return cls(status, approver, _reason(status, description, told, last), decided_at, description)


def _reason(status: str, description: str, told: Told, last: Approval | None) -> str:
    if told.is_decision(status):
        return description if _DESCRIPTION_FIELD in (told.fields or ()) else ""
    # No event to go by: what the registry said at the decision before was said for that one.
    said_before = (last.reason if last.description is None else last.description) if last else None
    return "" if description == said_before else description


def _is_later(at: str, *, than: str) -> bool:
    """By more than events and descriptions differ by in their spelling of one time."""
    return from_iso(at) - from_iso(than) > _SAME_TIME


def _who(context: Mapping[str, Any]) -> str:
    identity = context.get("IamIdentity", {})
    who = context.get("UserProfileArn") or identity.get("SourceIdentity") or identity.get("Arn")
    return str(who or "unknown")


def undecided(arn: str, package: Mapping[str, Any], provenance: Provenance | None) -> Package:
    """A described package that was not decided on so far; one from elsewhere belongs to no pipeline."""
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
    )


def approval(arn: str, epoch: int, decision: Decision, provenance: Provenance | None) -> Approval:
    """The record of a decision, bound to the evidence there was."""
    return Approval(
        arn=arn,
        epoch=epoch,
        status=decision.status,
        approver=decision.approver,
        reason=decision.reason,
        decided_at=decision.decided_at,
        valid_until=to_iso(from_iso(decision.decided_at) + timedelta(days=VALID_DAYS)),
        description=decision.description,
        manifest_sha256=provenance.manifest_sha256 if provenance else None,
    )


def objections(status: str, approval: Approval | None, provenance: Provenance, now: str) -> list[str]:
    """Why the approval of a package (its described status, its last record) does not allow a release now."""
    if status != "Approved":
        return [f"the package is {status}, not Approved: approve it again to release it"]
    if approval is None:
        return [
            "no approval of the package is on record: set it to PendingManualApproval and approve it again"
        ]
    if approval.valid_until < now:
        return [
            f"its approval of {approval.decided_at} was valid for {VALID_DAYS} days: "
            "set the package to PendingManualApproval and approve it again"
        ]
    approved = approval.manifest_sha256
    if approved != provenance.manifest_sha256:
        return [
            "the package names another run manifest than when it was approved: "
            f"{provenance.manifest_sha256[:12]}, not {(approved or 'none')[:12]}"
        ]
    return []
