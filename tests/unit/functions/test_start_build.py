"""A build starts when one is due: once, under a lock, and never lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, RUN, Invoke, World, requests
from sluice import ports
from sluice.catalog import keys
from sluice.catalog.changes import Change, Update
from sluice.ports import Item


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    world = World(cloud, invoke)
    world.push()
    world.upload("a.csv")
    world.later(minutes=2)
    cloud.build_requests.sent.clear()
    return world


def executions(world: World) -> list[dict[str, Any]]:
    return list(world.cloud.workflows.executions.values())


def test_a_build_that_is_due_gets_the_lock_a_number_and_an_execution(world: World) -> None:
    assert world.ask() == {"batchItemFailures": []}
    (execution,) = executions(world)
    assert execution["name"] == RUN
    assert execution["input"] == {
        "pipeline": PIPELINE,
        "run_id": RUN,
        "project_version": world.pipeline["project_version"],
        "candidates": ["0", "1"],
        "max_parallel": 2,
    }
    assert (world.pipeline["in_flight"], world.pipeline["build_seq"]) == (RUN, 1)
    assert (world.pipeline["budget_day"], world.pipeline["budget_used"]) == ("2026-11-24", 1)
    assert world.catalog_run()["status"] == "running"
    assert world.catalog_run()["execution_arn"] in world.cloud.workflows.executions


def test_any_number_of_requests_is_one_build(world: World) -> None:
    for _ in range(3):
        world.invoke("start_build", requests(*[PIPELINE] * 5))
    assert len(executions(world)) == 1
    assert world.events().count("build started") == 1


def test_two_requests_at_once_are_one_build(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other request takes the lock between this one's decision and its claim."""
    world.ask_meanwhile(monkeypatch)
    world.ask()
    assert [execution["name"] for execution in executions(world)] == [RUN]
    assert world.pipeline["build_seq"] == 1


def deliver(world: World, at: str | None) -> None:
    """Deliver the request that was to come at a time."""
    world.invoke("start_build", requests({"pipeline": PIPELINE, "at": at}))


