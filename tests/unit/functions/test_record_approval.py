"""Decisions about model packages: each is recorded and acted on once, whatever the events do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

import fakes
from release_world import PIPELINE, World
from sluice.catalog import keys
from sluice.catalog.changes import Change, Update


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    return World(cloud, invoke)


def approvals(world: World, arn: str) -> list[tuple[str, str]]:
    records = world.cloud.catalog.query(f"PACKAGE#{arn}", "APPROVAL#")
    return [(record["status"], record["approver"]) for record in records]


def test_the_sample_event_starts_the_release_of_what_it_names(world: World, sample: Any) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    recorded = world.invoke("record_approval", sample("record_approval"))
    (execution,) = world.cloud.workflows.executions.values()
    assert recorded["releases"] == [execution["name"]]
    assert execution["machine"] == "release"
    assert execution["input"]["package_arn"] == arn
    assert execution["input"]["actor"] == "arn:aws:iam::123456789012:user/anna"


def test_an_approval_is_recorded_with_its_evidence(world: World) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    (record,) = world.cloud.catalog.query(f"PACKAGE#{arn}", "APPROVAL#")
    metadata = world.cloud.registry.by_arn[arn]["CustomerMetadataProperties"]
    assert record["manifest_sha256"] == metadata["sluice:manifest-sha256"]
    assert record["reason"] == "Approved by hand"
    assert world.timeline() == [("approved", "Approved by hand")]


@pytest.mark.parametrize("times", [1, 5])
def test_an_approval_that_is_told_of_again_releases_once(world: World, times: int) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    for _ in range(times):
        world.tell_decision(arn, "Approved")
    assert len(world.cloud.workflows.executions) == 1
    assert len(approvals(world, arn)) == 1
    assert world.events() == ["approved"]


def test_a_change_of_metadata_of_an_approved_package_does_nothing(world: World) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved", ["CustomerMetadataProperties"])
    assert not world.cloud.workflows.executions


def test_an_event_of_an_older_status_is_read_as_what_is_described(world: World) -> None:
    arn = world.register(1)
    world.decide(arn, "Rejected")
    world.tell_decision(arn, "Approved")
    assert not world.cloud.workflows.executions
    assert [status for status, _ in approvals(world, arn)] == ["Rejected"]


@pytest.mark.parametrize("order", [*itertools.permutations(["Approved", "Rejected", "Approved"])])
def test_events_in_any_order_end_by_the_described_decision(world: World, order: tuple[str, ...]) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    for status in order:
        world.tell_decision(arn, status)
    assert approvals(world, arn) == [("Approved", "arn:aws:iam::123456789012:user/anna")]
    assert len(world.cloud.workflows.executions) == 1


def test_approving_once_more_after_a_withdrawal_is_another_release(world: World) -> None:
    arn = world.register(1)
    for status in ("Approved", "PendingManualApproval", "Approved"):
        world.decide(arn, status)
        world.tell_decision(arn, status)
    assert len(world.cloud.workflows.executions) == 2
    assert "approval withdrawn" in world.events()


def test_a_start_that_failed_is_made_up_for_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = world.register(1)
    world.decide(arn, "Approved")
    with monkeypatch.context() as broken:
        broken.setattr(world.cloud.workflows, "start", _unreachable)
        with pytest.raises(ConnectionError):
            world.tell_decision(arn, "Approved")
    assert not world.cloud.workflows.executions
    world.tell_decision(arn, "Approved")
    assert len(world.cloud.workflows.executions) == 1
    assert world.tell_decision(arn, "Approved")["status"] == "nothing new"


def _unreachable(*_: Any) -> str:
    raise ConnectionError("no answer")


def test_a_decision_that_changes_while_it_is_recorded_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another invocation records a rejection between our look and our write: the newest one stays."""
    arn = world.register(1)
    world.decide(arn, "Approved")
    apply = world.cloud.catalog.apply
    interfered: list[bool] = []

    def interfere(*changes: Change) -> bool:
        decides = any(isinstance(change, Update) and "approval_status" in change.set for change in changes)
        if decides and not interfered:
            interfered.append(True)
            world.decide(arn, "Rejected")
            world.tell_decision(arn, "Rejected")
            world.decide(arn, "Approved")
        return apply(*changes)

    monkeypatch.setattr(world.cloud.catalog, "apply", interfere)
    world.tell_decision(arn, "Approved")
    assert [status for status, _ in approvals(world, arn)] == ["Rejected", "Approved"]
    assert len(world.cloud.workflows.executions) == 1


def test_a_package_that_is_gone_is_no_news(world: World) -> None:
    assert world.tell_decision("arn:gone", "Approved")["status"] == "nothing new"


def test_an_item_that_registration_wrote_first_is_the_same_to_us(world: World) -> None:
    arn = world.register(1)
    written = {"pipeline": PIPELINE, "group": PIPELINE, "version": 1, "run_id": f"{PIPELINE}-00001"}
    world.cloud.catalog.update(keys.package_key(arn), written)
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    assert len(world.cloud.workflows.executions) == 1


def test_a_package_from_elsewhere_is_said_not_to_be_released(world: World) -> None:
    arn = world.create_package(ClientToken="x", metadata={})
    world.decide(arn, "Approved")
    for _ in range(2):
        world.tell_decision(arn, "Approved")
    assert not world.cloud.workflows.executions
    ((event, detail),) = world.timeline()
    assert event == "approval ignored"
    assert "reviews/1 was approved, but no run of this stack registered it" in detail


