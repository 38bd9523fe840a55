"""The registry says where a version is in its life; what a person writes there is heeded or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fakes
import release_world
from release_world import PIPELINE, World
from sluice.catalog import keys
from sluice.catalog.records.releases import Package
from sluice.domain.release import life_cycles
from sluice.domain.release.life_cycles import LifeCycle, Place

TWO_STAGES = release_world.PIPELINE_YAML.replace(
    "stages: [{name: production,", "stages: [{name: staging}, {name: production, requires_approval: true,"
)
ANNA = "arn:aws:iam::123456789012:user/anna"
MODEL = f"{PIPELINE}/1"
EVENT = "SageMaker Model Package State Change"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Callable[[str, Any], Any]) -> World:
    """A version that is live on staging and that production waits for."""
    made = World(
        cloud,
        invoke,
        TWO_STAGES.replace(
            "{name: staging}", "{name: staging, traffic: {type: all_at_once, bake_s: 60, unwatched: true}}"
        ),
    )
    ended(made, made.approve(made.register(1)))
    return made


def arn_of(world: World, version: int = 1) -> str:
    return next(arn for arn in world.cloud.registry.by_arn if arn.endswith(f"/{version}"))


def ended(world: World, release_id: str) -> list[str]:
    """What follows from a release's end, however often it is told."""
    event = {"detail": {"stack": "sluice", "pipeline": PIPELINE, "release_id": release_id}}
    first = world.invoke("follow_life_cycle", event)["written"]
    assert world.invoke("follow_life_cycle", event)["written"] == []
    return list(first)


def of(world: World, version: int = 1) -> str | None:
    said = life_cycles.of_package(world.cloud.registry.by_arn[arn_of(world, version)])
    return said.text if said else None


def say(world: World, text: str, version: int = 1) -> str:
    """What UpdateModelPackage does with a person's ModelLifeCycle."""
    arn, (stage, status) = arn_of(world, version), text.split("/")
    world.cloud.registry.by_arn[arn].update(
        ModelLifeCycle={"Stage": stage, "StageStatus": status},
        LastModifiedTime=world.at(),
        LastModifiedBy={"IamIdentity": {"Arn": ANNA}},
    )
    return arn


def tell(world: World, arn: str) -> list[str]:
    """Deliver the event of it, twice."""
    detail = {"ModelPackageArn": arn, "UpdatedModelPackageFields": ["ModelLifeCycle"]}
    found = [world.invoke("follow_life_cycle", {"detail": detail})["written"] for _ in range(2)]
    assert found[1] == []
    return list(found[0])


def noted(world: World, verdict: str) -> str:
    (detail,) = [each for event, each in world.timeline() if event == f"life cycle {verdict}"]
    return detail


def test_the_sample_event_finds_what_nobody_has_to_heed(cloud: fakes.Cloud, invoke: Any, sample: Any) -> None:
    World(cloud, invoke)
    assert invoke("follow_life_cycle", sample("follow_life_cycle")) == {"written": []}


def test_a_version_that_waits_for_a_person_is_pending_for_that_stage(world: World) -> None:
    assert of(world) == "Production/PendingApproval"
    description = world.cloud.registry.by_arn[arn_of(world)]["ModelLifeCycle"]["StageDescription"]
    assert description == "live on staging; a person releases it to production"


def test_who_approves_the_stage_in_the_registry_releases_to_it(world: World) -> None:
    world.later(minutes=5)
    arn = say(world, "Production/Approved")
    assert tell(world, arn) == []
    (execution,) = world.waiting()
    request = world.cloud.workflows.executions[execution]["input"]
    assert (request["stages"], request["package_arn"], request["actor"]) == (["production"], arn, ANNA)
    assert noted(world, "adopted").startswith("Production Approved in the registry: production waits for it")
    world.run_all()
    assert world.live_version("production") == 1
    ended(world, request["release_id"])
    assert of(world) == "Production/Approved"