def test_within_the_quiet_period_it_asks_again_when_that_is_over(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World(cloud, invoke)
    world.push()
    world.upload("a.csv")
    world.later(seconds=20)
    world.upload("b.csv")
    world.later(seconds=40)
    deliver(world, cloud.build_requests.awaited[-1])
    assert executions(world) == []
    assert cloud.build_requests.sent[-1] == (PIPELINE, 20)
    world.later(seconds=20)
    deliver(world, cloud.build_requests.awaited[-1])
    assert len(executions(world)) == 1


def test_requests_before_the_awaited_one_look_at_no_arrivals(
    cloud: fakes.Cloud, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(cloud, invoke)
    world.push()
    for number in range(5):
        world.upload(f"{number}.csv")
    awaited = cloud.build_requests.awaited[-1]
    assert cloud.build_requests.sent == [(PIPELINE, 0), (PIPELINE, 60)]
    looked: list[str] = []
    query = cloud.catalog.query

    def watched(pk: str, prefix: str = "", **given: Any) -> list[Item]:
        looked.append(prefix)
        return query(pk, prefix, **given)

    monkeypatch.setattr(cloud.catalog, "query", watched)
    world.invoke("start_build", requests(*[PIPELINE] * 10))
    deliver(world, "2026-11-24T08:59:00.000Z")
    assert looked == []
    # SQS's clock may be a moment ahead of the function's: the awaited request counts all the same.
    world.later(seconds=59)
    deliver(world, awaited)
    assert looked == [keys.WAITING]
    assert cloud.build_requests.sent[-1] == (PIPELINE, 1)


def test_a_push_does_not_wait_for_the_limits_of_the_version_before(world: World) -> None:
    world.ask()
    assert world.play() == "registered"
    world.upload("b.csv")
    assert world.pipeline["build_requested_for"] > world.cloud.now.at
    world.later(seconds=1)
    world.push(pipeline=PIPELINE_YAML.replace("quiet_period_s: 60", "quiet_period_s: 0").encode())
    world.ask()
    assert world.pipeline["in_flight"] == "reviews-00002"


def test_an_incomplete_batch_builds_nothing_and_a_complete_one_at_once(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = World(cloud, invoke)
    world.push(pipeline=PIPELINE_YAML.replace("quiet_period_s: 60", "marker: _SUCCESS").encode())
    world.upload("a/1.csv")
    world.upload("b/2.csv")
    world.later(hours=5)
    world.ask()
    assert executions(world) == []
    assert world.upload("a/_SUCCESS", b"") == {"status": "control"}
    world.later(seconds=2)
    world.ask()
    assert len(executions(world)) == 1


def test_a_manifest_file_is_read_to_tell_whether_its_batch_is_complete(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = World(cloud, invoke)
    world.push(pipeline=PIPELINE_YAML.replace("quiet_period_s: 60", "manifest: manifest.json").encode())
    world.upload("manifest.json", b'["1.csv", {"key": "2.csv", "size_bytes": 3}]')
    world.upload("1.csv")
    world.upload("2.csv")
    world.later(seconds=9)
    world.ask()
    assert executions(world) == []
    world.upload("manifest.json", b'["1.csv", "2.csv"]')
    world.later(seconds=9)
    world.ask()
    assert len(executions(world)) == 1


def test_what_arrives_during_a_build_waits_for_its_end(world: World) -> None:
    world.ask()
    world.prepare_run()
    world.upload("b.csv")
    world.later(minutes=2)
    world.ask()
    assert len(executions(world)) == 1
    world.finish("rejected", reasons=["worse"])
    assert world.cloud.build_requests.sent[-1] == (PIPELINE, 0)
    world.ask()
    assert world.pipeline["in_flight"] == "reviews-00002"


@pytest.mark.parametrize("crash_at", ["start", "record"])
def test_a_crash_after_the_lock_was_taken_is_made_good_by_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch, crash_at: str
) -> None:
    apply = world.cloud.catalog.apply

    def crash(*_: object) -> None:
        raise RuntimeError

    def crash_at_the_execution(*changes: Change) -> bool:
        if isinstance(changes[0], Update) and "execution_arn" in changes[0].set:
            crash()
        return apply(*changes)

    with monkeypatch.context() as patched:
        if crash_at == "record":
            patched.setattr(world.cloud.catalog, "apply", crash_at_the_execution)
        else:
            patched.setattr(world.cloud.workflows, "start", crash)
        assert world.ask() == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert len(executions(world)) == (crash_at == "record")
    assert world.pipeline["in_flight"] == RUN
    assert world.ask() == {"batchItemFailures": []}
    assert [execution["name"] for execution in executions(world)] == [RUN]
    assert world.play() == "registered"


def test_a_lock_that_an_older_stack_took_without_its_run_is_made_good(world: World) -> None:
    taken = {
        "in_flight": RUN,
        "build_seq": 1,
        "build_cause": "1 new object",
        "last_build_at": world.cloud.now(),
    }
    built = {"built_project_version": world.pipeline["project_version"]}
    world.cloud.catalog.update(keys.pipeline_key(PIPELINE), {**taken, **built})
    assert world.ask() == {"batchItemFailures": []}
    assert world.play() == "registered"


def test_only_the_message_that_failed_comes_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    get = world.cloud.catalog.get

    def flaky(key: dict[str, str]) -> Any:
        if "broken" in key["pk"]:
            raise RuntimeError
        return get(key)

    monkeypatch.setattr(world.cloud.catalog, "get", flaky)
    answer = world.invoke("start_build", requests("broken", PIPELINE))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert len(executions(world)) == 1


def test_a_message_that_is_no_request_holds_up_no_other(world: World) -> None:
    event = requests(PIPELINE)
    event["Records"].insert(0, {"messageId": "bad", "body": "no JSON"})
    assert world.invoke("start_build", event) == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert len(executions(world)) == 1


def test_a_request_for_a_pipeline_that_does_not_exist_is_dropped(world: World) -> None:
    assert world.invoke("start_build", requests("nobody")) == {"batchItemFailures": []}


def test_a_new_project_version_is_built_with_the_data_there_are(world: World) -> None:
    world.ask()
    assert world.play() == "registered"
    world.ask()
    assert len(executions(world)) == 1
    world.later(minutes=1)
    world.push(train=b"print('better')\n")
    world.ask()
    assert world.play("reviews-00002") == "registered"
    assert world.objects_of("reviews-00002") == world.objects_of(RUN)


def test_a_new_project_version_that_runs_read_alike_is_not_built(world: World) -> None:
    world.ask()
    assert world.play() == "registered"
    world.later(minutes=1)
    version = world.push(pipeline=PIPELINE_YAML.encode() + b"# a comment\n")
    assert world.pipeline["project_version"] == version
    world.ask()
    assert len(executions(world)) == 1
    world.upload("more.csv")
    world.later(minutes=2)
    world.ask()
    assert len(executions(world)) == 2
    assert world.pipeline["built_project_version"] == version


def test_the_daily_budget_holds_builds_back_and_loses_none(world: World) -> None:
    for number in range(5):
        world.upload(f"{number}.csv")
        world.later(minutes=2)
        world.ask()
        world.finish("failed", f"reviews-{number + 1:05d}", error={"Error": "Any", "Cause": ""})
    world.upload("last.csv")
    world.later(minutes=2)
    world.cloud.build_requests.sent.clear()
    world.ask()
    assert len(executions(world)) == 5
    assert world.cloud.build_requests.sent == [(PIPELINE, 900)]
    world.later(days=1)
    world.ask()
    assert len(executions(world)) == 6


def test_the_largest_project_makes_a_small_execution(cloud: fakes.Cloud, invoke: Invoke) -> None:
    """Fifty candidates of long values by value were more than a state may hold."""
    world = World(cloud, invoke)
    long = ", ".join(f'h{number}: "{"x" * 2000}"' for number in range(4))
    alphas = ", ".join(str(number / 1000) for number in range(1, 51))
    wide = PIPELINE_YAML.replace("alpha: [0.1, 0.2]", f"alpha: [{alphas}]")
    world.push(
        pipeline=wide.replace("  candidates:", f"  hyperparameters: {{{long}}}\n  candidates:").encode()
    )
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    assert len(json.dumps(world.started())) < 1000
    assert world.play() == "registered"
    request = cloud.jobs.requests[f"sluice--{RUN}-train-49"]
    assert (request["HyperParameters"]["alpha"], len(request["HyperParameters"]["h3"])) == ("0.05", 2002)
    for _, output in cloud.workflows.answers:
        assert len(json.dumps(output)) < 200


@pytest.mark.parametrize("fault", ["refused", "unreadable", "gone"])
def test_a_build_that_no_retry_can_start_ends_as_failed_and_gives_its_lock_back(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    key = keys.project_key(PIPELINE, world.pipeline["project_version"])
    with world.crash_after(1):
        # Whoever took the lock dies there.
        world.ask()
    if fault == "refused":

        def refuse(*_: object) -> str:
            raise ports.StartRefusedError("InvalidExecutionInput: too long")

        monkeypatch.setattr(world.cloud.workflows, "start", refuse)
    elif fault == "unreadable":
        world.cloud.catalog.update(key, {"config": "{}"})
    else:
        del world.cloud.catalog.items[key["pk"], key["sk"]]
    assert world.pipeline["in_flight"] == RUN
    assert world.ask() == {"batchItemFailures": []}
    assert world.catalog_run()["status"] == "failed"
    assert world.catalog_run()["reasons"]
    assert "in_flight" not in world.pipeline


def test_a_fault_that_passes_keeps_the_lock_for_the_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: object) -> str:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(world.cloud.workflows, "start", throttled)
        world.ask()
    assert world.pipeline["in_flight"] == RUN
    world.ask()
    assert world.catalog_run()["execution_arn"] in world.cloud.workflows.executions
