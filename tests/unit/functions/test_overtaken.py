"""A version that nobody approved is released only where what it was compared with still serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import build_world
import fakes
import sdk_world
from browsing import body
from release_world import ENDPOINT, PIPELINE, PIPELINE_YAML, TaskFailed, World
from sluice.catalog import keys
from sluice.catalog.changes import releases as changes
from sluice.catalog.records.releases import Package
from sluice.domain.build import champions
from sluice.services.release import served
from sluice.services.views import awaited, model_pages, pipelines, runs
from sluice_cli.run_page import print_run
from sluice_cli.serving_commands import print_status

SECOND, THIRD = "reviews-00002", "reviews-00003"
LIMIT = "gates: [metrics.accuracy.value >= 0.5"
COMPARING = PIPELINE_YAML.replace(LIMIT, f"{LIMIT}, metrics.accuracy.value better_than champion")
AUTOMATIC = f"{COMPARING}register: {{approval: automatic}}\n"
WITHOUT_COMPARISON = f"{PIPELINE_YAML}register: {{approval: automatic}}\n"
TWO_STAGES = AUTOMATIC.replace("stages: [{", "stages: [{name: staging}, {requires_approval: true, ")
BOTH_STAGES = AUTOMATIC.replace("stages: [{", "stages: [{name: staging}, {")
WHY = "a person decides, although approval is automatic: "

Invoke = Callable[[str, Any], Any]


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    """The first version serves, which a person approved; what comes now approves itself."""
    made = World(cloud, invoke, COMPARING)
    made.approve(made.register(1))
    made.later(hours=1)
    made.push(AUTOMATIC)
    return made


def champion(world: World, stage: str = "production") -> dict[str, Any]:
    """What a run that looks now names in its manifest."""
    release_id = world.stage(stage)["live"]
    deployment = world.deployment(release_id, stage)
    named = ("package_arn", "package_version", "run_id")
    return {**{name: deployment[name] for name in named}, "release_id": release_id, "stage": stage}


def tell(world: World, arn: str) -> None:
    """Have the stack hear that a version was registered as approved."""
    world.decide(arn, "Approved", by="arn:aws:iam::123456789012:role/register")
    world.tell_decision(arn, "Approved")


def arrive(world: World, number: int, **given: Any) -> str:
    """Have a version registered as approved, and what follows from that played to its end."""
    arn = world.register(number, **given)
    tell(world, arn)
    world.run_all()
    return arn


def by_hand(arn: str, stage: str) -> tuple[str, dict[str, Any]]:
    """The execution with which a person releases a version to a stage, and its input."""
    release_id = f"reviews-v{arn.rpartition('/')[2]}-00000001"
    request = {"pipeline": PIPELINE, "release_id": release_id, "cause": "command", "actor": "anna"}
    return release_id, {**request, "package_arn": arn, "stages": [stage]}


def release_by_hand(world: World, arn: str, stage: str) -> None:
    world.cloud.workflows.start("release", *by_hand(arn, stage))
    world.run_all()


def refused(world: World, version: int) -> str:
    """The one reason why a version's only release was refused."""
    (release,) = [each for each in world.releases() if f"-v{version}-" in each["sk"]]
    assert release["status"] == "refused"
    (reason,) = release["reasons"]
    return str(reason)


def test_a_version_whose_champion_still_serves_is_released(world: World) -> None:
    arrive(world, 2, champion=champion(world))
    assert world.served_version() == "2"


def test_a_version_whose_champion_was_replaced_while_it_trained_is_refused(world: World) -> None:
    seen = champion(world)
    arrive(world, 2, champion=seen)
    since = world.deployment(world.stage()["live"])["promoted_at"]
    world.later(hours=1)
    arrive(world, 3, champion=seen)
    said = f"v3 was compared with v1, but production serves v2 since {since}"
    assert refused(world, 3) == f"{WHY}{said}; `sluice approve reviews/3` releases it"
    assert (world.served_version(), world.stage().get("releasing")) == ("2", None)


