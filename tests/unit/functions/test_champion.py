"""A candidate is held against what serves, however that came to be; where it cannot be, the gates say so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, RUN, Invoke, World
from sluice.catalog import keys
from sluice.catalog.changes import releases
from sluice.catalog.records.builds import Run
from sluice.ports import JobKind, RequestRefusedError
from sluice.services.views import candidates

SECOND, THIRD = "reviews-00002", "reviews-00003"
OTHER_IMAGE = PIPELINE_YAML.replace("1.4-2", "1.2-1").encode()
RENAMED = f"{PIPELINE_YAML}release: {{stages: [{{name: prod}}]}}\n".encode()


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    """A pipeline whose first model is live."""
    return World.of_live_model(cloud, invoke)


def image(world: World, step: str, run_id: str = SECOND) -> str:
    request = world.cloud.jobs.requests[f"sluice--{run_id}-{step}"]
    return str(request["AppSpecification"]["ImageUri"])


def code(world: World, step: str, run_id: str = SECOND) -> str:
    request = world.cloud.jobs.requests[f"sluice--{run_id}-{step}"]
    return str(request["ProcessingInputs"][0]["S3Input"]["S3Uri"])


def gates_of(world: World, run_id: str = SECOND) -> Any:
    return (world.cloud.catalog.get(keys.step_key(run_id, "gates")) or {})["detail"]


def test_both_are_scored_by_the_same_script_each_in_its_own_image(world: World) -> None:
    first = world.pipeline["project_version"]
    second = world.push(pipeline=OTHER_IMAGE)
    assert world.build("b.csv") == "registered"
    assert image(world, "evaluate-candidate").endswith(":1.2-1-cpu-py3")
    assert image(world, "evaluate-champion").endswith(":1.4-2-cpu-py3")
    assert code(world, "evaluate-champion") == code(world, "evaluate-candidate")
    assert second in code(world, "evaluate-champion")
    assert first != second
    manifest = json.loads(world.cloud.objects.read(world.catalog_run(SECOND)["manifest_uri"]))
    assert manifest["champion"]["project_version"] == first
    assert manifest["champion"]["stage"] == "production"


def test_it_is_scored_in_the_image_that_it_serves_in_whatever_its_tag_means_now(world: World) -> None:
    digest = f"sha256:{'d' * 64}"
    world.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"image_digest": digest})
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert image(world, "evaluate-champion").endswith(f"/sagemaker-scikit-learn@{digest}")
    assert image(world, "evaluate-candidate").endswith(":1.4-2-cpu-py3")


def test_one_whose_manifest_was_overwritten_is_not_scored_by_it(world: World) -> None:
    uri = world.catalog_run(RUN)["manifest_uri"]
    world.cloud.objects.write(uri, b"{}")
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    (reason,) = world.catalog_run(SECOND)["reasons"]
    # In the words of whatever else follows a run's manifest.
    assert f"the run manifest was changed, so nothing it says counts: {uri}" in reason


def test_where_the_new_script_cannot_score_it_its_own_does(world: World) -> None:
    first = world.pipeline["project_version"]
    world.push(pipeline=OTHER_IMAGE)
    world.failing = {"evaluate-champion"}
    world.accuracies["evaluate-champion-own"] = 0.95
    assert world.build("b.csv") == "rejected"
    assert first in code(world, "evaluate-champion-own")
    assert gates_of(world)[1]["champion"] == 0.95


def test_one_that_cannot_be_scored_rejects_the_model_and_says_why_and_the_way_on(world: World) -> None:
    world.push(pipeline=OTHER_IMAGE)
    world.failing = {"evaluate-champion", "evaluate-champion-own"}
    assert world.build("b.csv") == "rejected"
    (reason,) = world.catalog_run(SECOND)["reasons"]
    assert "not_worse_than champion by 0.01: the champion could not be scored: evaluate-champion: " in reason
    assert "cannot load the model" in reason
    assert "`sluice push --replace-champion`" in reason


def test_one_whose_jobs_sagemaker_refuses_is_no_failed_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = world.cloud.jobs.start

    def refuse(kind: JobKind, request: Mapping[str, Any]) -> bool:
        if "champion" in request.get("ProcessingJobName", ""):
            raise RequestRefusedError("ml.m4.large is not available")
        return start(kind, request)

    monkeypatch.setattr(world.cloud.jobs, "start", refuse)
    world.push(pipeline=OTHER_IMAGE)
    world.failing = {"evaluate-champion", "evaluate-champion-own"}
    assert world.build("b.csv") == "rejected"
    (reason,) = world.catalog_run(SECOND)["reasons"]
    assert "evaluate-champion: ml.m4.large is not available" in reason


def test_one_of_the_same_project_is_tried_once(world: World) -> None:
    world.failing = {"evaluate-champion"}
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    assert f"sluice--{SECOND}-evaluate-champion-own" not in world.cloud.jobs.requests


def test_a_champions_evaluation_that_cannot_be_read_is_no_failed_run(world: World) -> None:
    write = world.cloud.objects.write

    def torn(uri: str, data: bytes, *more: str) -> None:
        write(uri, b"torn" if "/evaluate/champion/" in uri else data, *more)

    world.cloud.objects.write = torn  # type: ignore[method-assign, assignment]
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    assert "the champion's evaluation.json is no JSON" in world.catalog_run(SECOND)["reasons"][0]


def test_a_package_that_was_deleted_is_scored_all_the_same(world: World) -> None:
    world.cloud.registry.by_arn.clear()
    world.accuracies["evaluate-champion"] = 0.99
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    assert gates_of(world)[1]["champion"] == 0.99


@pytest.mark.parametrize("gone", ["run", "manifest", "project"])
def test_what_scores_a_champion_may_be_gone_and_the_gates_say_what(world: World, gone: str) -> None:
    world.push(pipeline=OTHER_IMAGE)
    run = world.catalog_run()
    if gone == "run":
        world.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"manifest_uri": None})
    elif gone == "manifest":
        world.cloud.objects.delete(run["manifest_uri"])
    else:
        key = keys.project_key(PIPELINE, run["project_version"])
        del world.cloud.catalog.items[key["pk"], key["sk"]]
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    (reason,) = world.catalog_run(SECOND)["reasons"]
    assert gone in reason
    assert "--replace-champion" in reason


@pytest.mark.parametrize(
    "document", ["[]", '{"artifacts": []}', '{"artifacts": [{"uri": "s3://a/b"}]}', "torn"]
)
def test_one_whose_manifest_says_nothing_of_a_model_is_not_scored(world: World, document: str) -> None:
    uri, data = world.catalog_run()["manifest_uri"], document.encode()
    world.cloud.objects.write(uri, data)
    sha256 = hashlib.sha256(data).hexdigest()
    world.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"manifest_sha256": sha256})
    world.push(pipeline=OTHER_IMAGE)
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    assert f"its run's manifest cannot be read: {uri}" in world.catalog_run(SECOND)["reasons"][0]


def test_one_of_another_group_is_the_champion_all_the_same(world: World) -> None:
    world.push(pipeline=f"{PIPELINE_YAML}register: {{group: others}}\n".encode())
    world.accuracies["evaluate-candidate"] = 0.75
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    assert gates_of(world)[1]["champion"] == 0.8


def test_one_that_scores_batches_is_the_champion_all_the_same(world: World) -> None:
    key = keys.deployment_key(PIPELINE, "production", f"release-of-{RUN}")
    world.cloud.catalog.update(key, {"is_batch": True})
    world.accuracies["evaluate-candidate"] = 0.75
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    assert gates_of(world)[1]["champion"] == 0.8


def test_after_a_rollback_the_champion_is_what_serves_again(world: World) -> None:
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    back = world.release(run_id=SECOND)["sk"]
    world.cloud.catalog.update({"pk": keys.partition(PIPELINE), "sk": back}, {"status": "rolled_back"})
    stage = keys.stage_key(PIPELINE, "production")
    world.cloud.catalog.update(stage, {"live": f"release-of-{RUN}"})
    assert world.build("c.csv", b"x,y\n4,1\n") == "registered"
    manifest = json.loads(world.cloud.objects.read(world.catalog_run(THIRD)["manifest_uri"]))
    assert manifest["champion"]["package_version"] == 1


@pytest.mark.parametrize("lost", ["deployment", "stage"])
def test_one_that_the_catalog_lost_half_of_is_not_taken_for_none(world: World, lost: str) -> None:
    release_id = f"release-of-{RUN}"
    key = (
        keys.deployment_key(PIPELINE, "production", release_id)
        if lost == "deployment"
        else keys.stage_key(PIPELINE, "production")
    )
    del world.cloud.catalog.items[key["pk"], key["sk"]]
    world.accuracies["evaluate-candidate"] = 0.75
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    (reason,) = world.catalog_run(SECOND)["reasons"]
    if lost == "deployment":
        assert f"the catalog has no record of {release_id}, which production serves" in reason
        assert "--replace-champion" in reason
        board = candidates.leaderboard(world.cloud, Run.of(world.catalog_run(SECOND)))
        assert board["champion"]["problem"] in reason
    else:
        assert gates_of(world)[1]["champion"] == 0.8


def test_a_stage_that_was_retired_has_no_champion(world: World) -> None:
    release_id, at = f"release-of-{RUN}", world.cloud.now()
    world.cloud.catalog.apply(releases.retire_deployment(PIPELINE, "production", release_id, at))
    world.cloud.catalog.apply(releases.retire_stage(PIPELINE, "production", release_id))
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert gates_of(world)[1]["uncompared"]


def test_a_stage_on_which_nothing_serves_has_no_champion(world: World) -> None:
    world.cloud.catalog.update(keys.stage_key(PIPELINE, "production"), {"live": None})
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    assert f"sluice--{SECOND}-evaluate-champion" not in world.cloud.jobs.requests


def test_a_stage_that_was_renamed_still_has_the_champion(world: World) -> None:
    world.push(pipeline=RENAMED)
    world.accuracies["evaluate-candidate"] = 0.75
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"
    assert gates_of(world)[1]["champion"] == 0.8


# ------------------------------------------------------------------------------------------ the way on


@pytest.fixture
def stuck(world: World) -> World:
    """A pipeline whose champion nothing scores any more, and whose run was rejected for it."""
    world.push(pipeline=OTHER_IMAGE)
    world.failing = {"evaluate-champion", "evaluate-champion-own"}
    assert world.build("b.csv") == "rejected"
    world.later(minutes=1)
    return world


def test_a_push_that_gives_the_champion_up_builds_and_registers_the_same_again(stuck: World) -> None:
    stuck.push(pipeline=OTHER_IMAGE, replaces="arn:ann")
    stuck.ask()
    assert stuck.play(THIRD) == "registered"
    assert "evaluate-champion" not in " ".join(name for name in stuck.cloud.jobs.requests if THIRD in name)
    said = "passed over, as arn:ann (unverified) pushed the project with --replace-champion"
    judged = gates_of(stuck, THIRD)[1]
    assert judged["reason"] == f"the champion was {said}, so nothing was compared"
    assert judged["uncompared"]
    manifest = json.loads(stuck.cloud.objects.read(stuck.catalog_run(THIRD)["manifest_uri"]))
    assert manifest["champion"]["passed_over"] == said
    assert stuck.events().count("champion to be replaced") == 1


def test_it_counts_for_one_model_only(stuck: World) -> None:
    stuck.push(pipeline=OTHER_IMAGE, replaces="arn:ann")
    stuck.ask()
    assert stuck.play(THIRD) == "registered"
    assert stuck.build("c.csv", b"x,y\n4,1\n") == "rejected"


def test_its_event_five_times_is_one_build(stuck: World) -> None:
    stuck.push(pipeline=OTHER_IMAGE, replaces="arn:ann")
    stuck.ask()
    assert stuck.play(THIRD) == "registered"
    key = f"projects/{PIPELINE}/{stuck.pipeline['project_version']}.tar.gz"
    bundle = {"bucket": {"name": fakes.ARTIFACT_BUCKET}, "object": {"key": key}}
    for _ in range(4):
        stuck.invoke("register_project", {"detail": bundle})
        stuck.ask()
    assert len(stuck.cloud.workflows.executions) == 3
    assert stuck.events().count("champion to be replaced") == 1


def test_without_a_champion_the_first_model_uses_it_up(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    world.push(replaces="arn:ann")
    assert world.build("a.csv") == "registered"
    world.release()
    world.accuracies["evaluate-champion"] = 0.99
    assert world.build("b.csv", b"x,y\n3,1\n") == "rejected"


def test_its_limits_still_hold(stuck: World) -> None:
    stuck.accuracies["evaluate-candidate"] = 0.1
    stuck.push(pipeline=OTHER_IMAGE, replaces="arn:ann")
    stuck.ask()
    assert stuck.play(THIRD) == "rejected"
