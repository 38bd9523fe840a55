"""Who may change a version, or send events, but not approve, gets nothing released by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

import fakes
from release_world import PIPELINE, PIPELINE_YAML, World
from sluice.catalog import keys
from sluice.catalog.records.releases import Approval
from sluice.domain.release import releases
from sluice.domain.times import from_iso, to_iso

ANNA, MALLORY = "arn:aws:iam::123456789012:user/anna", "arn:aws:iam::123456789012:user/mallory"
FIELDS = ["ModelApprovalStatus", "ApprovalDescription"]
MakeWorld = Callable[[str], World]


@pytest.fixture
def world_of(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> MakeWorld:
    return lambda rules: World(cloud, invoke, f"{PIPELINE_YAML}  approval: {rules}\n")


def approve(world: World, arn: str, by: str = ANNA) -> Any:
    """A person's decision, with the event that SageMaker sends of it."""
    world.later(minutes=1)
    world.decide(arn, "Approved", by)
    return world.tell_decision(arn, "Approved", FIELDS)


def change(world: World, arn: str, **metadata: str) -> None:
    """Mallory changes a version's metadata, which makes them who changed it last."""
    package = world.cloud.registry.by_arn[arn]
    package["CustomerMetadataProperties"].update(metadata)
    package.update(LastModifiedTime=world.at(), LastModifiedBy={"IamIdentity": {"Arn": MALLORY}})


def hint(world: World, arn: str, status: str = "Approved") -> Any:
    """Mallory sends what `reconcile` would send, and more: what only SageMaker's event says."""
    detail = {
        "ModelPackageArn": arn,
        "ModelApprovalStatus": status,
        "UpdatedModelPackageFields": FIELDS,
        "LastModifiedTime": world.cloud.now.at,
    }
    return world.invoke("record_approval", {"source": "sluice.reconcile", "detail": detail})


def newest(world: World, arn: str) -> Approval:
    items = world.cloud.catalog.query(keys.package_partition(arn), keys.APPROVALS)
    return Approval.of(items[-1])


def refusals(world: World) -> str:
    return " ".join(reason for release in world.releases() for reason in release.get("reasons", ()))


def release(world: World, arn: str) -> None:
    """Start a release by command, as a stage that waits for a person is released to."""
    request = replace(
        releases.approval_request(PIPELINE, arn, 1, 99, MALLORY, ""),
        cause="command",
        release_id=f"{PIPELINE}-v1-forged",
    )
    world.cloud.workflows.start("release", request.release_id, asdict(request))
    world.run_all()


def test_an_approval_that_expired_is_not_renewed_by_an_event_that_anybody_may_send(
    world_of: MakeWorld,
) -> None:
    world = world_of("{expires_after: 2h}")
    arn = world.register(1)
    approve(world, arn)
    first = newest(world, arn)
    world.later(hours=3)
    change(world, arn)
    assert hint(world, arn)["releases"] == []
    assert newest(world, arn) == first
    world.run_all()
    assert "was valid until" in refusals(world)
    assert world.live_version() is None


def test_who_changes_an_approved_version_and_sends_a_hint_is_no_second_approver(world_of: MakeWorld) -> None:
    world = world_of("{approvals: 2}")
    arn = world.register(1)
    approve(world, arn)
    world.decide(arn, "PendingManualApproval", ANNA)
    world.tell_decision(arn, "PendingManualApproval", FIELDS)
    approve_unheard(world, arn)
    change(world, arn)
    assert hint(world, arn)["releases"] == []
    assert newest(world, arn).approver == f"{MALLORY} (unverified)"
    release(world, arn)
    assert "is not vouched for by the registry" in refusals(world)
    assert world.live_version() is None


def approve_unheard(world: World, arn: str) -> None:
    """Anna approves; the event is on its way."""
    world.later(minutes=1)
    world.decide(arn, "Approved", ANNA)


def test_an_approval_holds_as_long_as_the_runs_own_project_says(world_of: MakeWorld) -> None:
    """Mallory names another project while Anna approves, and takes it back before the release."""
    world = world_of("{expires_after: 2h}")
    arn = world.register(1)
    own = world.project_version
    world.push(f"{PIPELINE_YAML}  approval: {{expires_after: 999d}}\n")
    change(world, arn, **{"sluice:project-version": world.project_version})
    approve(world, arn)
    change(world, arn, **{"sluice:project-version": own})
    decision = newest(world, arn)
    assert decision.valid_until <= to_iso(from_iso(decision.decided_at).replace(hour=23, minute=59))
    world.later(hours=3)
    world.run_all()
    assert "was valid until" in refusals(world)


def test_a_rejection_on_record_is_no_approval(world_of: MakeWorld) -> None:
    """The registry says Approved by now; that the stack heard of it is not on record yet."""
    world = world_of("{expires_after: 2h}")
    arn = world.register(1)
    world.decide(arn, "Rejected", ANNA)
    world.tell_decision(arn, "Rejected", FIELDS)
    world.decide(arn, "Approved", MALLORY)
    release(world, arn)
    assert "no approval of the package is on record" in refusals(world)
    assert world.live_version() is None


def test_an_approval_of_a_group_that_was_made_again_is_of_another_model(world_of: MakeWorld) -> None:
    """Its first version has the ARN of the former group's: approvals of that do not count for it."""
    world = world_of("{approvals: 2}")
    arn = world.register(1)
    approve(world, arn)
    world.cloud.registry.by_arn.clear()
    again = world.register(2)
    assert again == arn
    approve(world, again, MALLORY)
    release(world, again)
    assert world.live_version() is None
    assert "another run manifest" in refusals(world)
