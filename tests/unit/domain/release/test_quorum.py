"""Whose approval counts, and how many people a release needs."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.catalog.records.releases import Approval
from sluice.domain import actors
from sluice.domain.config import approval
from sluice.domain.release import quorum

NOW, MANIFEST = "2026-11-24T12:00:00.000Z", "e" * 64
ANNA, BERT = "arn:aws:iam::123456789012:user/anna", "arn:aws:iam::123456789012:user/bert"
ROLE = "arn:aws:sts::123456789012:assumed-role/Approver"
CENTER = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Approver_0123456789abcdef"
ELSEWHERE = f"{CENTER}/anna@x.org".replace("123456789012", "222222222222")
PROFILE = "arn:aws:sagemaker:eu-central-1:123456789012:user-profile/d-1/anna"
TWO = approval.Approval(approvals=2)
OTHER = approval.Approval(separation=True)


def decided(*decisions: tuple[str, str], **changes: Any) -> list[Approval]:
    return [
        Approval(
            **{
                "arn": "arn:package/1",
                "epoch": epoch,
                "status": status,
                "approver": who,
                "reason": "",
                "decided_at": "2026-11-24T10:00:00.000Z",
                "valid_until": "2026-12-24T10:00:00.000Z",
                "manifest_sha256": MANIFEST,
                **changes,
            }
        )
        for epoch, (who, status) in enumerate(decisions, start=1)
    ]


def by(rules: approval.Approval, decisions: list[Approval], pushed_by: tuple[str, ...] = ()) -> list[str]:
    return quorum.count(rules, decisions, MANIFEST, pushed_by, NOW).by


APPROVED, PENDING, REJECTED = "Approved", "PendingManualApproval", "Rejected"


@pytest.mark.parametrize(
    ("decisions", "counted"),
    [
        ([(ANNA, APPROVED)], [ANNA]),
        ([(ANNA, APPROVED), (BERT, PENDING), (BERT, APPROVED)], [ANNA, BERT]),
        ([(ANNA, APPROVED), (ANNA, PENDING), (ANNA, APPROVED)], [ANNA]),
        ([(ANNA, APPROVED), (BERT, APPROVED), (ANNA, PENDING)], [BERT]),
        ([(ANNA, APPROVED), (BERT, REJECTED), (BERT, APPROVED)], [BERT]),
        ([(f"{ROLE}/anna", APPROVED), (f"{ROLE}/bert", APPROVED)], [f"{ROLE}/bert"]),
        ([(f"{CENTER}/anna@x.org", APPROVED), (f"{CENTER}/bert@x.org", APPROVED)],
         [f"{CENTER}/anna@x.org", f"{CENTER}/bert@x.org"]),
        ([("anna@x.org", APPROVED), ("bert@x.org", APPROVED)], ["anna@x.org", "bert@x.org"]),
        # One person in two guises: roles, accounts, a user and a source identity, capitals, a profile.
        ([(f"{ROLE}/anna", APPROVED), (f"{ROLE}2/bert", APPROVED)], [f"{ROLE}/anna"]),
        ([(f"{ROLE}/anna", APPROVED), ("arn:aws:iam::123456789012:role/a/Other", APPROVED), (BERT, APPROVED)],
         [f"{ROLE}/anna", BERT]),
        ([(f"{CENTER}/anna@x.org", APPROVED), (ELSEWHERE, APPROVED)],
         [ELSEWHERE]),
        ([(ANNA, APPROVED), ("anna", APPROVED)], ["anna"]),
        ([("Anna@X.org", APPROVED), (f"{CENTER}/anna@x.org", APPROVED)], [f"{CENTER}/anna@x.org"]),
        ([(PROFILE, APPROVED), (ANNA, APPROVED)], [ANNA]),
        ([(ANNA, APPROVED), ("arn:aws:iam::123456789012:user/team/Anna", APPROVED)],
         ["arn:aws:iam::123456789012:user/team/Anna"]),
        ([(actors.unverified(ANNA), APPROVED), ("unknown", APPROVED)], []),
    ],
)  # fmt: skip
def test_each_person_counts_once_while_nothing_revoked_it(
    decisions: list[tuple[str, str]], counted: list[str]
) -> None:
    found = quorum.count(TWO, decided(*decisions), MANIFEST, (), NOW)
    assert found.by == counted
    assert found.is_reached is (len(counted) >= 2)


@pytest.mark.parametrize(
    "changes", [{"manifest_sha256": "f" * 64}, {"valid_until": "2026-11-24T11:59:59.999Z"}]
)
def test_an_approval_of_something_else_or_that_expired_does_not_count_and_says_so(
    changes: dict[str, Any],
) -> None:
    found = quorum.count(TWO, decided((ANNA, APPROVED), **changes), MANIFEST, (), NOW)
    assert not found.given
    assert found.missing.startswith(f"0 of 2 approvals; {ANNA} approved ")
    assert found.awaited == f"{found.missing}: 2 other people must approve it too"


def test_who_must_still_approve_is_counted() -> None:
    found = quorum.count(TWO, decided((ANNA, APPROVED)), MANIFEST, (), NOW)
    assert found.awaited == f"1 of 2 approvals (by {ANNA}): another person must approve it too"


@pytest.mark.parametrize(
    ("approver", "pusher", "counts"),
    [
        (ANNA, BERT, True),
        (ANNA, ANNA, False),
        (f"{ROLE}/anna", f"{ROLE}/anton", False),
        (f"{ROLE}/anna", "arn:aws:iam::123456789012:role/team/Approver", False),
        (f"{CENTER}/anna@x.org", f"{CENTER.replace('Approver', 'Developer')}/anna@x.org", False),
        (f"{CENTER}/anna@x.org", f"{CENTER}/bert@x.org", True),
        ("anna@x.org", f"{CENTER}/Anna@x.org", False),
        (PROFILE, ANNA, False),
    ],
)
def test_who_pushed_does_not_approve(approver: str, pusher: str, *, counts: bool) -> None:
    found = by(OTHER, decided((approver, APPROVED)), (actors.unverified(pusher),))
    assert found == ([approver] if counts else [])


def test_a_second_role_is_told_why_it_does_not_count() -> None:
    decisions = decided((f"{ROLE}/anna", APPROVED), (f"{ROLE}2/anna", APPROVED))
    found = quorum.count(TWO, decisions, MANIFEST, (), NOW)
    assert not found.is_reached
    assert f"{ROLE}2/anna may be who approved as {ROLE}/anna" in found.missing
    assert "a source identity does" in found.missing


def test_a_person_by_a_source_identity_is_also_known_by_the_session_that_pushed() -> None:
    decision = decided(("anna@x.org", APPROVED), identity=f"{ROLE}/anna")
    assert by(OTHER, decision, (f"{ROLE}/anna",)) == []


def test_where_nobody_is_on_record_as_having_pushed_nobody_can_be_told_apart_from_them() -> None:
    found = quorum.count(OTHER, decided((ANNA, APPROVED)), MANIFEST, (), NOW)
    assert not found.is_reached
    assert "push it with `sluice push`" in found.missing