def test_a_version_whose_champion_is_replaced_while_it_waits_for_the_stage_is_refused(world: World) -> None:
    seen = champion(world)
    for number in (2, 3):
        tell(world, world.register(number, champion=seen))
        world.later(minutes=1)
    assert len(world.waiting()) == 2
    world.run_all()
    assert "v3 was compared with v1, but production serves v2" in refused(world, 3)
    assert world.served_version() == "2"


def test_a_person_who_approves_an_overtaken_version_releases_it(world: World) -> None:
    seen = champion(world)
    for number in (2, 3):
        arn = arrive(world, number, champion=seen)
        world.later(hours=1)
    assert world.served_version() == "2"
    # What `sluice approve` does with a version that is approved.
    world.decide(arn, "PendingManualApproval")
    world.tell_decision(arn, "PendingManualApproval")
    world.later(minutes=1)
    world.approve(arn)
    assert world.served_version() == "3"


def test_a_version_that_a_person_approved_first_is_released_whatever_serves(world: World) -> None:
    """It was registered for a person, although its project says automatic: that decision is the first one."""
    seen = champion(world)
    arrive(world, 2, champion=seen)
    world.later(hours=1)
    arn = world.register(3, champion=seen)
    item = {"pipeline": PIPELINE, "group": PIPELINE, "version": 3, "run_id": THIRD}
    world.cloud.catalog.create({**keys.package_key(arn), **item, "needs_person": f"{WHY}data were recalled"})
    world.approve(arn)
    assert world.served_version() == "3"


def test_requests_about_the_champion_are_made_for_automatic_comparing_versions_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, asked = champion(world), []

    def find(*given: Any) -> champions.Live | None:
        asked.append(given)
        return None

    monkeypatch.setattr(served, "find_champion", find)
    for number, project in ((2, COMPARING), (3, WITHOUT_COMPARISON), (4, AUTOMATIC)):
        world.push(project)
        assert not asked
        world.approve(world.register(number, champion=seen))
        world.later(hours=1)
        assert world.served_version() == str(number)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "manifest", [{}, {"champion": None}, {"champion": {"passed_over": "passed over, as ann pushed"}}]
)
@pytest.mark.parametrize("is_retired", [False, True])
def test_a_version_of_an_older_stack_that_was_compared_with_nothing_is_refused(
    world: World, manifest: dict[str, Any], is_retired: bool
) -> None:
    """Such versions are registered for a person now, and were registered as approved once."""
    given: dict[str, Any] = {
        name: {**champion(world), **value} if value else value for name, value in manifest.items()
    }
    if is_retired:
        retire(world)
    arrive(world, 2, **given)
    assert refused(world, 2).startswith(f"{WHY}v2 was compared with no champion, by its run's manifest; ")


def retire(world: World) -> None:
    """Let nothing serve any more."""
    live, at = world.stage()["live"], world.cloud.now()
    world.cloud.catalog.apply(changes.retire_deployment(PIPELINE, "production", live, at))
    world.cloud.catalog.apply(changes.retire_stage(PIPELINE, "production", live))
    del world.cloud.endpoints.by_name[ENDPOINT]


def test_a_version_whose_champion_was_retired_is_released(world: World) -> None:
    arn = world.register(2, champion=champion(world))
    retire(world)
    tell(world, arn)
    world.run_all()
    assert world.served_version() == "2"


def test_a_version_whose_champion_serves_again_by_a_rollback_is_released(world: World) -> None:
    seen = champion(world)
    arrive(world, 2, champion=seen)
    world.later(hours=1)
    back = {"pipeline": PIPELINE, "release_id": "reviews-v2-00000009", "cause": "command", "actor": "anna"}
    world.cloud.workflows.start("release", "reviews-v2-00000009", {**back, "stage": "production"})
    world.run_all()
    assert (world.served_version(), world.stage()["live"]) == ("1", "reviews-v2-00000009")
    world.later(hours=1)
    arrive(world, 3, champion=seen)
    assert world.served_version() == "3"