def test_metadata_that_names_a_run_we_do_not_have_is_from_elsewhere(world: World) -> None:
    arn = world.register(1)
    del world.cloud.catalog.items[(keys.partition(PIPELINE), f"RUN#{PIPELINE}-00001")]
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    assert not world.cloud.workflows.executions
    assert world.events() == ["approval ignored"]


def test_a_package_with_a_copy_of_anothers_metadata_is_from_elsewhere(world: World) -> None:
    """A run registers one package: what else names it was made by somebody."""
    copied = world.cloud.registry.by_arn[world.register(1)]
    arn = world.create_package(ClientToken="x", metadata=copied["CustomerMetadataProperties"])
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    assert not world.cloud.workflows.executions
    ((event, detail),) = world.timeline()
    assert event == "approval ignored"
    assert "reviews/2 was approved, but no run of this stack registered it" in detail


def test_a_package_of_no_pipelines_group_is_noted_with_what_is_unclaimed(world: World) -> None:
    arn = world.create_package(ClientToken="x", metadata={})
    world.cloud.registry.by_arn[arn]["ModelPackageGroupName"] = "fraud"
    world.decide(arn, "Approved")
    world.tell_decision(arn, "Approved")
    (entry,) = world.cloud.catalog.query(keys.UNCLAIMED, "TIMELINE#")
    assert entry["subject"] == "fraud/1"


def test_rejecting_the_live_version_starts_one_rollback(world: World) -> None:
    world.approve(world.register(1))
    world.later(hours=1)
    live = world.approve(arn := world.register(2))
    world.decide(arn, "Rejected")
    for _ in range(5):
        world.tell_decision(arn, "Rejected")
    (execution_arn,) = world.waiting()
    request = world.cloud.workflows.executions[execution_arn]["input"]
    assert (request["cause"], request["stage"], request["rolls_back"]) == ("rejection", "production", live)


def test_rejecting_a_version_that_serves_nowhere_starts_nothing(world: World) -> None:
    arn = world.register(1)
    world.decide(arn, "Rejected")
    assert world.tell_decision(arn, "Rejected")["releases"] == []
    assert world.events() == ["rejected"]


@pytest.mark.parametrize("fields", [["ModelApprovalStatus"], None])
def test_a_rejection_without_a_message_is_not_given_the_reason_of_the_approval_before(
    world: World, fields: list[str] | None
) -> None:
    arn = world.register(1)
    world.approve(arn)
    registered = world.cloud.registry.by_arn[arn]
    world.later(hours=1)
    world.decide(arn, "Rejected")
    registered["ApprovalDescription"] = "Approved by hand"
    world.tell_decision(arn, "Rejected", fields)
    record = world.cloud.catalog.get(keys.approval_key(arn, 2)) or {}
    assert (record["status"], record["reason"]) == ("Rejected", "")
    assert world.timeline()[-1] == ("rejected", "")


def tell_again(world: World, arn: str, fields: list[str], at: str) -> Any:
    detail = {
        "ModelPackageArn": arn,
        "ModelApprovalStatus": "Approved",
        "UpdatedModelPackageFields": fields,
        "LastModifiedTime": at,
    }
    return world.invoke("record_approval", {"detail": detail})


def test_an_approval_that_is_given_again_is_a_decision_of_its_own(world: World) -> None:
    arn = world.register(1)
    world.approve(arn)
    world.later(hours=1)
    world.decide(arn, "Approved")
    (again,) = tell_again(world, arn, ["ModelApprovalStatus"], world.cloud.now.at)["releases"]
    world.run_all()
    assert world.release(again)["reasons"] == ["v1 is already live on production"]
    assert [status for status, _ in approvals(world, arn)] == ["Approved", "Approved"]


def test_the_event_of_an_approval_that_comes_again_later_is_no_new_one(world: World) -> None:
    arn = world.register(1)
    at = world.cloud.now.at
    world.approve(arn)
    world.later(hours=1)
    assert tell_again(world, arn, ["ModelApprovalStatus"], at)["status"] == "nothing new"
    assert len(approvals(world, arn)) == 1


@pytest.mark.parametrize("fields", [[], ["ApprovalDescription"]])
def test_approving_what_is_approved_and_not_live_is_answered_in_the_timeline(
    world: World, fields: list[str]
) -> None:
    arn = world.register(1)
    refuses = {"status_code": 500, "body": b"no luck", "content_type": "text/plain", "variant": None}
    world.cloud.endpoints.responses = [refuses] * 4
    world.approve(arn)
    tell_again(world, arn, fields, world.cloud.now.at)
    assert "sluice approve reviews/1" in dict(world.timeline())["approved already"]


def test_a_change_of_what_is_live_is_no_approval_to_answer(world: World) -> None:
    arn = world.register(1)
    world.approve(arn)
    tell_again(world, arn, [], world.cloud.now.at)
    tell_again(world, arn, ["CustomerMetadataProperties"], world.cloud.now.at)
    assert "approved already" not in world.events()


@pytest.mark.parametrize("status", ["Approved", "Rejected"])
def test_an_approved_version_that_serves_is_not_rolled_back_by_what_is_told_of_it_again(
    world: World, status: str
) -> None:
    """A repeated event, a metadata-only one, or a forged hint of a rejection."""
    world.approve(world.register(1))
    world.later(hours=1)
    world.approve(arn := world.register(2))
    for _ in range(3):
        assert world.tell_decision(arn, status)["status"] == "nothing new"
        hint = {"ModelPackageArn": arn, "ModelApprovalStatus": status}
        world.invoke("record_approval", {"source": "sluice.reconcile", "detail": hint})
    assert world.waiting() == []
    assert world.live_version() == 2
