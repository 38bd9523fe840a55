"""What the stack announces and nobody heard is put on the bus again, until what follows from it was done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

import announcements
import fakes
from release_world import PIPELINE, World
from sluice.catalog import keys
from sluice.catalog.records.releases import Package
from sluice.domain.times import from_iso, to_iso
from sluice.services import announcing

Invoke = Callable[[str, Any], Any]
ALARM = "sluice_dead-letters"
AT = "2026-11-24T09:00:00.000Z"
# One of each event that people are told of, as its part of the stack announces it.
TOLD: dict[str, dict[str, Any]] = {
    "ApprovalAwaited": {"model": f"{PIPELINE}/1", "package_arn": "arn", "at": AT, "reason": "it is better"},
    "BatchRefused": {"key": f"batch/{PIPELINE}/a.csv", "version_id": "v1", "at": AT, "reasons": ["no label"]},
    "BudgetReached": {"reason": "used up", "until": "2026-11-25T00:00:00.000Z", "at": AT},
    "EndpointDeviated": {"stage": "production", "endpoint_name": "e", "at": AT, "reasons": ["other config"]},
    "MonitoringJudged": {
        **{"stage": "production", "release_id": "r", "judged": "labels", "start": AT, "end": AT},
        **{"status": "violated", "is_estimate": False, "reasons": ["accuracy is 0.1"], "report_uri": None},
    },
    "ReleaseEnded": {"release_id": "r", "outcome": "failed", "package_version": 1, "stages": ["production"]},
    "RollbackImpossible": {
        "stage": "production",
        "release_id": "r",
        "cause": "alarm",
        "why": "failed",
        "at": AT,
    },
    "RunEnded": {"run_id": f"{PIPELINE}-00001", "status": "failed", "reasons": ["x"], "ended_at": AT},
    "TransformEnded": {
        "transform_id": "t",
        "status": "failed",
        "inputs": 1,
        "reasons": ["x"],
        "ended_at": AT,
    },
}
UNTOLD: dict[str, dict[str, Any]] = {
    "MonitoringJudged": {**TOLD["MonitoringJudged"], "status": "no_data"},
    "RunEnded": {**TOLD["RunEnded"], "status": "registered"},
    "ScalingDue": {"stage": "production"},
    "MonitoringDue": {},
    "ProjectRegistered": {"project_version": "p"},
}


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World(cloud, invoke)


def wait(cloud: fakes.Cloud, **delta: float) -> None:
    """Time passes, and what was announced is lost."""
    cloud.now.at = to_iso(from_iso(cloud.now.at) + timedelta(**delta))


def put_again(cloud: fakes.Cloud, invoke: Invoke) -> list[tuple[str, dict[str, Any]]]:
    """What a pass of reconcile puts on the bus."""
    cloud.bus.entries.clear()
    invoke("reconcile", {})
    return [(kind, detail) for kind, detail, _ in cloud.bus.entries]


def hear(cloud: fakes.Cloud, invoke: Invoke, function: str) -> list[Any]:
    """Deliver to a function what a pass of reconcile puts on the bus."""
    found = put_again(cloud, invoke)
    return [invoke(function, announcements.event(kind, detail, cloud.now())) for kind, detail in found]


@pytest.mark.parametrize("kind", TOLD)
def test_people_are_told_once_although_the_event_was_lost(
    cloud: fakes.Cloud, invoke: Invoke, kind: str
) -> None:
    announcing.announce(cloud, kind, PIPELINE, TOLD[kind])
    assert put_again(cloud, invoke) == []
    wait(cloud, minutes=5)
    for answer in hear(cloud, invoke, "send_notice"):
        assert answer["status"] in ("told", "known")
    (notice,) = cloud.notices.published
    assert PIPELINE in notice.title
    announcements.hear_all(cloud)
    wait(cloud, days=1)
    assert put_again(cloud, invoke) == []


@pytest.mark.parametrize("kind", TOLD)
def test_what_was_heard_is_not_put_on_the_bus_again(cloud: fakes.Cloud, invoke: Invoke, kind: str) -> None:
    announcing.announce(cloud, kind, PIPELINE, TOLD[kind])
    ((_, detail),) = cloud.bus.announced
    for function in ("send_notice", "follow_life_cycle") if kind == "ReleaseEnded" else ("send_notice",):
        invoke(function, announcements.event(kind, detail, cloud.now()))
    wait(cloud, minutes=5)
    assert put_again(cloud, invoke) == []
    assert announcements.unheard(cloud) == []


@pytest.mark.parametrize("kind", UNTOLD)
def test_what_nobody_need_hear_is_not_kept(cloud: fakes.Cloud, kind: str) -> None:
    announcing.announce(cloud, kind, PIPELINE, UNTOLD[kind])
    assert announcements.unheard(cloud) == []
    assert len(cloud.bus.announced) == 1


def test_what_a_function_fails_on_comes_again_ever_more_seldom_for_a_day(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    announcing.announce(cloud, "RunEnded", PIPELINE, TOLD["RunEnded"])
    begun, heard = from_iso(cloud.now()), list[datetime]()
    while from_iso(cloud.now()) - begun < timedelta(days=3):
        wait(cloud, minutes=5)
        heard += [from_iso(cloud.now())] * len(put_again(cloud, invoke))
    pauses = [after - before for before, after in pairwise(heard)]
    assert heard[0] - begun == timedelta(minutes=5)
    assert pauses == [timedelta(minutes=5 * 2**number) for number in range(1, len(heard))]
    assert timedelta(hours=20) < heard[-1] - begun < timedelta(days=1)


def test_of_two_passes_one_puts_it_on_the_bus(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    announcing.announce(cloud, "RunEnded", PIPELINE, TOLD["RunEnded"])
    wait(cloud, minutes=5)
    listed = cloud.catalog.listing(keys.UNHEARD)
    assert len(put_again(cloud, invoke)) == 1
    listing = cloud.catalog.listing
    monkeypatch.setattr(
        cloud.catalog, "listing", lambda name: listed if name == keys.UNHEARD else listing(name)
    )
    assert put_again(cloud, invoke) == []


def test_an_announcement_that_is_repeated_after_it_was_heard_is_to_be_heard_anew(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    """Who announces may die before it notes that: then it announces again, and that may be lost."""
    for _ in range(2):
        announcing.announce(cloud, "RunEnded", PIPELINE, TOLD["RunEnded"])
        assert [each.repeats for each in announcements.unheard(cloud)] == [0]
        wait(cloud, minutes=5)
        (answer,) = hear(cloud, invoke, "send_notice")
        assert announcements.unheard(cloud) == []
    assert answer["status"] == "known"
    assert len(cloud.notices.published) == 1


def test_the_end_of_a_release_that_was_lost_is_followed_in_the_registry(world: World) -> None:
    arn = world.register(1)
    release_id = world.approve(arn)

    def release() -> dict[str, Any]:
        return world.cloud.catalog.get(keys.release_key(PIPELINE, release_id)) or {}

    assert release().get("followed_at") is None
    wait(world.cloud, minutes=5)
    hear(world.cloud, world.invoke, "follow_life_cycle")
    assert release()["followed_at"] == world.cloud.now()
    package = Package.of(world.cloud.catalog.get(keys.package_key(arn)) or {})
    assert package.life_cycle == "Production/Approved"
    wait(world.cloud, days=1)
    assert put_again(world.cloud, world.invoke) == []


# -------------------------------------------------------------------------------- decisions, without events


def test_a_rejection_whose_event_was_lost_rolls_back(world: World) -> None:
    for number in (1, 2):
        world.approve(arn := world.register(number))
        world.later(hours=1)
    world.decide(arn, "Rejected")
    world.reconcile()
    world.run_all()
    assert world.live_version() == 1


def test_an_approval_whose_withdrawal_was_lost_no_longer_counts(world: World) -> None:
    world.approve(arn := world.register(1))
    world.decide(arn, "PendingManualApproval")
    world.reconcile()
    assert "approval withdrawn" in world.events()
    package = Package.of(world.cloud.catalog.get(keys.package_key(arn)) or {})
    assert package.approval_status == "PendingManualApproval"


# ------------------------------------------------------------------------------- alarms of the stack itself


def alarmed(cloud: fakes.Cloud, state: str) -> None:
    described = "An event waits. Next: sluice status."
    cloud.alarms.put({"AlarmName": ALARM, "AlarmDescription": described, "StateReason": "2 > 0"})
    cloud.alarms.set_state(ALARM, state, from_iso(cloud.now()))


def test_an_alarm_of_the_stack_is_told_once_and_so_is_its_end_although_both_events_were_lost(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    alarmed(cloud, "ALARM")
    for _ in range(3):
        hear(cloud, invoke, "send_notice")
        wait(cloud, minutes=5)
    assert [notice.title for notice in cloud.notices.published] == ["An event waits."]
    assert cloud.notices.published[0].reason == "2 > 0"
    alarmed(cloud, "OK")
    for _ in range(3):
        hear(cloud, invoke, "send_notice")
        wait(cloud, minutes=5)
    assert [notice.title for notice in cloud.notices.published] == [
        "An event waits.",
        "Over: an event waits.",
    ]


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_of_an_alarm_that_did_not_fire_nobody_is_told(cloud: fakes.Cloud, invoke: Invoke, state: str) -> None:
    alarmed(cloud, state)
    assert put_again(cloud, invoke) == []


def test_an_alarm_that_people_were_told_of_is_not_told_again_while_it_has_no_data(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    alarmed(cloud, "ALARM")
    hear(cloud, invoke, "send_notice")
    alarmed(cloud, "INSUFFICIENT_DATA")
    assert put_again(cloud, invoke) == []


# ------------------------------------------------------------------------------------- requests for builds


@pytest.mark.parametrize(
    "waits",
    [
        {"retrain_cause": "drift on production"},
        {"recalled_key": f"{PIPELINE}/a.csv"},
        {"built_project_version": "another"},
        {},
    ],
    ids=["monitoring", "recall", "project", "nothing"],
)
def test_a_build_that_waits_is_asked_for_again(world: World, waits: dict[str, Any]) -> None:
    current = {"dataset_version": "d" * 64, "built_project_version": world.project_version}
    world.cloud.catalog.update(keys.pipeline_key(PIPELINE), {**current, **waits}, None)
    put_again(world.cloud, world.invoke)
    assert world.cloud.build_requests.sent == ([(PIPELINE, 0)] if waits else [])
