"""A person's run starts once, under the lock, with what was asked for; or the answer says why not."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from pydantic import ValidationError

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World
from sluice.catalog import keys
from sluice.domain.failures import ConflictError
from sluice.domain.times import from_iso
from sluice.services.build import starting

SECOND = "reviews-00002"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    """A pipeline with one registered model."""
    return World.of_registered_model(cloud, invoke)


def wish(world: World, request_id: str = "r1", **given: Any) -> dict[str, Any]:
    """Deliver a wish; what the catalog answers."""
    detail = {"stack": "sluice", "pipeline": PIPELINE, "request_id": request_id, "actor": "ada", **given}
    world.invoke("start_run", {"time": "2026-11-24T12:00:00Z", "detail": detail})
    return world.cloud.catalog.get(keys.request_key(PIPELINE, request_id)) or {}


def test_a_run_by_hand_builds_what_was_built_before(world: World) -> None:
    used = world.pipeline["budget_used"]
    answer = wish(world)
    assert (answer["status"], answer["run_id"]) == ("taken", SECOND)
    run = world.catalog_run(SECOND)
    assert (run["cause"], run["actor"]) == ("started by hand", "ada (unverified)")
    assert world.play(SECOND) == "registered"
    assert world.catalog_run(SECOND)["dataset_version"] == world.catalog_run()["dataset_version"]
    assert world.pipeline["budget_used"] == used
    started = [entry for entry in world.timeline() if entry["event"] == "build started"][-1]
    assert (started["actor"], started["detail"]) == ("ada (unverified)", "started by hand")


def test_a_wish_is_one_run_however_often_it_comes(world: World) -> None:
    for _ in range(5):
        wish(world)
    assert list(world.cloud.workflows.executions)[-1].endswith(SECOND)
    assert len(world.cloud.workflows.executions) == 2
    assert world.events().count("build started") == 2


@pytest.mark.parametrize("writes", range(3))
def test_a_wish_whose_function_died_is_served_when_it_comes_again(world: World, writes: int) -> None:
    with suppress(RuntimeError), world.crash_after(writes):
        wish(world)
    wish(world)
    assert world.play(SECOND) == "registered"
    assert world.events().count("build started") == 2


def test_a_run_whose_start_died_is_started_by_the_next_build_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(*given: Any) -> str:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(world.cloud.workflows, "start", dead)
        with pytest.raises(RuntimeError):
            wish(world, overrides={"train.hyperparameters.alpha": 0.3})
    world.ask()
    assert world.started(SECOND)["candidates"] == ["0"]
    assert world.play(SECOND) == "registered"


def test_overrides_change_the_run_and_nothing_else(world: World) -> None:
    answer = wish(world, overrides={"train.hyperparameters.alpha": 0.3})
    assert answer["status"] == "taken"
    assert world.play(SECOND) == "registered"
    job = world.cloud.jobs.requests[f"sluice--{SECOND}-train-0"]
    assert job["HyperParameters"]["alpha"] == "0.3"
    assert f"sluice--{SECOND}-train-1" not in world.cloud.jobs.requests
    manifest = json.loads(world.cloud.objects.read(world.catalog_run(SECOND)["manifest_uri"]))
    assert manifest["overrides"] == {"train.hyperparameters.alpha": 0.3}
    assert (manifest["cause"], manifest["actor"]) == ("started by hand", "ada (unverified)")
    assert manifest["parameters"]["train"] == {"alpha": "0.3"}
    # Whether the project as pushed leads to a model on these data is not said by this run.
    version = world.catalog_run()["dataset_version"]
    built = keys.built_key(PIPELINE, version, world.pipeline["project_version"])
    assert (world.cloud.catalog.get(built) or {})["run_id"] == RUN


def test_a_project_that_only_a_run_with_overrides_built_is_built_by_itself(world: World) -> None:
    world.push(train=b"print('other')\n")
    wish(world, overrides={"train.hyperparameters.alpha": 0.3})
    assert world.play(SECOND) == "registered"
    world.ask()
    assert world.pipeline["in_flight"] == "reviews-00003"


def test_a_project_that_a_run_by_hand_built_is_built(world: World) -> None:
    world.push(train=b"print('other')\n")
    wish(world)
    assert world.play(SECOND) == "registered"
    world.ask()
    assert world.pipeline.get("in_flight") is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"overrides": {"train.hyperparameters.alhpa": 1}}, "did you mean 'alpha'?"),
        ({"overrides": {"name": "other"}}, "cannot be overridden"),
        ({"dataset_version": "f" * 64}, "has no data set version ffffffffffff"),
        ({"retry_of": "reviews-00009"}, "there is no run reviews-00009"),
        ({"retry_of": RUN}, "reviews-00001 ended as registered"),
    ],
)
def test_what_cannot_be_is_refused_with_reasons(world: World, given: dict[str, Any], said: str) -> None:
    answer = wish(world, **given)
    assert answer["status"] == "refused"
    assert said in answer["reasons"][0]
    assert world.pipeline.get("in_flight") is None


def test_without_data_there_is_nothing_to_start(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    world.push()
    assert wish(world)["reasons"] == [
        "reviews has no data to build on: `sluice upload reviews FILE` brings some"
    ]
    assert wish(world, "r2", pipeline=PIPELINE)["status"] == "refused"


def test_what_waits_is_taken_up_without_waiting_longer(world: World) -> None:
    world.upload("b.csv", b"x,y\n3,1\n")
    wish(world)
    assert world.play(SECOND) == "registered"
    assert len(world.objects_of(SECOND)) == 2
    assert set(world.arrivals().values()) == {"included"}


def test_while_a_run_is_in_flight_the_answer_names_it(world: World) -> None:
    wish(world)
    answer = wish(world, "r2")
    assert (answer["status"], answer["in_flight"]) == ("refused", SECOND)
    assert world.play(SECOND) == "registered"
    assert wish(world, "r3")["status"] == "taken"


def test_of_a_wish_and_a_build_at_once_one_gets_the_lock(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.upload("b.csv", b"x,y\n3,1\n")
    world.later(minutes=2)
    world.ask_meanwhile(monkeypatch)
    answer = wish(world)
    assert (answer["status"], answer["in_flight"]) == ("refused", SECOND)
    assert world.catalog_run(SECOND)["cause"] == "1 new object"


# --------------------------------------------------------------------------------- a version that is named


def test_an_earlier_version_is_built_on_and_later_data_build_on_the_newest(world: World) -> None:
    first = world.catalog_run()["dataset_version"]
    assert world.build("b.csv", b"x,y\n3,1\n") == "registered"
    newest = world.catalog_run(SECOND)["dataset_version"]
    wish(world, dataset_version=first)
    assert world.play("reviews-00003") == "registered"
    assert world.catalog_run("reviews-00003")["dataset_version"] == first
    assert world.pipeline["dataset_version"] == newest
    assert world.build("c.csv", b"x,y\n4,1\n") == "registered"
    assert len(world.objects_of("reviews-00004")) == 3


def test_what_waits_is_left_to_the_next_build(world: World) -> None:
    first = world.catalog_run()["dataset_version"]
    world.upload("b.csv", b"x,y\n3,1\n")
    wish(world, dataset_version=first)
    assert world.play(SECOND) == "registered"
    assert world.arrivals()["reviews/b.csv#v1"] == "pending"
    world.later(minutes=2)
    world.ask()
    assert world.pipeline["in_flight"] == "reviews-00003"


def test_a_version_is_read_as_it_was_whatever_its_keys_hold_now(world: World) -> None:
    first = world.catalog_run()["dataset_version"]
    world.upload("a.csv", b"x,y\n9,1\n")
    wish(world, dataset_version=first)
    assert world.play(SECOND) == "registered"
    files = json.loads(world.cloud.objects.read(world.catalog_run(SECOND)["restored_uri"]))
    assert world.cloud.objects.read(f"{files[0]['prefix']}{files[1]}") == ROWS


def test_a_version_whose_objects_are_gone_fails_and_names_them(world: World) -> None:
    first = world.catalog_run()["dataset_version"]
    world.cloud.objects.purge(f"s3://{fakes.DATA_BUCKET}/{PIPELINE}/a.csv")
    wish(world, dataset_version=first)
    assert world.play(SECOND) == "failed"
    assert "lacks 1 object by now: reviews/a.csv" in world.catalog_run(SECOND)["reasons"][0]


def test_a_version_whose_segments_are_gone_is_refused_and_says_so(world: World) -> None:
    first = world.catalog_run()["dataset_version"]
    for key in [*world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET]]:
        if key.startswith(f"datasets/{PIPELINE}/"):
            world.cloud.objects.delete(f"s3://{fakes.ARTIFACT_BUCKET}/{key}")
    answer = wish(world, dataset_version=first)
    assert answer["status"] == "refused"
    (reason,) = (world.cloud.catalog.get(keys.request_key(PIPELINE, "r1")) or {})["reasons"]
    assert reason.startswith(f"the data set version {first[:12]} is incomplete: ")
    assert reason.endswith(" is gone")


def test_a_version_that_was_rejected_is_refused(world: World) -> None:
    assert world.build("bad.csv", b"x,y\n999,1\n") == "data_rejected"
    rejected = world.catalog_run(SECOND)["dataset_version"]
    answer = wish(world, dataset_version=rejected)
    assert "is not valid" in answer["reasons"][0]


def test_markers_of_what_a_named_version_did_not_look_at_stay(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    world.push(pipeline=PIPELINE_YAML.replace("quiet_period_s: 60", "marker: _SUCCESS").encode())
    world.upload("a/1.csv")
    world.upload("a/_SUCCESS", b"")
    world.later(seconds=2)
    world.ask()
    assert world.play() == "registered"
    world.upload("b/2.csv", b"x,y\n3,1\n")
    world.upload("b/_SUCCESS", b"")
    wish(world, dataset_version=world.catalog_run()["dataset_version"])
    assert world.play(SECOND) == "registered"
    world.later(seconds=2)
    world.ask()
    assert world.play("reviews-00003") == "registered"
    assert len(world.objects_of("reviews-00003")) == 2


def test_an_answer_is_kept_for_a_month_whatever_it_is(world: World, cloud: fakes.Cloud) -> None:
    expected = int(from_iso(cloud.now()).timestamp()) + 30 * 24 * 3600
    assert wish(world)["expires_at"] == expected
    refused = wish(world, "r2", pipeline="nobodys") or cloud.catalog.get(keys.request_key("nobodys", "r2"))
    assert refused
    assert (refused["status"], refused["expires_at"]) == ("refused", expected)


@pytest.mark.parametrize("tolerance", [float("nan"), float("inf"), -0.1])
def test_a_tolerance_that_no_metric_can_be_held_to_is_no_wish(world: World, tolerance: float) -> None:
    with pytest.raises(ValidationError):
        wish(world, reproduces=RUN, tolerance=tolerance)


def test_a_wish_that_others_keep_changing_is_tried_again_by_the_queue(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as busy:
        busy.setattr(starting, "_decide", lambda *_: None)
        with pytest.raises(ConflictError, match="changed each time while a run of it was to start"):
            wish(world)
    assert wish(world)["status"] == "taken"