def test_an_alarm_rolls_an_automatic_version_back_to_one_that_it_was_not_compared_with(world: World) -> None:
    for number in (2, 3):
        arrive(world, number, champion=champion(world))
        world.later(hours=1)
    rejected = next(arn for arn in world.cloud.registry.by_arn if arn.endswith("/2"))
    world.decide(rejected, "Rejected")
    world.tell_decision(rejected, "Rejected")
    world.fire()
    world.tell_alarm()
    world.run_all()
    assert world.served_version() == "1"


def test_a_release_that_is_planned_again_is_planned_alike(world: World) -> None:
    tell(world, world.register(2, champion=champion(world)))
    (execution_arn,) = world.waiting()
    task = {
        "execution_arn": execution_arn,
        "release": world.cloud.workflows.executions[execution_arn]["input"],
    }
    assert world.task("plan_release", **task) == world.task("plan_release", **task)


def test_what_is_not_on_record_was_not_compared_with(world: World) -> None:
    arn = world.register(2, champion=champion(world))
    world.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), {"live": "reviews-v9-lost"})
    tell(world, arn)
    (execution_arn,) = world.waiting()
    request = world.cloud.workflows.executions[execution_arn]["input"]
    with pytest.raises(TaskFailed, match="production serves reviews-v9-lost, of which there is no record"):
        world.task("plan_release", execution_arn=execution_arn, release=request)


def test_the_champion_of_a_project_with_two_stages_is_what_production_serves(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = World(cloud, invoke, TWO_STAGES.replace("register: {approval: automatic}\n", ""))
    first = world.register(1)
    world.approve(first)
    world.later(hours=1)
    release_by_hand(world, first, "production")
    world.push(TWO_STAGES)
    seen = champion(world)
    for number in (2, 3):
        world.later(hours=1)
        arn = arrive(world, number, champion=seen)
        assert (world.live_version("staging"), world.live_version("production")) == (number, 1)
    world.later(hours=1)
    release_by_hand(world, arn, "production")
    assert world.live_version("production") == 3
    world.later(hours=1)
    arrive(world, 4, champion=seen)
    assert "v4 was compared with v1, but production serves v3" in refused(world, 4)
    assert world.live_version("staging") == 3


def test_a_version_that_a_person_released_to_staging_first_goes_on_to_production(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    """Production serves nothing yet, so the champion was staging's, where the version itself serves now."""
    world = World(cloud, invoke, COMPARING.replace("name: production", "name: staging"))
    world.approve(world.register(1))
    world.later(hours=1)
    world.push(BOTH_STAGES)
    tell(world, arn := world.register(2, champion=champion(world, "staging")))
    (automatic,) = world.waiting()
    world.cloud.workflows.start("release", *by_hand(arn, "staging"))
    world.run(next(each for each in world.waiting() if each != automatic))
    assert (world.live_version("staging"), world.live_version("production")) == (2, None)
    world.run(automatic)
    assert (world.live_version("staging"), world.live_version("production")) == (2, 2)


def plan(built: build_world.World, run_id: str) -> Any:
    """Tell the stack of the version that a run registered, and plan its release."""
    arn = built.catalog_run(run_id)["model_package_arn"]
    assert built.cloud.registry.by_arn[arn]["ModelApprovalStatus"] == "Approved"
    (release_id,) = built.invoke("record_approval", {"detail": {"ModelPackageArn": arn}})["releases"]
    execution_arn = next(each for each in built.cloud.workflows.executions if each.endswith(release_id))
    request = built.cloud.workflows.executions[execution_arn]["input"]
    return built.invoke("plan_release", {"execution_arn": execution_arn, "release": request})


@pytest.fixture
def built(cloud: fakes.Cloud, invoke: Invoke) -> build_world.World:
    """Runs that register what a release reads; the first version serves."""
    cloud.allows_automatic_approval = True
    return build_world.World.of_live_model(cloud, invoke)


def build_by_scripts(built: build_world.World) -> None:
    built.push(pipeline=f"{build_world.PIPELINE_YAML}register: {{approval: automatic}}\n".encode())
    for name, rows in (("b.csv", b"x,y\n3,1\n"), ("c.csv", b"x,y\n4,1\n")):
        assert built.build(name, rows) == "registered"


def build_by_a_pipeline_of_sagemaker(built: build_world.World) -> None:
    sdk_world.push(built, yaml=f"{sdk_world.PIPELINE_YAML}register: {{approval: automatic}}\n")
    for run_id, name, rows in ((SECOND, "b.csv", b"x,y\n3,1\n"), (THIRD, "c.csv", b"x,y\n4,1\n")):
        built.upload(name, rows)
        built.later(minutes=20)
        built.ask()
        steps = sdk_world.registers(built, 0.9, run_id)
        assert sdk_world.play(built, steps, run_id=run_id) == "registered"


@pytest.mark.parametrize("build", [build_by_scripts, build_by_a_pipeline_of_sagemaker])
def test_what_a_run_registered_says_what_it_was_compared_with(
    built: build_world.World, build: Callable[[build_world.World], None]
) -> None:
    build(built)
    assert plan(built, SECOND)["package_version"] == 2
    built.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), {"releasing": None})
    built.release(run_id=SECOND)
    with pytest.raises(Exception, match="v3 was compared with v1, but production serves v2 since 2026-"):
        plan(built, THIRD)