def test_a_version_that_is_replaced_is_archived_and_one_rolled_back_rejected(world: World) -> None:
    world.later(hours=1)
    ended(world, world.approve(world.register(2)))
    assert (of(world, 1), of(world, 2)) == ("Archived/Retired", "Production/PendingApproval")
    world.later(hours=1)
    world.fire("sluice--reviews--staging--error-rate")
    world.tell_alarm("sluice--reviews--staging--error-rate")
    (execution,) = world.waiting()
    world.run_all()
    ended(world, execution.rpartition(":")[2])
    assert (of(world, 1), of(world, 2)) == ("Production/PendingApproval", "Staging/Rejected")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Archived/Retired", "it serves on staging: `sluice rollback reviews --stage staging` takes it back"),
        ("Staging/Rejected", "it serves on staging"),
    ],
)
def test_what_contradicts_what_serves_is_refused_and_what_is_so_is_written_again(
    world: World, text: str, reason: str
) -> None:
    world.later(minutes=5)
    assert tell(world, say(world, text)) == ["Production/PendingApproval"]
    assert reason in noted(world, "refused")
    assert of(world) == "Production/PendingApproval"
    assert world.waiting() == []


def test_a_stage_is_not_skipped_and_a_pending_version_not_released(world: World) -> None:
    world.later(minutes=5)
    rejected = world.register(2)
    world.decide(rejected, "Rejected")
    world.tell_decision(rejected, "Rejected")
    assert tell(world, say(world, "Production/Approved", 2)) == ["Development/Rejected"]
    assert "the version is Rejected: `sluice approve reviews/2`" in noted(world, "refused")
    place = Place(["staging", "production"], [], None, None, "Approved")
    judgement = life_cycles.judge(LifeCycle("Production", "Approved"), place, "reviews/2", PIPELINE)
    assert judgement.verdict == "refused"
    assert "not live on staging: `sluice approve reviews/2 --stage production`" in judgement.reason
    assert world.waiting() == []


def test_a_stage_of_their_own_is_kept_and_noted(world: World) -> None:
    world.later(minutes=5)
    assert tell(world, say(world, "QA/InProgress")) == []
    assert of(world) == "QA/InProgress"
    assert "the project has no stage QA" in noted(world, "noted")
    assert world.cloud.catalog.query(keys.partition(PIPELINE), keys.TIMELINE)[-1]["actor"] == ANNA


def test_a_change_whose_event_was_lost_is_found_by_reconcile_once(world: World) -> None:
    world.later(minutes=5)
    say(world, "Production/Approved")
    assert hints(world) == [arn_of(world)]
    tell(world, arn_of(world))
    assert hints(world) == []


def hints(world: World) -> list[str]:
    world.cloud.bus.entries.clear()
    world.invoke("reconcile", {})
    return [
        detail["ModelPackageArn"]
        for kind, detail, _ in world.cloud.bus.entries
        if kind == EVENT and detail.get("UpdatedModelPackageFields") == ["ModelLifeCycle"]
    ]


def test_a_crash_while_it_is_written_is_not_taken_for_a_person(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_id = world.approve(world.register(2))
    event = {"detail": {"stack": "sluice", "pipeline": PIPELINE, "release_id": release_id}}

    def lost(*_: object) -> None:
        raise RuntimeError("the function ends here")

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.registry, "write_life_cycle", lost)
        with pytest.raises(RuntimeError):
            world.invoke("follow_life_cycle", event)
    assert sorted(hints(world)) == [arn_of(world, 1), arn_of(world, 2)]
    assert tell(world, arn_of(world, 2)) == ["Production/PendingApproval"]
    assert tell(world, arn_of(world, 1)) == ["Archived/Retired"]
    assert hints(world) == []
    assert not [event for event in world.events() if event.startswith("life cycle")]


def test_a_crash_after_it_was_written_neither(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    release_id = world.approve(world.register(2))
    write = world.cloud.registry.write_life_cycle

    def lost(*given: Any) -> None:
        write(*given)
        raise RuntimeError("the function ends here")

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.registry, "write_life_cycle", lost)
        with pytest.raises(RuntimeError):
            world.invoke("follow_life_cycle", {"detail": {"pipeline": PIPELINE, "release_id": release_id}})
    assert sorted(hints(world)) == [arn_of(world, 1), arn_of(world, 2)]
    assert tell(world, arn_of(world, 2)) == ["Production/PendingApproval"]
    assert tell(world, arn_of(world, 1)) == ["Archived/Retired"]
    assert hints(world) == []


