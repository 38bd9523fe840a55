"""What an approval is worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.catalog.records.releases import Approval, Package
from sluice.domain.release import approvals
from sluice.domain.release.approvals import Decision, Provenance, Told

NOW = "2026-11-24T12:00:00.000Z"
PROVENANCE = Provenance(
    pipeline="reviews",
    run_id="reviews-00001",
    project_version="a" * 64,
    manifest_uri="s3://artifacts/evidence/reviews/reviews-00001/manifest.json",
    manifest_sha256="e" * 64,
    model_sha256="b" * 64,
)
APPROVAL = Approval(
    arn="arn:package/3",
    epoch=1,
    status="Approved",
    approver="anna",
    reason="",
    decided_at="2026-11-01T12:00:00.000Z",
    valid_until="2026-12-01T12:00:00.000Z",
    manifest_sha256=PROVENANCE.manifest_sha256,
)


@pytest.mark.parametrize(
    ("fields", "concerns"),
    [
        (("ModelApprovalStatus", "ApprovalDescription"), True),
        (("CustomerMetadataProperties",), False),
        ((), False),
        (None, True),
    ],
)
def test_a_change_of_metadata_is_no_decision(fields: tuple[str, ...] | None, concerns: bool) -> None:
    assert approvals.concerns_approval(fields) is concerns


def package(**changes: Any) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": "reviews",
        "ModelPackageVersion": 3,
        "ModelApprovalStatus": "Approved",
        "ApprovalDescription": "fine",
        "LastModifiedTime": datetime(2026, 11, 24, 10, tzinfo=UTC),
        "LastModifiedBy": {"IamIdentity": {"Arn": "arn:aws:iam::1:user/anna"}},
        **changes,
    }


def test_a_decision_names_its_approver_its_reason_and_its_time() -> None:
    decision = Decision.of(package(), NOW)
    anna, at = "arn:aws:iam::1:user/anna", "2026-11-24T10:00:00.000Z"
    assert decision == Decision("Approved", anna, "fine", at, "fine", anna)


AT = "2026-11-24T10:00:00.000Z"
WITH_REASON = ("ModelApprovalStatus", "ApprovalDescription")


@pytest.mark.parametrize(
    ("told", "last", "reason"),
    [
        (
            Told("Approved", ("ModelApprovalStatus", "ApprovalDescription"), AT),
            {"description": "fine"},
            "fine",
        ),
        (Told("Approved", ("ModelApprovalStatus",), AT), None, ""),
        (Told("Rejected", WITH_REASON, AT), None, "fine"),
        (Told(), {"description": "fine", "reason": ""}, ""),
        (Told(), {"reason": "fine"}, ""),
        (Told(), {"description": "other", "reason": "other"}, "fine"),
        (Told(), None, "fine"),
    ],
)
def test_a_reason_is_the_decisions_own(told: Told, last: dict[str, Any] | None, reason: str) -> None:
    before = None if last is None else replace(APPROVAL, **last)
    assert Decision.of(package(), NOW, told, before).reason == reason


def test_a_later_change_moves_no_decision_and_leaves_its_approver_in_doubt() -> None:
    told = Told("Approved", ("ModelApprovalStatus",), "2026-11-24T09:30:00.000Z")
    decision = Decision.of(package(), NOW, told)
    assert decision.decided_at == "2026-11-24T09:30:00.000Z"
    assert decision.approver == "arn:aws:iam::1:user/anna (unverified)"
    assert Decision.of(package(), NOW, replace(told, at=AT)).approver == "arn:aws:iam::1:user/anna"


def test_a_hint_names_nobody_as_the_approver() -> None:
    """Whoever may send events can send one, just after they changed something else."""
    assert Decision.of(package(), NOW, Told(is_hint=True)).approver == "arn:aws:iam::1:user/anna (unverified)"


@pytest.mark.parametrize(
    ("context", "approver"),
    [
        ({"UserProfileArn": "arn:profile/anna", "IamIdentity": {"Arn": "arn:role"}}, "arn:profile/anna"),
        ({"IamIdentity": {"Arn": "arn:role", "SourceIdentity": "anna"}}, "anna"),
        ({}, "unknown"),
    ],
)
def test_the_approver_is_the_person_rather_than_the_role(context: dict[str, Any], approver: str) -> None:
    assert Decision.of(package(LastModifiedBy=context), NOW).approver == approver


def test_a_package_that_was_approved_when_it_was_created_has_that_time_and_creator() -> None:
    created = package(
        LastModifiedTime=None,
        LastModifiedBy=None,
        CreationTime=datetime(2026, 11, 24, 9, tzinfo=UTC),
        CreatedBy={"IamIdentity": {"Arn": "arn:role/register"}},
    )
    decision = Decision.of(created, NOW)
    assert (decision.decided_at, decision.approver) == ("2026-11-24T09:00:00.000Z", "arn:role/register")


def test_a_package_without_all_of_our_metadata_has_no_provenance() -> None:
    metadata = {"sluice:pipeline": "reviews", "sluice:run": "reviews-00001"}
    assert Provenance.of(package(CustomerMetadataProperties=metadata)) is None
    assert Provenance.of(package()) is None


def test_an_item_without_a_decision_is_pending() -> None:
    seen = Package("arn:package/3")
    assert (seen.status, seen.epoch, seen.is_unfinished) == ("PendingManualApproval", 0, False)


def test_a_decision_that_was_seen_but_not_acted_on_is_unfinished() -> None:
    seen = Package("arn:package/3", approval_status="Approved", approval_epoch=2, acted_epoch=1)
    assert seen.is_unfinished
    assert not replace(seen, acted_epoch=2).is_unfinished


def test_an_approval_record_is_bound_to_the_manifest_and_ends() -> None:
    decision = Decision.of(package(), NOW)
    approval = approvals.approval("arn:package/3", 2, decision, PROVENANCE)
    assert approval.item()["sk"] == "APPROVAL#0002"
    assert approval.manifest_sha256 == PROVENANCE.manifest_sha256
    assert approval.valid_until == "2026-12-24T10:00:00.000Z"


def test_a_standing_approval_allows_a_release() -> None:
    assert approvals.objections("Approved", APPROVAL, PROVENANCE, NOW) == []


@pytest.mark.parametrize(
    ("status", "changes", "said"),
    [
        ("Rejected", {}, "the package is Rejected, not Approved"),
        ("PendingManualApproval", {}, "approve it again"),
        ("Approved", {"valid_until": "2026-11-24T11:59:59.999Z"}, "valid until 2026-11-24T11:59:59.999Z"),
        ("Approved", {"manifest_sha256": "f" * 64}, "another run manifest than when it was approved"),
    ],
)
def test_an_approval_that_does_not_stand_says_why(status: str, changes: dict[str, Any], said: str) -> None:
    (reason,) = approvals.objections(status, replace(APPROVAL, **changes), PROVENANCE, NOW)
    assert said in reason


def test_an_approval_that_was_never_recorded_is_none() -> None:
    (reason,) = approvals.objections("Approved", None, PROVENANCE, NOW)
    assert "no approval of the package is on record" in reason
