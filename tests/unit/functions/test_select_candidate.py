"""The best candidate is chosen, beside the model that serves; what nobody can vouch for is not."""

from __future__ import annotations

from typing import Any

import pytest

import fakes
from build_world import PIPELINE, PIPELINE_YAML, ROWS, RUN, Invoke, World
from sluice.catalog import keys
from sluice.domain.build import projects


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Invoke) -> World:
    return World.of_started_run(cloud, invoke)


def train(world: World, **failed: str) -> None:
    """Train both candidates; of those that fail, the reason by index."""
    world.prepare_run()
    for index in range(2):
        reason = failed.get(f"train_{index}")
        world.start(f"train-{index}")
        how = {"status": "Failed", "FailureReason": reason} if reason else {}
        world.end(f"train-{index}", **how)


def select(world: World, run_id: str = RUN) -> Any:
    version = world.catalog_run(run_id)["dataset_version"]
    return world.invoke("select_candidate", {**world.common(run_id), "dataset_version": version})


def select_again(world: World) -> Any:
    """Train and select as another build of the same data would."""
    train(world)
    return select(world)


def model_uri(step: str) -> str:
    folder = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}/train"
    return f"{folder}/sluice--{RUN}-{step}/output/model.tar.gz"


def test_the_candidate_with_the_best_objective_is_chosen(world: World) -> None:
    train(world)
    uri = model_uri("train-1")
    selected = select(world)
    assert (selected["candidate"], selected["champion"]) == (
        {"step": "train-1", "model_uri": uri, "model_version_id": "v1"},
        None,
    )
    (evaluation,) = selected["evaluations"]
    assert (evaluation["role"], evaluation["step"], evaluation["model_uri"]) == (
        "candidate",
        "evaluate-candidate",
        uri,
    )
    assert (evaluation["script_version"], evaluation["image"]) == (world.pipeline["project_version"], None)


def test_a_failed_candidate_does_not_keep_the_others_from_being_chosen(world: World) -> None:
    train(world, train_1="no luck")
    assert select(world)["candidate"]["step"] == "train-0"


def test_without_any_candidate_the_reasons_of_each_are_told(world: World) -> None:
    train(world, train_0="reason 0", train_1="reason 1")
    with pytest.raises(Exception, match="train-0 Failed: reason 0; train-1 Failed: reason 1"):
        select(world)


def test_candidates_that_all_fail_at_length_are_told_in_what_a_state_can_hold(
    cloud: fakes.Cloud, invoke: Invoke
) -> None:
    world = World(cloud, invoke)
    alphas = ", ".join(str(number) for number in range(50))
    world.push(pipeline=PIPELINE_YAML.replace("0.1, 0.2", alphas).encode())
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    world.prepare_run()
    for index in range(50):
        world.start(f"train-{index}")
        world.end(f"train-{index}", status="Failed", FailureReason=f"{index} {'x' * 30_000}")
    assert all(len(cause) <= 1000 for _, _, cause in cloud.workflows.failures)
    told = r"train-0 Failed: 0 x+ .*train-1 Failed: 1 x+ .*and 40 more"
    with pytest.raises(Exception, match=told) as raised:
        select(world)
    assert len(str(raised.value)) < 1000


def test_data_overwritten_while_jobs_read_them_fail_the_run(world: World) -> None:
    train(world)
    world.upload("a.csv", ROWS + b"3,1\n")
    with pytest.raises(Exception, match=f"1 object changed .*: {PIPELINE}/a.csv"):
        select(world)


def test_data_overwritten_with_the_same_content_do_not(world: World) -> None:
    train(world)
    world.upload("a.csv", ROWS)
    assert select(world)["candidate"]["step"] == "train-1"


@pytest.mark.parametrize("archive", [None, projects.pack({}), b"torn"])
def test_a_candidate_that_saved_no_model_is_not_chosen(world: World, archive: bytes | None) -> None:
    train(world)
    world.cloud.objects.delete(model_uri("train-1"))
    if archive is not None:
        world.cloud.objects.write(model_uri("train-1"), archive)
    assert select(world)["candidate"]["step"] == "train-0"
    step = world.cloud.catalog.get(keys.step_key(RUN, "train-1")) or {}
    assert "model" in step["remark"]


def test_without_any_model_each_candidates_fault_is_told(world: World) -> None:
    train(world)
    for index in range(2):
        world.cloud.objects.write(model_uri(f"train-{index}"), projects.pack({}))
    with pytest.raises(Exception, match=r"train-0, train-1 Failed: it saved no model"):
        select(world)


def test_what_was_chosen_is_recorded_with_why_and_the_order(world: World) -> None:
    train(world)
    select(world)
    step = world.step("select")
    assert (step["kind"], step["status"]) == ("selection", "Completed")
    assert step["detail"] == {
        "objective": "accuracy",
        "direction": "maximize",
        "ranked": ["train-1", "train-0"],
        "why": "train-1 has the highest accuracy, 0.9, of 2 candidates",
        "champion": None,
    }
    assert "candidate selected" in world.events()


def test_a_job_that_did_not_report_the_objective_says_what_it_was_held_against(world: World) -> None:
    del world.accuracies["train-1"]
    train(world)
    assert select(world)["candidate"]["step"] == "train-0"
    assert 'no line of the log matches the regex "accuracy: ([0-9.]+)"' in world.step("train-1")["remark"]


def write_metrics(world: World, step: str, content: bytes) -> None:
    uri = model_uri(step).replace("model.tar.gz", "output.tar.gz")
    world.cloud.objects.write(uri, projects.pack({"metrics.json": content}))


def test_a_metric_that_the_log_lacks_is_read_from_the_file(world: World) -> None:
    world.accuracies = {"train-1": 0.9}
    train(world)
    write_metrics(world, "train-0", b'{"accuracy": 0.95}')
    write_metrics(world, "train-1", b'{"accuracy": 0.99}')
    assert select(world)["candidate"]["step"] == "train-0"
    # The log had that of the other.
    assert [world.step(f"train-{index}")["metrics"]["accuracy"] for index in range(2)] == [0.95, 0.9]


def test_a_metric_without_a_regex_is_read_from_the_file(cloud: fakes.Cloud, invoke: Invoke) -> None:
    world = World(cloud, invoke, accuracies={})
    world.push(pipeline=PIPELINE_YAML.replace(', regex: "accuracy: ([0-9.]+)"', "").encode())
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    train(world)
    write_metrics(world, "train-0", b'{"accuracy": NaN}')
    write_metrics(world, "train-1", b'{"accuracy": 0.5}')
    assert select(world)["candidate"]["step"] == "train-1"
    request = cloud.jobs.requests[f"sluice--{RUN}-train-0"]
    assert request["AlgorithmSpecification"]["MetricDefinitions"] == []
    assert world.step("train-0")["metrics"] == {"accuracy": None}


def test_a_file_that_cannot_be_used_is_a_reason(world: World) -> None:
    world.accuracies = {}
    train(world)
    write_metrics(world, "train-0", b"accuracy 0.9")
    told = r"train-0 did not report accuracy: no line .*, and /opt/ml/output/data/metrics.json is no JSON.*; "
    with pytest.raises(Exception, match=told + r"train-1 did not .* the script wrote no"):
        select(world)
    assert "is no JSON" in world.step("train-0")["remark"]