def test_what_a_person_wrote_while_a_release_ran_is_not_lost(world: World) -> None:
    """The end of the release finds it, though its own event comes later or never."""
    release_id = world.approve(world.register(2))
    world.later(minutes=5)
    say(world, "QA/OnHold", 1)
    event = {"detail": {"pipeline": PIPELINE, "release_id": release_id}}
    world.invoke("follow_life_cycle", event)
    assert "the project has no stage QA" in noted(world, "noted")
    assert of(world, 1) == "QA/OnHold"


def test_an_end_that_is_told_again_leaves_what_a_person_wrote_since(world: World) -> None:
    release_id = world.approve(world.register(2))
    event = {"detail": {"pipeline": PIPELINE, "release_id": release_id}}
    world.invoke("follow_life_cycle", event)
    assert (of(world, 1), of(world, 2)) == ("Archived/Retired", "Production/PendingApproval")
    world.later(minutes=5)
    for version in (1, 2):
        assert tell(world, say(world, "QA/InProgress", version)) == []
    assert world.invoke("follow_life_cycle", event)["written"] == []
    assert (of(world, 1), of(world, 2)) == ("QA/InProgress", "QA/InProgress")
    # The next release's end says what is so again.
    world.later(hours=1)
    ended(world, world.approve(world.register(3)))
    assert of(world, 2) == "Archived/Retired"


def test_an_end_whose_writing_crashed_is_finished_when_it_is_told_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_id = world.approve(world.register(2))
    event = {"detail": {"pipeline": PIPELINE, "release_id": release_id}}

    def lost(*_: object) -> None:
        raise RuntimeError("the function ends here")

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.registry, "write_life_cycle", lost)
        with pytest.raises(RuntimeError):
            world.invoke("follow_life_cycle", event)
    assert sorted(world.invoke("follow_life_cycle", event)["written"]) == [
        "Archived/Retired",
        "Production/PendingApproval",
    ]


def test_an_end_that_meets_a_person_at_the_same_moment_takes_effect_after_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their value is heeded between our look and our write: the plan is made anew."""
    release_id = world.approve(world.register(2))
    apply, event = world.cloud.catalog.apply, {"detail": {"pipeline": PIPELINE, "release_id": release_id}}

    def overtaken(*changes: Any) -> bool:
        monkeypatch.setattr(world.cloud.catalog, "apply", apply)
        tell(world, say(world, "QA/InProgress", 1))
        return apply(*changes)

    monkeypatch.setattr(world.cloud.catalog, "apply", overtaken)
    assert world.invoke("follow_life_cycle", event)["written"] == [
        "Production/PendingApproval",
        "Archived/Retired",
    ]


@pytest.fixture
def canary(world: World) -> tuple[World, str]:
    """A second version whose release to staging has begun to change the endpoint; with the release's id."""
    world.later(hours=1)
    execution, task = world.plan(world.register(2))
    world.task("deploy_model", task_token="token", **task)
    assert world.cloud.endpoints.by_name[task["stage"]["endpoint_name"]]["EndpointStatus"] == "Updating"
    return world, execution.rpartition(":")[2]


