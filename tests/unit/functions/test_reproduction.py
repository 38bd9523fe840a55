"""A run is repeated from its manifest and compared; neither what serves nor the pipeline changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World
from sluice.catalog import keys
from sluice.domain.build import projects
from sluice.services.build import reproducing

SECOND = "reviews-00002"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    """A pipeline with one registered model, which serves."""
    return World.of_live_model(cloud, invoke, for_minutes=10)


def wish(world: World, **given: Any) -> dict[str, Any]:
    detail = {"stack": "sluice", "pipeline": PIPELINE, "request_id": "r1", "actor": "ada", **given}
    world.invoke("start_run", {"time": "2026-11-24T12:00:00Z", "detail": detail})
    return world.cloud.catalog.get(keys.request_key(PIPELINE, "r1")) or {}


def trained(world: World, content: bytes) -> None:
    """Let the reproduction's training job save this model."""
    write = world._write_outputs

    def written(step: str, run_id: str) -> None:
        write(step, run_id)
        if step == "train-0" and run_id == SECOND:
            uri = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{run_id}/train/sluice--{run_id}-{step}"
            world.cloud.objects.write(f"{uri}/output/model.tar.gz", projects.pack({"model": content}))

    world._write_outputs = written  # type: ignore[method-assign]


def step(world: World, name: str) -> dict[str, Any]:
    return world.cloud.catalog.get(keys.step_key(SECOND, name)) or {}


def test_a_model_that_comes_out_the_same_is_reproduced(world: World) -> None:
    answer = wish(world, reproduces=RUN)
    assert (answer["status"], answer["run_id"]) == ("taken", SECOND)
    trained(world, f"{RUN}train-1".encode())
    assert world.play(SECOND) == "reproduced"
    run = world.catalog_run(SECOND)
    assert run["reasons"] == ["the model is the same, file for file", "every metric is within 0.01"]
    assert (run["cause"], run["actor"]) == (f"reproduction of {RUN}", "ada (unverified)")
    assert step(world, "train-0")["detail"] == {"alpha": "0.2"}
    assert step(world, "train-1") == {}
    detail = step(world, "comparison")["detail"]
    assert (detail["verdict"], detail["is_same_model"], detail["original"]) == ("reproduced", True, RUN)


def test_a_model_that_differs_is_judged_by_its_metrics(world: World) -> None:
    wish(world, reproduces=RUN)
    trained(world, b"other")
    assert world.play(SECOND) == "reproduced"
    assert step(world, "comparison")["detail"]["differing"] == ["model"]


def test_a_model_that_scores_otherwise_differs(world: World) -> None:
    wish(world, reproduces=RUN)
    trained(world, b"other")
    world.accuracies["evaluate-candidate"] = 0.8
    assert world.play(SECOND) == "differed"
    (_, told) = world.catalog_run(SECOND)["reasons"]
    assert told.endswith("is 0.8, not 0.85 within 0.01")


def test_a_wider_tolerance_is_the_wishs(world: World) -> None:
    wish(world, reproduces=RUN, tolerance=0.1)
    trained(world, b"other")
    world.accuracies["evaluate-candidate"] = 0.8
    assert world.play(SECOND) == "reproduced"


def state(world: World) -> dict[Any, Any]:
    """All of the catalog but what says that there was such a run, and all that functions may have written."""
    counters = ("build_seq", "spent_month", "spent_usd", "unpriced_runs")
    own = (*counters, "in_flight", "build_cause", "asks_at", "build_requested_for")
    items = {}
    for key, item in world.cloud.catalog.items.items():
        said = str(item.get("subject", "")), str(item.get("run_id", ""))
        about_the_run = any(SECOND in each for each in (*key, *said))
        if (
            not about_the_run
            and not key[1].startswith(("REQUEST#", "READBY#"))
            and not key[0].startswith("TASK#")
        ):
            items[key] = {name: value for name, value in item.items() if name not in own}
    return items


def test_a_reproduction_changes_nothing_else(world: World) -> None:
    """Another project is active by then, and more data have arrived."""
    world.push(pipeline=PIPELINE_YAML.replace("0.7", "0.99").encode(), train=b"print('other')\n")
    world.upload("b.csv")
    before, packages = state(world), dict(world.cloud.registry.by_arn)
    bucket = world.cloud.objects.buckets[fakes.ARTIFACT_BUCKET]
    objects = {key: len(versions) for key, versions in bucket.items()}
    wish(world, reproduces=RUN)
    trained(world, f"{RUN}train-1".encode())
    assert world.play(SECOND) == "reproduced"
    assert state(world) == before
    assert world.cloud.registry.by_arn == packages
    changed = {key for key, versions in bucket.items() if objects.get(key) != len(versions)}
    assert all(f"/{SECOND}/" in key for key in changed)
    assert world.catalog_run(SECOND)["project_version"] == world.catalog_run()["project_version"]
    world.later(minutes=2)
    world.ask()
    assert world.pipeline["in_flight"] == "reviews-00003"