def test_what_shows_a_version_that_waits_says_that_another_champion_serves(
    built: build_world.World, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, rows in (("b.csv", b"x,y\n3,1\n"), ("c.csv", b"x,y\n4,1\n")):
        assert built.build(name, rows) == "registered"
    run = runs.run(built.cloud, THIRD)
    assert run is not None
    assert run["model_overtaken"] is None
    built.release(run_id=SECOND)
    said = f"compared with v1, but production serves v2 since {built.cloud.now.at}"
    run = runs.run(built.cloud, THIRD)
    assert run is not None
    assert run["model_overtaken"] == said
    assert model_pages.page(built.cloud, "reviews/3")["overtaken"] == said
    status = pipelines.status(built.cloud, PIPELINE)
    newest, *_ = status["awaited"]
    assert (newest["model"], newest["overtaken"]) == ("reviews/3", said)
    for path in ("/models/reviews/3", f"/runs/{THIRD}"):
        assert said in body(built.cloud, path)
    print_run(run)
    assert f"note: reviews/3 was {said}" in " ".join(capsys.readouterr().out.split())
    print_status(status)
    assert f"it was {said}" in " ".join(capsys.readouterr().out.split())


def test_what_shows_a_version_that_was_compared_with_nothing_says_what_serves_by_now(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    built = build_world.World(cloud, invoke)
    built.push()
    for name, rows in (("a.csv", build_world.ROWS), ("b.csv", b"x,y\n3,1\n")):
        assert built.build(name, rows) == "registered"
    assert model_pages.page(built.cloud, "reviews/2")["overtaken"] is None
    built.release()
    said = f"compared with no champion, but production serves v1 since {built.cloud.now.at}"
    assert model_pages.page(built.cloud, "reviews/2")["overtaken"] == said
    waits, *_ = pipelines.status(built.cloud, PIPELINE)["awaited"]
    assert (waits["model"], waits["overtaken"]) == ("reviews/2", said)
    # A run of an older stack did not note what it was compared with.
    step = built.cloud.catalog.get(keys.step_key(SECOND, "select")) or {}
    detail = {name: value for name, value in step["detail"].items() if name != "champion"}
    built.cloud.catalog.update(keys.key_of(step), {"detail": detail})
    assert model_pages.page(built.cloud, "reviews/2")["overtaken"] is None


@pytest.fixture
def waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """v3 was approved by nobody, and refused, as v2 serves by now."""
    monkeypatch.setattr(model_pages, "_made", lambda *_: (None, None))
    seen = champion(world)
    for number in (2, 3):
        arn = arrive(world, number, champion=seen)
        item = {"pipeline": PIPELINE, "group": PIPELINE, "version": number, "run_id": f"reviews-0000{number}"}
        world.cloud.catalog.update(keys.package_key(arn), {**item, "created_at": world.cloud.now.at})
        world.later(hours=1)
    world.cloud.catalog.update(keys.pipeline_key(PIPELINE), {"newest_package": arn})
    return world


def test_an_automatic_version_that_was_refused_waits_for_a_person(
    waiting: World, capsys: pytest.CaptureFixture[str]
) -> None:
    status = pipelines.status(waiting.cloud, PIPELINE)
    (decision,) = status["awaited"]
    assert (decision["model"], decision["command"]) == ("reviews/3", "approve reviews/3")
    (refused,) = [each for each in waiting.releases() if each["status"] == "refused"]
    compared = "v3 was compared with v1, but production serves v2"
    said = f"its release was refused at {refused['ended_at']}: {WHY}{compared}"
    assert decision["held"].startswith(said)
    print_status(status)
    assert "awaits you: approval of reviews/3 (its release was refused at 2026-" in " ".join(
        capsys.readouterr().out.split()
    )
    for path in ("/", f"/pipelines/{PIPELINE}"):
        assert "to be approved, since <time" in body(waiting.cloud, path)
        assert said in body(waiting.cloud, path)
    page = body(waiting.cloud, "/models/reviews/3")
    assert "Approved, and waits for a person" in page
    assert f"It waits: {said}" in page
    assert "<code>sluice approve reviews/3</code>" in page


def test_a_refused_version_that_a_person_released_waits_no_more(waiting: World) -> None:
    arn = next(each for each in waiting.cloud.registry.by_arn if each.endswith("/3"))
    release_by_hand(waiting, arn, "production")
    assert waiting.served_version() == "3"
    assert pipelines.status(waiting.cloud, PIPELINE)["awaited"] == []
    waiting.later(hours=1)
    back = {"pipeline": PIPELINE, "release_id": "reviews-v3-00000009", "cause": "command", "actor": "anna"}
    waiting.cloud.workflows.start("release", "reviews-v3-00000009", {**back, "stage": "production"})
    waiting.run_all()
    assert waiting.served_version() == "2"
    assert pipelines.status(waiting.cloud, PIPELINE)["awaited"] == []
    assert "<code>sluice approve" not in body(waiting.cloud, "/models/reviews/3")


def test_a_refused_version_that_a_person_releases_waits_no_more_meanwhile(waiting: World) -> None:
    arn = next(each for each in waiting.cloud.registry.by_arn if each.endswith("/3"))
    release_id, request = by_hand(arn, "production")
    execution = waiting.cloud.workflows.start("release", release_id, request)
    assert pipelines.status(waiting.cloud, PIPELINE)["awaited"]
    waiting.invoke("plan_release", {"execution_arn": execution, "release": request})
    assert waiting.stage()["releasing"] == release_id
    assert pipelines.status(waiting.cloud, PIPELINE)["awaited"] == []


def test_why_a_version_waits_is_asked_of_the_newest_decided_one_alone(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    seen = awaited._refused

    def refused(cloud: fakes.Cloud, package: Package, serving: list[dict[str, Any]]) -> str | None:
        asked.append(package.arn.rpartition("/")[2])
        return seen(cloud, package, serving)

    monkeypatch.setattr(awaited, "_refused", refused)
    # With several groups, all versions are listed.
    waiting.cloud.catalog.update(keys.pipeline_key(PIPELINE), {"groups": [PIPELINE, "another"]})
    release_by_hand(
        waiting, next(each for each in waiting.cloud.registry.by_arn if each.endswith("/1")), "production"
    )
    assert len(awaited.decisions(waiting.cloud, PIPELINE)) == 1
    assert asked == ["3"]


def test_a_version_of_which_a_person_decided_is_compared_with_nothing_more(built: build_world.World) -> None:
    for name, rows in (("b.csv", b"x,y\n3,1\n"), ("c.csv", b"x,y\n4,1\n")):
        assert built.build(name, rows) == "registered"
    built.release(run_id=SECOND)
    arn = built.catalog_run(THIRD)["model_package_arn"]
    # The registry has none of that number any more.
    for changed in ({"deleted_at": built.cloud.now()}, {"deleted_at": None, "approval_status": "Approved"}):
        built.cloud.catalog.update(keys.package_key(arn), changed)
        run = runs.run(built.cloud, THIRD)
        assert run is not None
        assert run["model_overtaken"] is None
