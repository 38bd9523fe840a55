"""Decide what an approval is worth: who gave it, for what, until when, and if its evidence still holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sluice.domain import catalog, tags
from sluice.domain.times import from_iso, to_iso

PENDING = "PendingManualApproval"
VALID_DAYS = 30
_APPROVAL_FIELD = "ModelApprovalStatus"


def concerns_approval(updated_fields: Sequence[str] | None) -> bool:
    """Whether an event can be about approval: a change of metadata carries the old status once more."""
    return updated_fields is None or _APPROVAL_FIELD in updated_fields


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
class Decision:
    """What a person decided about a package."""

    status: str
    approver: str
    reason: str
    decided_at: str

    @classmethod
    def of(cls, package: Mapping[str, Any], now: str) -> Decision:
        """Read a described package."""
        at = package.get("LastModifiedTime") or package.get("CreationTime")
        return cls(
            status=package.get("ModelApprovalStatus", PENDING),
            approver=_who(package.get("LastModifiedBy") or package.get("CreatedBy") or {}),
            reason=package.get("ApprovalDescription", ""),
            decided_at=to_iso(at) if at else now,
        )


def _who(context: Mapping[str, Any]) -> str:
    identity = context.get("IamIdentity", {})
    who = context.get("UserProfileArn") or identity.get("SourceIdentity") or identity.get("Arn")
    return str(who or "unknown")


@dataclass(frozen=True, slots=True)
class LastSeen:
    """The last decision that was seen, its number, and whether what follows from it was started."""

    status: str
    epoch: int
    is_unfinished: bool

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> LastSeen:
        """Read the catalog's package item, which names no decision before the first one."""
        epoch = int(item.get("approval_epoch", 0))
        return cls(item.get("approval_status", PENDING), epoch, epoch > item.get("acted_epoch", 0))


def package_item(arn: str, package: Mapping[str, Any], provenance: Provenance | None) -> dict[str, Any]:
    """The catalog's item of a package not decided on so far; one from elsewhere belongs to no pipeline."""
    item = {
        **catalog.package_key(arn),
        "group": package.get("ModelPackageGroupName"),
        "version": package.get("ModelPackageVersion"),
        "stack": package.get("CustomerMetadataProperties", {}).get(tags.STACK),
    }
    if provenance is None:
        return item
    return {
        **item,
        "pipeline": provenance.pipeline,
        "run_id": provenance.run_id,
        "manifest_uri": provenance.manifest_uri,
        "manifest_sha256": provenance.manifest_sha256,
        "model_sha256": provenance.model_sha256,
    }


def approval_item(arn: str, epoch: int, decision: Decision, provenance: Provenance | None) -> dict[str, Any]:
    """The record of a decision, bound to the evidence there was."""
    return {
        **catalog.approval_key(arn, epoch),
        "status": decision.status,
        "approver": decision.approver,
        "reason": decision.reason,
        "decided_at": decision.decided_at,
        "manifest_sha256": provenance.manifest_sha256 if provenance else None,
        "valid_until": to_iso(from_iso(decision.decided_at) + timedelta(days=VALID_DAYS)),
    }


def objections(
    status: str, approval: Mapping[str, Any] | None, provenance: Provenance, now: str
) -> list[str]:
    """Why the approval of a package (its described status, its last record) does not allow a release now."""
    if status != "Approved":
        return [f"the package is {status}, not Approved: approve it again to release it"]
    if approval is None:
        return [
            "no approval of the package is on record: set it to PendingManualApproval and approve it again"
        ]
    if approval["valid_until"] < now:
        return [
            f"its approval of {approval['decided_at']} was valid for {VALID_DAYS} days: "
            "set the package to PendingManualApproval and approve it again"
        ]
    if approval["manifest_sha256"] != provenance.manifest_sha256:
        return [
            "the package names another run manifest than when it was approved: "
            f"{provenance.manifest_sha256[:12]}, not {approval['manifest_sha256'][:12]}"
        ]
    return []