def test_a_model_that_is_reproduced_is_not_evaluated_against_the_champion(world: World) -> None:
    wish(world, reproduces=RUN)
    assert world.play(SECOND) == "reproduced"
    assert step(world, "evaluate-champion") == {}
    assert step(world, "gates") == {}


def test_a_failed_reproduction_that_is_retried_is_still_one(world: World) -> None:
    wish(world, reproduces=RUN)
    world.failing = {"evaluate-candidate"}
    assert world.play(SECOND) == "failed"
    world.failing = set()
    detail = {"stack": "sluice", "pipeline": PIPELINE, "request_id": "r2", "actor": "ada", "retry_of": SECOND}
    world.invoke("start_run", {"time": "2026-11-24T12:00:00Z", "detail": detail})
    assert world.play("reviews-00003") == "reproduced"
    assert len(world.cloud.registry.by_arn) == 1


def test_a_reproduction_is_never_registered(world: World) -> None:
    from sluice.domain.build.errors import BuildError

    wish(world, reproduces=RUN)
    assert world.play(SECOND) == "reproduced"
    candidate = {"step": "train-0", "model_uri": step(world, "train-0")["model_uri"]}
    task = {**world.common(SECOND), "dataset_version": world.catalog_run(SECOND)["dataset_version"]}
    with pytest.raises(BuildError, match="it registers nothing"):
        world.invoke("register_model", {**task, "candidate": candidate, "champion": None})


def overwrite(world: World) -> None:
    world.cloud.objects.put(fakes.DATA_BUCKET, "reviews/a.csv", b"x,y\n3,1\n")


def delete(world: World) -> None:
    """Hide it behind a delete marker, as a deletion in a versioned bucket does."""
    head, listing = world.cloud.objects.head, world.cloud.objects.listing

    def hidden(bucket: str, key: str, version_id: str | None = None) -> Any:
        return None if (key, version_id) == ("reviews/a.csv", None) else head(bucket, key, version_id)

    world.cloud.objects.head = hidden  # type: ignore[method-assign]
    world.cloud.objects.listing = lambda bucket, *given, **options: (  # type: ignore[method-assign]
        iter(()) if bucket == fakes.DATA_BUCKET else listing(bucket, *given, **options)
    )


@pytest.mark.parametrize("change", [overwrite, delete])
def test_an_object_that_has_another_version_by_now_is_read_by_its_own(world: World, change: Any) -> None:
    change(world)
    wish(world, reproduces=RUN)
    assert world.play(SECOND) == "reproduced"
    files = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{SECOND}/data/files.manifest"
    prefix, key = json.loads(world.cloud.objects.read(files))
    assert world.cloud.objects.read(f"{prefix['prefix']}{key}") == ROWS
    request = world.cloud.jobs.requests[f"sluice--{SECOND}-prepare"]
    read = {each["InputName"]: each["S3Input"]["S3Uri"] for each in request["ProcessingInputs"]}
    assert read["data"] == files


def test_a_version_that_is_gone_fails_the_run_and_is_named(world: World) -> None:
    del world.cloud.objects.buckets[fakes.DATA_BUCKET]["reviews/a.csv"]
    wish(world, reproduces=RUN)
    assert world.play(SECOND) == "failed"
    assert "lacks 1 object by now: reviews/a.csv" in world.catalog_run(SECOND)["reasons"][0]


def test_too_many_objects_to_be_put_together_again_are_said_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproducing, "RESTORED_MAX", 0)
    overwrite(world)
    wish(world, reproduces=RUN)
    assert world.play(SECOND) == "failed"
    assert "cannot be put together again" in world.catalog_run(SECOND)["reasons"][0]


def lose_manifest(world: World) -> None:
    uri = world.catalog_run()["manifest_uri"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    del world.cloud.objects.buckets[bucket][key]


def change_manifest(world: World) -> None:
    uri = world.catalog_run()["manifest_uri"]
    world.cloud.objects.write(uri, world.cloud.objects.read(uri) + b" ")


def lose_project(world: World) -> None:
    key = keys.project_key(PIPELINE, world.catalog_run()["project_version"])
    del world.cloud.catalog.items[key["pk"], key["sk"]]


@pytest.mark.parametrize(
    ("lose", "said"),
    [
        (lose_manifest, "the run manifest is gone"),
        (change_manifest, "the run manifest was changed"),
        (lose_project, "there is no project"),
    ],
)
def test_what_cannot_be_had_is_named_and_nothing_starts(world: World, lose: Any, said: str) -> None:
    lose(world)
    answer = wish(world, reproduces=RUN)
    assert answer["status"] == "refused"
    assert said in answer["reasons"][0]
    assert world.pipeline.get("in_flight") is None


def test_a_run_without_a_model_cannot_be_reproduced(world: World) -> None:
    world.accuracies["evaluate-candidate"] = 0.1
    assert world.build("b.csv") == "rejected"
    answer = wish(world, reproduces=SECOND)
    assert answer["reasons"] == [f"{SECOND} registered no model, so it has no manifest to go by"]
