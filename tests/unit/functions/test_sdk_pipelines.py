"""A build that runs a pipeline of SageMaker: from the push to a registered version, or why there is none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

import fakes
import sdk_world
from build_world import PIPELINE, RUN, World
from sdk_world import EXECUTION, changed, definition, play, registers, step
from sluice.catalog import keys
from sluice.catalog.changes import builds
from sluice.catalog.records.builds import Step
from sluice.domain import names
from sluice.domain.build import evaluations
from sluice.domain.safeguards import Safeguards
from sluice.services import building
from sluice.services.build.taking_over import NotTakenError
from sluice.services.views import comparison, costs, foresight, runs, story

SAGEMAKER_PIPELINE = "sluice--reviews"


@pytest.fixture
def world(cloud: fakes.Cloud, invoke: Any) -> World:
    """A pushed project and a file of data."""
    return World(cloud, invoke)


def started(world: World, **pushed: Any) -> World:
    sdk_world.push(world, **pushed)
    world.upload("a.csv")
    world.later(minutes=2)
    world.ask()
    return world


def test_what_the_pipeline_registered_is_judged_and_registered_by_the_run(world: World) -> None:
    started(world)
    assert play(world, registers(world, 0.9)) == "registered"

    (arn,) = [each for each in world.cloud.registry.by_arn if f"/{sdk_world.GROUP}/" not in each]
    package = world.cloud.registry.by_arn[arn]
    assert package["ModelPackageGroupName"] == "sluice--reviews"
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"].startswith(f"s3://{fakes.ARTIFACT_BUCKET}/models/{PIPELINE}/")
    assert container["Environment"]["SAGEMAKER_PROGRAM"] == "inference.py"

    manifest = json.loads(world.cloud.objects.read(world.catalog_run()["manifest_uri"]))
    executed = next(each for each in manifest["steps"] if each["step"] == "pipeline")
    assert executed["job_arn"].endswith(f"pipeline/{SAGEMAKER_PIPELINE}/execution/1")
    assert executed["outputs"]["package"].endswith(f"model-package/{sdk_world.GROUP}/1")
    assert manifest["candidate"] == "pipeline"
    assert manifest["parameters"]["pipeline"]["MinAccuracyValue"] == "0.6"


def test_the_execution_is_given_what_the_run_knows_and_what_the_project_says(world: World) -> None:
    started(world)
    play(world, registers(world, 0.9))
    request = world.cloud.pipelines.requests[EXECUTION]
    given = {each["Name"]: each["Value"] for each in request["PipelineParameters"]}
    version = world.catalog_run()["dataset_version"]
    runs = f"s3://{fakes.ARTIFACT_BUCKET}/runs/{PIPELINE}/{RUN}"
    assert given["InputManifest"].endswith(f"datasets/{PIPELINE}/{version}/files.manifest")
    assert (given["OutputUri"], given["MinAccuracyValue"], given["Solver"]) == (
        f"{runs}/build",
        "0.6",
        "saga",
    )
    assert given["RoleArn"] in {role.arn for role in world.cloud.roles.by_name.values()}
    assert "sagemaker-scikit-learn:1.4-2" in given["ImageUri"]
    assert len(request["ClientRequestToken"]) >= 32


def test_a_worse_model_than_the_champions_recorded_one_is_rejected_and_the_gate_says_what_it_compared(
    world: World,
) -> None:
    started(world)
    assert play(world, registers(world, 0.9)) == "registered"
    world.release()
    world.upload("b.csv", b"x,y\n3,0\n")
    world.later(minutes=2)
    world.ask()
    second = names.run_id(PIPELINE, 2)
    assert play(world, registers(world, 0.85, second), run_id=second) == "rejected"
    (reason,) = world.catalog_run(second)["reasons"]
    assert "0.85 fails with limit 0.89" in reason
    assert f"as {RUN} recorded it, on that run's test data" in reason


@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        ("no evaluation", "its run's manifest has no evaluation"),
        ("gone", "the evaluation of its run is gone: "),
        ("changed", "the evaluation of its run has changed: "),
    ],
)
def test_a_champion_whose_recorded_evaluation_is_not_to_be_had_rejects_and_says_why(
    world: World, spoiled: str, why: str
) -> None:
    started(world)
    assert play(world, registers(world, 0.9)) == "registered"
    world.release()
    uri = world.catalog_run()["manifest_uri"]
    manifest = json.loads(world.cloud.objects.read(uri))
    evaluation = next(each for each in manifest["artifacts"] if each["name"] == "evaluation")
    if spoiled == "gone":
        world.cloud.objects.delete(evaluation["uri"])
    elif spoiled == "changed":
        world.cloud.objects.write(evaluation["uri"], b'{"metrics": {"accuracy": {"value": 0.1}}}')
    else:
        manifest["artifacts"].remove(evaluation)
        data = json.dumps(manifest).encode()
        world.cloud.objects.write(uri, data)
        sha256 = hashlib.sha256(data).hexdigest()
        world.cloud.catalog.update(keys.run_key(PIPELINE, RUN), {"manifest_sha256": sha256})
    world.upload("b.csv", b"x,y\n3,0\n")
    world.later(minutes=2)
    world.ask()
    second = names.run_id(PIPELINE, 2)
    assert play(world, registers(world, 0.95, second), run_id=second) == "rejected"
    assert why in world.catalog_run(second)["reasons"][0]


@pytest.mark.parametrize(
    ("status", "steps", "why"),
    [
        (
            "Succeeded",
            [step("Train"), step("IsAccurate", Metadata={"Condition": {"Outcome": "False"}})],
            "the pipeline registered no model: its condition IsAccurate was not met",
        ),
        (
            "Failed",
            [
                step("IsAccurate", Metadata={"Condition": {"Outcome": "False"}}),
                step("TooBad", "Failed", Metadata={"Fail": {"ErrorMessage": "the accuracy is too low"}}),
            ],
            "the pipeline registered no model: the accuracy is too low",
        ),
    ],
)
def test_a_pipeline_that_decides_against_its_model_ends_the_run_as_rejected_in_its_own_words(
    world: World, status: str, steps: list[dict[str, Any]], why: str
) -> None:
    started(world)
    assert play(world, steps, status) == "rejected"
    assert world.catalog_run()["reasons"] == [why]
    assert world.step("pipeline")["status"] == "Completed"


def test_a_failed_step_fails_the_run_with_its_reason_and_the_last_lines_of_its_job(world: World) -> None:
    started(world)
    world.cloud.job_logs.by_job["pipelines-t"] = ["ValueError: no rows"]
    job = {"TrainingJob": {"Arn": fakes.arn("sagemaker", "training-job/pipelines-t")}}
    steps = [
        step("Prepare"),
        step("Train", "Failed", Metadata=job, FailureReason="AlgorithmError: exit code 1"),
    ]
    assert play(world, steps, "Failed") == "failed"
    (reason,) = world.catalog_run()["reasons"]
    assert "Train: AlgorithmError: exit code 1" in reason
    assert world.step("pipeline")["log_tail"] == ["ValueError: no rows"]
    assert world.step("pipeline-Train")["failure_reason"] == "AlgorithmError: exit code 1"


def test_what_jobs_wrote_by_the_sdks_default_counts_as_the_runs_once(world: World) -> None:
    started(world)
    play(world, registers(world, 0.9))
    before = costs.run_cost(world.cloud, RUN) or {}
    written = f"s3://{fakes.ARTIFACT_BUCKET}/pipelines/{PIPELINE}/e1/train"
    for uri in (f"{written}/a.csv", f"{written}-model/model.tar.gz"):
        world.cloud.objects.write(uri, b"12345")
    for name, outputs in (
        ("pipeline-Prepare", {"train": written, "again": f"{written}/a.csv"}),
        ("pipeline-Train", {"other": f"s3://{fakes.ARTIFACT_BUCKET}/datasets/{PIPELINE}/"}),
    ):
        made = Step(run_id=RUN, step=name, status="Completed", kind="processing_job", outputs=outputs)
        world.cloud.catalog.apply(builds.record_step(made))
    found = costs.run_cost(world.cloud, RUN) or {}
    assert found["storage"]["bytes"] == before["storage"]["bytes"] + 5


def test_a_run_under_way_shows_the_steps_of_its_execution(world: World) -> None:
    started(world)
    shown: list[dict[str, Any]] = []
    train = {"TrainingJob": {"Arn": fakes.arn("sagemaker", "training-job/pipelines-t")}}

    def look(_: str) -> None:
        if not shown and world.sent[-1][0] == "start_job":
            steps = [step("Prepare"), step("Train", "Executing", Metadata=train)]
            world.cloud.pipelines.descriptions[EXECUTION]["Steps"] = steps
            found = runs.run(world.cloud, RUN)
            assert found is not None
            shown.extend([*found["steps"], found["graph"][2]])
            sdk_world.end(world, registers(world, 0.9))

    with mock.patch.object(world, "_end_job", look):
        assert world.play() == "registered"
    *steps, stage = shown
    told = {each["step"]: (each["status"], each.get("job_name")) for each in steps}
    assert told["pipeline-Prepare"] == ("Completed", None)
    assert told["pipeline-Train"] == ("InProgress", "pipelines-t")
    assert sorted(stage["steps"]) == ["pipeline", "pipeline-Prepare", "pipeline-Train"]
    # Once it has ended, its steps are those on record.
    found = runs.run(world.cloud, RUN)
    assert found is not None
    names_ = [each["step"] for each in found["steps"]]
    assert len(names_) == len(set(names_))


def test_pages_of_a_run_of_a_pipeline_tell_what_it_had(world: World) -> None:
    started(world)
    assert play(world, registers(world, 0.9)) == "registered"
    world.release()
    found = story.why(world.cloud, PIPELINE, "production")
    assert found is not None
    assert (found["candidates"]["objective"], found["candidates"]["all"]) == (None, [])
    run = building.find_run(world.cloud, PIPELINE, RUN)
    assert run is not None
    foreseen = foresight.foresee(world.cloud, run)
    assert [(each["step"], each["outcome"]) for each in foreseen["steps"]] == [("pipeline", "open")]
    compared = comparison.compare(world.cloud, [run, run])
    told = {row["what"] for row in compared["same"] if row["subject"] == "parameters"}
    assert told >= {"MinAccuracyValue"}
    took = {row["what"] for row in compared["same"] if row["subject"] == "durations"}
    assert "pipeline" in took, compared["same"]
    assert not {"all candidates", "chosen candidate"} & took


def test_a_repeated_start_or_event_changes_nothing(world: World) -> None:
    started(world)
    world.prepare_run()
    world.start("pipeline")
    token = world.start("pipeline")
    assert len(world.cloud.pipelines.requests) == 1
    sdk_world.end(world, registers(world, 0.9))
    first = world.step("pipeline")
    assert world.invoke("finish_job", changed(EXECUTION))["status"] == "ignored"
    assert world.step("pipeline") == first
    assert world.answer(token)["status"] == "Completed"


def test_reconcile_tells_of_an_end_that_nobody_heard(world: World) -> None:
    started(world)
    world.prepare_run()
    world.start("pipeline")
    world.cloud.pipelines.end(EXECUTION, "Succeeded", registers(world, 0.9))
    world.invoke("reconcile", {})
    kind = "SageMaker Model Building Pipeline Execution Status Change"
    (detail,) = [detail for told, detail, _ in world.cloud.bus.entries if told == kind]
    assert world.invoke("finish_job", {"detail": detail})["status"] == "answered"


def test_the_end_of_a_run_stops_its_execution(world: World) -> None:
    started(world)
    world.prepare_run()
    world.start("pipeline")
    world.finish("stopped", reasons=["by hand"])
    assert world.cloud.pipelines.stopped == [EXECUTION]
    sdk_world.end(world, [step("Prepare", "Stopped")], status="Stopped")
    stopped = world.step("pipeline")
    assert stopped["status"] == "Stopped"
    assert "remark" not in stopped
    assert "log_tail" not in stopped


def test_a_push_checks_the_pipeline_and_puts_it_into_sagemaker(world: World) -> None:
    version = sdk_world.push(world)
    put = world.cloud.pipelines.by_name[SAGEMAKER_PIPELINE]
    assert put["PipelineDefinitionS3Location"]["ObjectKey"] == f"projects/{PIPELINE}/{version}/pipeline.json"
    assert version in put["PipelineDescription"]
    assert sdk_world.GROUP in world.cloud.registry.groups


@pytest.mark.parametrize("tampered", [b'{"Version": "2020-12-01", "Steps": []}', None])
def test_a_definition_that_is_not_the_pushed_one_is_not_started(world: World, tampered: bytes | None) -> None:
    started(world)
    version = world.catalog_run()["project_version"]
    objects, key = world.cloud.objects, f"projects/{PIPELINE}/{version}/pipeline.json"
    uri = f"s3://{fakes.ARTIFACT_BUCKET}/{key}"
    objects.delete(uri) if tampered is None else objects.write(uri, tampered)
    assert world.play() == "failed"
    assert not world.cloud.pipelines.requests
    (reason,) = world.catalog_run()["reasons"]
    said = "is gone" if tampered is None else "has changed since the project was pushed"
    assert f"{key} {said}" in reason


@pytest.mark.parametrize(
    ("role", "said"),
    [
        (
            "arn:aws:iam::123456789012:role/Admin",
            "has the role arn:aws:iam::123456789012:role/Admin: expected",
        ),
        (None, "writes to s3://elsewhere/train: expected a place below"),
    ],
)
def test_a_pipeline_that_names_what_the_stack_does_not_allow_is_refused(
    world: World, role: str | None, said: str
) -> None:
    prepare = json.loads(json.dumps(sdk_world.PREPARE))
    if role:
        prepare["Arguments"]["RoleArn"] = role
    else:
        (output,) = prepare["Arguments"]["ProcessingOutputConfig"]["Outputs"]
        output["S3Output"]["S3Uri"] = "s3://elsewhere/train"
    steps = [prepare, sdk_world.TRAIN, sdk_world.CONDITION]
    version = sdk_world.push(world, pipeline=definition(Steps=steps))
    item = world.cloud.catalog.get(keys.project_key(PIPELINE, version)) or {}
    assert item["status"] == "refused"
    assert said in " ".join(item["reasons"])
    assert not world.cloud.pipelines.by_name


@pytest.mark.parametrize(
    "demanded",
    [
        Safeguards(kms_key_arn="arn:aws:kms:eu-central-1:123456789012:key/1"),
        Safeguards(subnets=("subnet-1",), security_groups=("sg-1",)),
        Safeguards(isolates_jobs=True),
        Safeguards(encrypts_job_traffic=True),
    ],
)
def test_an_account_that_demands_what_nobody_adds_to_a_pipelines_jobs_has_none(
    world: World, demanded: Safeguards
) -> None:
    world.cloud.safeguards = demanded
    assert "demands a key, a network or isolation of every job" in refusal(world)


def refusal(world: World) -> str:
    """Push a project that is refused; the reasons."""
    version = sdk_world.push(world)
    item = world.cloud.catalog.get(keys.project_key(PIPELINE, version)) or {}
    assert item["status"] == "refused"
    assert not world.cloud.pipelines.by_name
    return " ".join(item["reasons"])


def test_what_sagemaker_refuses_of_a_pipeline_refuses_the_push(world: World) -> None:
    world.cloud.pipelines.refusal = "ValidationException: no"
    version = sdk_world.push(world)
    item = world.cloud.catalog.get(keys.project_key(PIPELINE, version)) or {}
    assert item["reasons"] == ["SageMaker refuses the pipeline: ValidationException: no"]


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.9, "reproduced"), (0.7, "differed")])
def test_a_model_that_a_pipeline_made_is_reproduced_by_another_execution(
    world: World, accuracy: float, verdict: str
) -> None:
    started(world)
    assert play(world, registers(world, 0.9)) == "registered"
    again = names.run_id(PIPELINE, 2)
    detail = {"stack": "sluice", "pipeline": PIPELINE, "request_id": "r1", "actor": "ada", "reproduces": RUN}
    world.invoke("start_run", {"time": "2026-11-24T12:00:00Z", "detail": detail})
    answer = world.cloud.catalog.get(keys.request_key(PIPELINE, "r1")) or {}
    assert (answer.get("status"), answer.get("run_id")) == ("taken", again), answer
    assert play(world, registers(world, accuracy, again), run_id=again) == verdict
    # The models differ: `registers` writes the run into each.
    told = world.catalog_run(again)["reasons"]
    assert "every metric is within 0.01" in told or "not 0.9 within 0.01" in told[-1]
    requests = world.cloud.pipelines.requests
    first, second = (
        {
            each["Name"]: each["Value"]
            for each in requests[names.pipeline_execution("sluice", run)]["PipelineParameters"]
        }
        for run in (RUN, again)
    )
    assert (first["MinAccuracyValue"], first["Solver"]) == (second["MinAccuracyValue"], second["Solver"])
    assert len([arn for arn in world.cloud.registry.by_arn if f"/{sdk_world.GROUP}/" not in arn]) == 1


def test_a_run_that_computes_all_anew_gives_sagemaker_no_cache_and_the_next_gives_it_back(
    world: World,
) -> None:
    caching = {"Enabled": True, "ExpireAfter": "P30D"}
    cached = sdk_world.definition(
        Steps=[
            {**sdk_world.PREPARE, "CacheConfig": caching},
            sdk_world.TRAIN,
            sdk_world.condition({**sdk_world.REGISTER, "CacheConfig": caching}),
        ]
    )
    started(world, pipeline=cached)
    assert play(world, registers(world, 0.9)) == "registered"
    first = world.cloud.pipelines.requests[EXECUTION]["Pipeline"]
    assert "PipelineDefinition" not in first
    detail = {"stack": "sluice", "pipeline": PIPELINE, "request_id": "r1", "actor": "ada", "reproduces": RUN}
    world.invoke("start_run", {"time": "2026-11-24T12:00:00Z", "detail": detail})
    again = names.run_id(PIPELINE, 2)
    assert play(world, registers(world, 0.9, again), run_id=again) == "reproduced"
    second = world.cloud.pipelines.requests[names.pipeline_execution("sluice", again)]["Pipeline"]
    assert "PipelineDefinitionS3Location" not in second
    assert json.loads(second["PipelineDefinition"]) == sdk_world.definition()
    assert json.loads(first["Pushed"]) == cached


def foreign(package: dict[str, Any]) -> None:
    package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] = "s3://elsewhere/model.tar.gz"


def unmeasured(package: dict[str, Any]) -> None:
    package["ModelMetrics"] = {}


def lost(package: dict[str, Any]) -> None:
    statistics = package["ModelMetrics"]["ModelQuality"]["Statistics"]
    statistics["S3Uri"] = f"s3://{fakes.ARTIFACT_BUCKET}/nowhere/evaluation.json"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (foreign, "lies at s3://elsewhere/model.tar.gz: expected in sluice-artifacts"),
        (unmeasured, "the evaluation (ModelMetrics) of"),
        (lost, "is not where it says: there is no s3://sluice-artifacts/nowhere/evaluation.json"),
    ],
)
def test_a_package_that_cannot_be_taken_over_fails_the_run_and_says_why(
    world: World, spoil: Callable[[dict[str, Any]], None], why: str
) -> None:
    started(world)
    steps = registers(world, 0.9)
    (package,) = world.cloud.registry.by_arn.values()
    spoil(package)
    assert play(world, steps) == "failed"
    (reason,) = world.catalog_run()["reasons"]
    assert why in reason


def test_an_evaluation_that_is_too_large_to_be_taken_over_fails_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluations, "MAX_BYTES", 5)
    started(world)
    assert play(world, registers(world, 0.9)) == "failed"
    assert "bytes" in world.catalog_run()["reasons"][0]


def test_a_package_that_is_gone_or_whose_model_is_no_archive_fails_the_run(world: World) -> None:
    started(world)
    steps = registers(world, 0.9)
    (package,) = world.cloud.registry.by_arn.values()
    uri = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    world.cloud.objects.write(uri, b"no archive")
    assert play(world, steps) == "failed"
    assert uri in world.catalog_run()["reasons"][0]

    world.cloud.registry.by_arn.clear()
    task = {**world.common(), "dataset_version": world.catalog_run()["dataset_version"]}
    with pytest.raises(NotTakenError, match="is gone"):
        world.invoke("select_candidate", task)