@pytest.mark.parametrize("told_first", [True, False])
@pytest.mark.parametrize(
    ("text", "verdict", "reason"),
    [
        ("Staging/Approved", "noted", "a release to staging is under way already"),
        ("Staging/Rejected", "refused", "which the registry does not stop: `sluice reject reviews/2` does"),
        ("Archived/Retired", "refused", "which the registry does not stop"),
        ("Production/Approved", "refused", "production does not wait for it"),
        ("QA/OnHold", "noted", "the project has no stage QA"),
    ],
)
def test_what_is_written_during_a_canary_is_judged_once_and_never_lost(
    canary: tuple[World, str], text: str, verdict: str, reason: str, told_first: bool
) -> None:
    """Whether its event comes while the canary runs, or never, and the release's end finds it."""
    world, release_id = canary
    say(world, text, 2)
    if told_first:
        written = tell(world, arn_of(world, 2))
        assert written == (["Staging/OnHold"] if verdict == "refused" else [])
        assert reason in noted(world, verdict)
    finish(world, release_id, error="DeploymentRolledBackError")
    world.invoke("follow_life_cycle", {"detail": {"pipeline": PIPELINE, "release_id": release_id}})
    assert len([event for event in world.events() if event.startswith("life cycle")]) == 1
    if told_first:
        assert of(world, 2) == "Staging/OnHold"
    assert world.waiting() == []


def test_what_is_written_during_a_canary_that_is_released_gives_way_to_what_is_so(
    canary: tuple[World, str],
) -> None:
    world, release_id = canary
    say(world, "Staging/Rejected", 2)
    tell(world, arn_of(world, 2))
    request = world.cloud.workflows.executions[execution_of(world, release_id)]["input"]
    world.settle(world.cloud.endpoints, "sluice--reviews--staging")
    stage = {"stage": "staging", "endpoint_name": "sluice--reviews--staging"}
    names = {"model_name": f"sluice--{release_id}", "endpoint_config_name": f"sluice--{release_id}--staging"}
    planned = {"pipeline": PIPELINE, "release_id": release_id, "package_arn": arn_of(world, 2)}
    world.task("promote_release", **planned, is_rollback=False, stage={**stage, **names})
    world.task("finish_release", execution_arn=execution_of(world, release_id), release=request)
    ended(world, release_id)
    assert of(world, 2) == "Production/PendingApproval"
    assert "does not stop" in noted(world, "refused")


def execution_of(world: World, release_id: str) -> str:
    return next(arn for arn in world.cloud.workflows.executions if arn.endswith(f":{release_id}"))


def finish(world: World, release_id: str, error: str) -> None:
    """What a release's machine does at its end, after this error."""
    arn = execution_of(world, release_id)
    request = world.cloud.workflows.executions[arn]["input"]
    failure = {"Error": error, "Cause": "an alarm fired"}
    world.task("finish_release", execution_arn=arn, release=request, failure=failure)


def test_a_version_of_nobody_is_left_alone(world: World) -> None:
    arn = world.create_package(ClientToken="x", metadata={})
    world.cloud.catalog.create(Package(arn, PIPELINE, 2).item())
    world.cloud.registry.by_arn[arn]["ModelLifeCycle"] = {"Stage": "Production", "StageStatus": "Approved"}
    assert tell(world, arn) == []
    assert hints(world) == []


PLACES = st.builds(
    Place,
    st.just(["staging", "production"]),
    st.sampled_from([[], ["staging"], ["production"], ["staging", "production"]]),
    st.sampled_from([None, "production"]),
    st.none(),
    st.sampled_from(["Approved", "Rejected", "PendingManualApproval"]),
)


@given(
    place=PLACES,
    stage=st.sampled_from(["Staging", "production", "QA", "Archived", "Development"]),
    status=st.sampled_from(["Approved", "Rejected", "PendingApproval", "Retired", "X"]),
)
def test_only_an_approved_version_that_a_stage_waits_for_is_ever_released(
    place: Place, stage: str, status: str
) -> None:
    judgement = life_cycles.judge(LifeCycle(stage, status), place, MODEL, PIPELINE)
    assert judgement.reason
    if judgement.stage is not None:
        assert (judgement.verdict, judgement.stage) == ("adopted", place.awaited)
        assert place.approval_status == status == "Approved"
        assert judgement.stage not in place.live_on
    truth = life_cycles.truth(place)
    assert life_cycles.judge(truth, place, MODEL, PIPELINE).verdict == "noted"


def test_the_end_of_a_release_that_nobody_knows_writes_nothing(world: World) -> None:
    assert ended(world, f"{PIPELINE}-v9-00000000") == []
