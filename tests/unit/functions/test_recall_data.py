"""A recalled content is in no later data set, under whatever key, and the next model waits for a person."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World
from sluice.catalog import keys
from sluice.domain.failures import ConflictError
from sluice.services import building
from sluice.services.data import arrivals, datasets, presence
from sluice.services.views import data, recalls

SECOND = "reviews-00002"
BAD = b"x,y\n9,1\n"
# Limits only: a comparison with no champion holds a model, too.
LIMITS = PIPELINE_YAML.replace("  - metrics.accuracy.value not_worse_than champion by 0.01\n", "")
AUTOMATIC = f"{LIMITS}register: {{approval: automatic}}\n".encode()
SHA256 = hashlib.sha256(BAD).hexdigest()


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    """A pipeline with a model of two objects, of which one is to be recalled."""
    return World(cloud, invoke).begin("of two objects", of_two_objects)


def of_two_objects(world: World) -> None:
    world.push()
    world.upload("bad.csv", BAD)
    assert world.build("a.csv") == "registered"
    world.later(minutes=10)


def recall(world: World, request_id: str = "r1", **given: Any) -> dict[str, Any]:
    """Deliver a recall; what the catalog notes of the content."""
    detail = {
        "stack": "sluice",
        "pipeline": PIPELINE,
        "key": "reviews/bad.csv",
        "contents": [SHA256],
        "request_id": request_id,
        "actor": "ada",
        "reason": "consent withdrawn",
        **given,
    }
    world.invoke("recall_data", {"time": world.cloud.now.at, "detail": detail})
    return world.cloud.catalog.get(keys.recall_key(PIPELINE, SHA256)) or {}


def rebuild(world: World) -> str:
    world.ask()
    return world.play(world.pipeline["in_flight"])


def test_a_model_is_built_without_it_and_waits_for_a_person(world: World) -> None:
    noted = recall(world)
    assert (noted["status"], noted["actor"]) == ("open", "ada (unverified)")
    assert noted["done_at"]
    assert rebuild(world) == "registered"
    run = world.catalog_run(SECOND)
    assert (run["cause"], run["actor"]) == ("recall of reviews/bad.csv", "ada (unverified)")
    assert world.objects_of(SECOND) == ["reviews/a.csv#v1"]
    noted = world.cloud.catalog.get(keys.recall_key(PIPELINE, SHA256)) or {}
    assert (noted["status"], noted["run_id"]) == ("rebuilt", SECOND)
    assert noted["package_arn"] == run["model_package_arn"]
    told = [entry["event"] for entry in world.timeline()]
    assert "data recalled" in told
    assert "rebuilt without recalled data" in told
    arrival = world.arrival("reviews/bad.csv")
    assert arrival is not None
    assert world.arrivals()["reviews/bad.csv#v1"] == "quarantined"


@pytest.mark.parametrize("listed", [True, False])
def test_it_is_held_even_where_models_are_approved_automatically(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    if not listed:
        monkeypatch.setattr(presence, "LISTED_MAX", 0)
    cloud.allows_automatic_approval = True
    world = World(cloud, invoke)
    world.push(pipeline=AUTOMATIC)
    world.upload("bad.csv", BAD)
    assert world.build("a.csv") == "registered"

    def approved() -> list[str]:
        return [found["ModelApprovalStatus"] for found in world.cloud.registry.by_arn.values()]

    assert approved() == ["Approved"]
    world.later(minutes=10)
    recall(world)
    assert rebuild(world) == "registered"
    assert approved() == ["Approved", "PendingManualApproval"]
    (told,) = [detail for kind, detail in cloud.bus.announced if kind == "ApprovalAwaited"]
    assert (
        "although approval is automatic: data were recalled that it may hold: reviews/bad.csv"
        in told["reason"]
    )
    assert world.objects_of(SECOND) == ["reviews/a.csv#v1"]
    world.later(minutes=10)
    assert world.build("c.csv", ROWS + b"5,0\n") == "registered"
    assert approved()[-1] == "Approved"
    assert world.objects_of("reviews-00003") == ["reviews/a.csv#v1", "reviews/c.csv#v1"]


def test_it_waits_for_no_budget_or_cooldown_and_costs_none(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    world.push(
        pipeline=PIPELINE_YAML.replace("daily_budget: 5", "daily_budget: 1, cooldown_s: 9999").encode()
    )
    world.upload("bad.csv", BAD)
    assert world.build("a.csv") == "registered"
    used = world.pipeline["budget_used"]
    recall(world)
    assert rebuild(world) == "registered"
    assert world.pipeline["budget_used"] == used


def test_what_was_built_before_it_came_is_built_again(cloud: fakes.Cloud, invoke: Invoke) -> None:
    """Without the object the data set is one that a run came to a verdict on."""
    world = World(cloud, invoke)
    world.push()
    assert world.build("a.csv") == "registered"
    assert world.build("bad.csv", BAD) == "registered"
    world.later(minutes=10)
    recall(world)
    assert rebuild(world) == "registered"
    first, last = (world.catalog_run(run)["dataset_version"] for run in (RUN, "reviews-00003"))
    assert first == last


def test_where_no_data_are_left_the_run_says_so(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    world.push()
    assert world.build("bad.csv", BAD) == "registered"
    world.later(minutes=10)
    recall(world)
    assert rebuild(world) == "skipped"
    run = world.catalog_run(SECOND)
    assert run["reasons"] == ["no data are left to build a model of"]
    dataset = building.find_dataset(cloud, PIPELINE, run["dataset_version"])
    assert dataset is not None
    assert (dataset.status, dataset.objects) == ("empty", 0)


def test_a_run_in_flight_ends_first_and_its_model_is_held(cloud: fakes.Cloud, invoke: Invoke) -> None:
    cloud.allows_automatic_approval = True
    world = World(cloud, invoke)
    world.push(pipeline=AUTOMATIC)
    world.upload("bad.csv", BAD)
    world.later(minutes=2)
    world.ask()
    write = world._write_outputs

    def recalled_meanwhile(step: str, run_id: str) -> None:
        write(step, run_id)
        if step == "prepare":
            world.later(minutes=1)
            recall(world)

    world._write_outputs = recalled_meanwhile  # type: ignore[method-assign]
    assert world.play(RUN) == "registered"
    world._write_outputs = write  # type: ignore[method-assign]
    assert [each["ModelApprovalStatus"] for each in cloud.registry.by_arn.values()] == [
        "PendingManualApproval"
    ]
    assert (cloud.catalog.get(keys.recall_key(PIPELINE, SHA256)) or {})["status"] == "open"
    world.upload("a.csv")
    world.later(minutes=2)
    assert rebuild(world) == "registered"
    assert world.objects_of(SECOND) == ["reviews/a.csv#v1"]
    assert (cloud.catalog.get(keys.recall_key(PIPELINE, SHA256)) or {})["status"] == "rebuilt"


@pytest.mark.parametrize("name", ["again.csv", "bad.csv"])
def test_the_same_bytes_are_set_aside_whenever_they_come_again(world: World, name: str) -> None:
    recall(world)
    assert rebuild(world) == "registered"
    world.later(minutes=10)
    world.upload(name, BAD)
    assert world.build("c.csv", ROWS + b"5,0\n") == "registered"
    assert world.objects_of("reviews-00003") == ["reviews/a.csv#v1", "reviews/c.csv#v1"]
    quarantined = {key for key, status in world.arrivals().items() if status == "quarantined"}
    assert f"reviews/{name}#{'v2' if name == 'bad.csv' else 'v1'}" in quarantined


def test_a_run_for_nothing_but_recalled_content_says_so(world: World) -> None:
    recall(world)
    assert rebuild(world) == "registered"
    world.later(minutes=10)
    assert world.build("again.csv", BAD) == "skipped"
    reasons = world.catalog_run("reviews-00003")["reasons"]
    assert reasons[-1] == (
        "1 object set aside, as the content was recalled: `sluice data list reviews --quarantined`"
    )


def test_another_key_with_the_same_bytes_is_recalled_too(world: World) -> None:
    assert world.build("copy.csv", BAD) in ("registered", "rejected")
    world.later(minutes=10)
    recall(world)
    assert rebuild(world) == "registered"
    assert world.objects_of("reviews-00003") == ["reviews/a.csv#v1"]


def test_a_better_object_under_the_same_key_is_taken(world: World) -> None:
    recall(world)
    assert rebuild(world) == "registered"
    world.later(minutes=10)
    assert world.build("bad.csv", ROWS + b"7,1\n") == "registered"
    assert world.objects_of("reviews-00003") == ["reviews/a.csv#v1", "reviews/bad.csv#v2"]


def test_a_recall_is_one_however_often_it_comes(world: World) -> None:
    for _ in range(3):
        recall(world)
    assert rebuild(world) == "registered"
    recall(world)
    world.ask()
    assert world.pipeline.get("in_flight") is None
    assert world.events().count("data recalled") == 1


@pytest.mark.parametrize("writes", range(4))
def test_a_recall_whose_function_died_is_done_when_it_comes_again(world: World, writes: int) -> None:
    with suppress(RuntimeError), world.crash_after(writes):
        recall(world)
    assert recall(world)["done_at"]
    assert rebuild(world) == "registered"
    assert world.objects_of(SECOND) == ["reviews/a.csv#v1"]
    counts = world.cloud.catalog.get(keys.counts_key(PIPELINE)) or {}
    assert counts["included"] == 1


@pytest.mark.parametrize("times", [1, 99])
def test_what_is_settled_meanwhile_is_counted_and_no_longer_what_was_recalled(
    world: World, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    counted, left = arrivals.counted, [*range(times)]

    def and_another(cloud: fakes.Cloud, pipeline: str) -> int | None:
        included = counted(cloud, pipeline)
        if left and left.pop() is not None:
            cloud.catalog.update(keys.counts_key(pipeline), {"included": (included or 0) + 1})
        return included

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(arrivals, "counted", and_another)
        if times == 1:
            assert recall(world)["done_at"]
        else:
            with pytest.raises(ConflictError, match="changed each time it was to be set aside"):
                recall(world)
            assert world.arrivals()["reviews/bad.csv#v1"] == "included"
    assert recall(world)["done_at"]
    assert world.arrivals()["reviews/bad.csv#v1"] == "quarantined"
    assert arrivals.counted(world.cloud, PIPELINE) == 2 + times - len(left) - 1


def test_a_released_object_takes_its_recall_back(world: World) -> None:
    recall(world)
    assert rebuild(world) == "registered"
    assert recalls.recalled_in(world.cloud, PIPELINE, RUN) == ["reviews/bad.csv"]
    assert recalls.recalled_in(world.cloud, PIPELINE, SECOND) == []
    assert recalls.recalled_in(world.cloud, PIPELINE, None) == []
    world.later(minutes=10)
    event = {
        "time": world.cloud.now.at,
        "detail": {
            "bucket": {"name": fakes.DATA_BUCKET},
            "object": {"key": "reviews/bad.csv", "version-id": "v1"},
            "request_id": "back",
        },
    }
    assert world.invoke("release_data", event) == {"status": "released"}
    assert world.cloud.catalog.get(keys.recall_key(PIPELINE, SHA256)) is None
    world.later(minutes=10)
    world.ask()
    run_id = world.pipeline["in_flight"]
    world.play(run_id)
    assert world.objects_of(run_id) == ["reviews/a.csv#v1", "reviews/bad.csv#v1"]
    assert world.catalog_run(run_id)["status"] == "skipped", "it was judged before the recall"
    version = world.catalog_run(run_id)["dataset_version"]
    shown = data.dataset(world.cloud, PIPELINE, {"dataset_version": version})
    assert [(obj["key"], obj["rows"]) for obj in shown["objects"]] == [
        ("reviews/a.csv", 2),
        ("reviews/bad.csv", 1),
    ]
    world.later(minutes=10)
    assert world.build("later.csv", b"x,y\n7,1\n") == "registered"
    later = world.pipeline["dataset_version"]
    held = {obj.key for obj in datasets.find_manifest(world.cloud, PIPELINE, later).objects}
    assert held == {"reviews/a.csv", "reviews/bad.csv", "reviews/later.csv"}


def test_a_version_that_holds_it_is_not_built_by_hand_nor_reproduced(world: World) -> None:
    recall(world)
    assert rebuild(world) == "registered"
    version = world.catalog_run()["dataset_version"]
    for number, given in enumerate(({"dataset_version": version}, {"reproduces": RUN})):
        detail = {"stack": "sluice", "pipeline": PIPELINE, "request_id": str(number), "actor": "ada", **given}
        world.invoke("start_run", {"time": world.cloud.now.at, "detail": detail})
        answer = world.cloud.catalog.get(keys.request_key(PIPELINE, str(number))) or {}
        assert answer["status"] == "refused"
        assert "holds recalled data: reviews/bad.csv" in answer["reasons"][0]


def test_a_pipeline_that_is_not_there_is_left_alone(world: World) -> None:
    before = dict(world.cloud.catalog.items)
    recall(world, pipeline="other")
    assert world.cloud.catalog.items == before
