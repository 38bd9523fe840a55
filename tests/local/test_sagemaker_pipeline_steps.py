"""Executions run their steps as SageMaker Pipelines does: jobs, conditions, callbacks, functions, caches."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.functions import create_function, receive
from local.jobs import IMAGE, archive, channel, needs_namespaces
from local.pipelines import (
    PASSING,
    Pipelines,
    callback,
    compared,
    condition,
    failing,
    parameter,
    role_that_may,
)
from local.registry import refused
from sluice_local.cloud import LocalCloud

REPORT = [{"PropertyFileName": "Report", "OutputName": "out", "FilePath": "evaluation.json"}]
ACCURACY = {
    "Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Report"}, "Path": "accuracy"}
}
OUT = {"Get": "Steps.Evaluate.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}
EVALUATE = """
import json, pathlib
pathlib.Path("/opt/ml/processing/out/evaluation.json").write_text(json.dumps({"accuracy": 0.75}))
"""
TRAIN = """
import pathlib
pathlib.Path("/opt/ml/model/model.txt").write_text("a model")
"""


@pytest.fixture
def pipelines(cloud: LocalCloud, unique: Callable[[str], str]) -> Pipelines:
    return Pipelines(cloud, unique)


@needs_namespaces
def test_jobs_hand_on_what_they_wrote_and_a_condition_decides_by_it(pipelines: Pipelines) -> None:
    group = pipelines.unique("group")
    training = pipelines.jobs.training_request(InputDataConfig=[channel("train", OUT)])  # type: ignore[arg-type]
    code = pipelines.jobs.put("code/train.py", TRAIN)
    training["AlgorithmSpecification"]["ContainerEntrypoint"] = [
        "python3",
        "/opt/ml/input/data/code/train.py",
    ]
    training["InputDataConfig"].append(channel("code", code))
    model = {"Image": IMAGE, "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}}
    register = {
        "Name": "New-RegisterModel",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": group,
            "InferenceSpecification": {
                "Containers": [model],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            "ModelMetrics": {"Bias": {}, "Explainability": {}},
            "ModelApprovalStatus": "Approved",
        },
    }
    create = {
        "Name": "New-CreateModel",
        "Type": "Model",
        "Arguments": {"ExecutionRoleArn": pipelines.role, "PrimaryContainer": model},
    }
    pipelines.create(
        {"Name": "Train", "Type": "Training", "Arguments": training},
        pipelines.processing("Evaluate", EVALUATE, PropertyFiles=REPORT),
        condition(
            "IsGood",
            compared("GreaterThanOrEqualTo", ACCURACY, {"Get": "Parameters.Minimum"}),
            then=(register, create),
            otherwise=(
                failing(
                    "Refuse", {"Std:Join": {"On": " ", "Values": ["below", {"Get": "Parameters.Minimum"}]}}
                ),
            ),
        ),
        Parameters=[parameter("Minimum", "Float", 0.7)],
    )
    status, steps = pipelines.run()
    assert (status, set(steps)) == (
        "Succeeded",
        {"Train", "Evaluate", "IsGood", "New-RegisterModel", "New-CreateModel"},
    )
    assert steps["IsGood"]["Metadata"]["Condition"] == {"Outcome": "True"}
    job_name = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    job = pipelines.sagemaker.describe_training_job(TrainingJobName=job_name)
    assert job_name.startswith("pipelines-")
    assert job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"].startswith(
        pipelines.jobs.uri("out/")
    )
    arn = steps["New-RegisterModel"]["Metadata"]["RegisterModel"]["Arn"]
    package = pipelines.sagemaker.describe_model_package(ModelPackageName=arn)
    assert arn.endswith(f"model-package/{group}/1")
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == job["ModelArtifacts"]["S3ModelArtifacts"]
    name = steps["New-CreateModel"]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    assert pipelines.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["Image"] == IMAGE

    status, steps = pipelines.run(Minimum="0.8")
    assert status == "Failed"
    assert steps["Refuse"]["FailureReason"] == "below 0.8"
    assert steps["Refuse"]["Metadata"]["Fail"] == {"ErrorMessage": "below 0.8"}
    assert not {"New-RegisterModel", "New-CreateModel"} & steps.keys()


SERVE = """
def model_fn(model_dir):
    return str.upper

def input_fn(data, content_type):
    return data.decode() if isinstance(data, bytes) else data

def predict_fn(records, model):
    return model(records)

def output_fn(prediction, accept):
    return prediction, accept
"""


def test_a_model_that_a_step_made_transforms_data(pipelines: Pipelines) -> None:
    model_data = pipelines.jobs.put("model.tar.gz", archive({"code/inference.py": SERVE}))
    environment = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    }
    container = {"Image": IMAGE, "ModelDataUrl": model_data, "Environment": environment}
    create = {"ExecutionRoleArn": pipelines.role, "PrimaryContainer": container}
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": pipelines.jobs.put("in/a.csv", "great")}}
    transform = {
        "ModelName": {"Get": "Steps.New-CreateModel.ModelName"},
        "TransformInput": {"DataSource": source, "ContentType": "text/csv"},
        "TransformOutput": {"S3OutputPath": pipelines.jobs.uri("scored"), "Accept": "text/csv"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    pipelines.create(
        {"Name": "Score", "Type": "Transform", "Arguments": transform},
        {"Name": "New-CreateModel", "Type": "Model", "Arguments": create},
    )
    status, steps = pipelines.run()
    assert status == "Succeeded", steps
    assert ":transform-job/pipelines-" in steps["Score"]["Metadata"]["TransformJob"]["Arn"]
    assert pipelines.jobs.get("scored/a.csv.out") == b"GREAT"


@needs_namespaces
def test_a_step_is_not_run_again_for_the_same_code_and_data(pipelines: Pipelines) -> None:
    data = pipelines.jobs.put("raw/a.csv", "1")
    caching = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}
    pipelines.create(pipelines.processing("Evaluate", EVALUATE, data, **caching))
    first = pipelines.start()
    assert pipelines.ended(first) == "Succeeded"
    pipelines.jobs.put("moved/a.csv", "1")
    pipelines.create(pipelines.processing("Evaluate", EVALUATE, pipelines.jobs.uri("moved/a.csv"), **caching))
    status, steps = pipelines.run()
    assert (status, steps["Evaluate"]["CacheHitResult"]) == (
        "Succeeded",
        {"SourcePipelineExecutionArn": first},
    )
    assert steps["Evaluate"]["Metadata"] == pipelines.steps(first)["Evaluate"]["Metadata"]
    pipelines.jobs.put("moved/a.csv", "2")
    status, steps = pipelines.run()
    assert status == "Succeeded"
    assert "CacheHitResult" not in steps["Evaluate"]


@needs_namespaces
def test_the_cache_asks_no_rights_of_the_pipelines_role_as_it_reads_for_sagemaker(
    auth_cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    worker = role_that_may(auth_cloud, unique("worker"), "s3:*")
    starter = role_that_may(auth_cloud, unique("starter"), "sagemaker:*", "iam:PassRole", "s3:ListBucket")
    pipelines = Pipelines(auth_cloud, unique, worker)
    data = pipelines.jobs.put("raw/a.csv", "1")
    step = pipelines.processing("Evaluate", EVALUATE, data, CacheConfig={"Enabled": True})
    pipelines.role = starter
    pipelines.create(step)
    status, first = pipelines.run()
    assert status == "Succeeded", first
    status, again = pipelines.run()
    assert ["CacheHitResult" in steps["Evaluate"] for steps in (first, again)] == [False, True]


@needs_namespaces
def test_a_job_that_fails_fails_the_execution_and_a_retry_goes_on_from_there(pipelines: Pipelines) -> None:
    script = "import sys; sys.exit(len(open('/opt/ml/processing/in/0/state').read()))"
    state = pipelines.jobs.put("state", "xxx")
    pipelines.create(
        PASSING,
        pipelines.processing("Work", script, state, DependsOn=["Pass"]),
        pipelines.processing("After", "", {"Get": "Steps.Work.ProcessingJobArn"}),
    )
    arn = pipelines.start()
    assert pipelines.ended(arn) == "Failed"
    assert pipelines.describe(arn)["FailureReason"] == "Step failure: One or multiple steps failed."
    before = pipelines.steps(arn)
    assert before["Work"]["FailureReason"] == "ClientError: AlgorithmError: , exit code: 3"
    assert "After" not in before
    pipelines.jobs.put("state", "")
    pipelines.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn)
    work = pipelines.step_in(arn, "Work", "Succeeded")
    assert work["Metadata"] != before["Work"]["Metadata"]
    assert pipelines.steps(arn)["Pass"] == before["Pass"]
    assert pipelines.ended(arn) == "Failed"  # there is no such input


@needs_namespaces
def test_a_stop_stops_the_job(pipelines: Pipelines) -> None:
    pipelines.create(pipelines.processing("Work", "import time; time.sleep(600)"))
    arn = pipelines.start()
    step = pipelines.step_in(arn, "Work", "Executing")
    pipelines.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert pipelines.ended(arn) == "Stopped"
    assert pipelines.steps(arn)["Work"]["StepStatus"] == "Stopped"
    name = step["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    job = pipelines.sagemaker.describe_processing_job(ProcessingJobName=name)
    assert job["ProcessingJobStatus"] == "Stopped"


def test_a_callback_gives_its_outputs_to_other_steps(pipelines: Pipelines) -> None:
    url = pipelines.queue()
    answered = {"Get": "Steps.Ask.OutputParameters['answer']"}
    pipelines.create(
        callback("Ask", url, "answer", Arguments={"run": {"Get": "Execution.PipelineExecutionArn"}}),
        condition("IsYes", compared("Equals", answered, "yes"), otherwise=(failing("No"),)),
    )
    arn = pipelines.start()
    (message,) = receive(pipelines.cloud, url)
    body = json.loads(message["Body"])
    assert body["pipelineExecutionArn"] == arn
    assert (body["arguments"], body["status"]) == ({"run": arn}, "Executing")
    assert len(body["token"]) == 10
    outputs = [{"Name": "answer", "Value": "yes"}]
    sent = pipelines.sagemaker.send_pipeline_execution_step_success(
        CallbackToken=body["token"], OutputParameters=outputs
    )
    assert sent["PipelineExecutionArn"] == arn
    assert pipelines.ended(arn) == "Succeeded"
    steps = pipelines.steps(arn)
    assert steps["Ask"]["Metadata"]["Callback"] == {
        "CallbackToken": body["token"],
        "SqsQueueUrl": url,
        "OutputParameters": outputs,
    }
    with refused("ResourceNotFound", "No step waits for the callback token"):
        pipelines.sagemaker.send_pipeline_execution_step_success(CallbackToken=body["token"])


def test_a_callback_may_fail_and_a_stop_waits_for_its_answer(pipelines: Pipelines) -> None:
    url = pipelines.queue()
    pipelines.create(callback("Ask", url))
    failed, stopped = pipelines.start(), pipelines.start()
    tokens: dict[str, str] = {}
    while len(tokens) < 2:
        for message in receive(pipelines.cloud, url):
            body = json.loads(message["Body"])
            tokens[body["pipelineExecutionArn"]] = body["token"]
    pipelines.sagemaker.send_pipeline_execution_step_failure(
        CallbackToken=tokens[failed], FailureReason="nobody was there"
    )
    assert pipelines.ended(failed) == "Failed"
    assert pipelines.steps(failed)["Ask"]["FailureReason"] == "nobody was there"
    pipelines.step_in(stopped, "Ask", "Executing")
    pipelines.sagemaker.stop_pipeline_execution(PipelineExecutionArn=stopped)
    (message,) = receive(pipelines.cloud, url)
    assert json.loads(message["Body"])["status"] == "Stopping"
    assert pipelines.describe(stopped)["PipelineExecutionStatus"] == "Stopping"
    pipelines.sagemaker.send_pipeline_execution_step_success(CallbackToken=tokens[stopped])
    assert pipelines.ended(stopped) == "Stopped"


def lambda_step(name: str, arn: str, *outputs: tuple[str, str], **arguments: Any) -> dict[str, Any]:
    declared = [{"OutputName": output, "OutputType": kind} for output, kind in outputs]
    return {
        "Name": name,
        "Type": "Lambda",
        "FunctionArn": arn,
        "Arguments": arguments,
        "OutputParameters": declared,
    }


def test_a_function_gets_the_arguments_and_gives_outputs(pipelines: Pipelines) -> None:
    source = """
def handler(event, context):
    if event["rows"] < 0:
        raise ValueError("no rows")
    return {"twice": 2 * event["rows"], "word": "ok"}
"""
    arn = create_function(pipelines.cloud, pipelines.unique("double"), source)
    twice = {"Get": "Steps.Double.OutputParameters['twice']"}
    pipelines.create(
        lambda_step("Double", arn, ("twice", "Integer"), ("word", "String"), rows={"Get": "Parameters.Rows"}),
        condition("IsSix", compared("Equals", twice, 6), otherwise=(failing("No"),)),
        Parameters=[parameter("Rows", "Integer", 3)],
    )
    status, steps = pipelines.run()
    assert status == "Succeeded"
    assert steps["Double"]["Metadata"]["Lambda"] == {
        "Arn": arn,
        "OutputParameters": [{"Name": "twice", "Value": "6"}, {"Name": "word", "Value": "ok"}],
    }
    status, steps = pipelines.run(Rows="-1")
    assert (status, steps["Double"]["StepStatus"]) == ("Failed", "Failed")
    assert "no rows" in steps["Double"]["FailureReason"]


def test_no_more_steps_run_at_a_time_than_asked_for(pipelines: Pipelines) -> None:
    url = pipelines.queue()
    pipelines.create(callback("A", url), callback("B", url))
    arn = pipelines.sagemaker.start_pipeline_execution(
        PipelineName=pipelines.name, ParallelismConfiguration={"MaxParallelExecutionSteps": 1}
    )["PipelineExecutionArn"]
    for expected in ({"A"}, {"A", "B"}):
        (message,) = receive(pipelines.cloud, url)
        assert pipelines.steps(arn).keys() == expected
        pipelines.sagemaker.send_pipeline_execution_step_success(
            CallbackToken=json.loads(message["Body"])["token"]
        )
    assert pipelines.ended(arn) == "Succeeded"


def test_a_fault_is_retried_as_often_as_a_policy_says(pipelines: Pipelines) -> None:
    name = pipelines.unique("throttled")
    arn = create_function(pipelines.cloud, name, "def handler(event, context):\n    return {}")
    pipelines.cloud.client("lambda").put_function_concurrency(
        FunctionName=name, ReservedConcurrentExecutions=0
    )
    policy = {
        "ExceptionType": ["Step.THROTTLING"],
        "IntervalSeconds": 1,
        "BackoffRate": 1.0,
        "MaxAttempts": 2,
    }
    other = {**policy, "ExceptionType": ["Step.SERVICE_FAULT"]}
    pipelines.create({**lambda_step("Call", arn), "RetryPolicies": [other, policy]})
    status, steps = pipelines.run()
    assert (status, steps["Call"]["AttemptCount"]) == ("Failed", 3)
    pipelines.create({**lambda_step("Call", arn), "RetryPolicies": [other]})
    status, steps = pipelines.run()
    assert (status, steps["Call"]["AttemptCount"]) == ("Failed", 1)


def test_selected_steps_run_by_what_others_gave_before(pipelines: Pipelines) -> None:
    url = pipelines.queue()
    answered = {"Get": "Steps.Ask.OutputParameters['answer']"}
    pipelines.create(
        PASSING,
        callback("Ask", url, "answer", DependsOn=["Pass"]),
        condition("IsYes", compared("Equals", answered, "yes")),
    )
    first = pipelines.start()
    (message,) = receive(pipelines.cloud, url)
    with refused("ValidationException", f"Step Ask is not selected, and did not succeed in {first}."):
        select(pipelines, "IsYes")
    outputs = [{"Name": "answer", "Value": "yes"}]
    token = json.loads(message["Body"])["token"]
    pipelines.sagemaker.send_pipeline_execution_step_success(CallbackToken=token, OutputParameters=outputs)
    assert pipelines.ended(first) == "Succeeded"
    arn = select(pipelines, "IsYes")
    assert pipelines.ended(arn) == "Succeeded"
    steps = pipelines.steps(arn)
    assert steps.keys() == {"Ask", "IsYes"}
    assert steps["Ask"]["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": first}
    assert steps["IsYes"]["Metadata"]["Condition"] == {"Outcome": "True"}
    assert pipelines.describe(arn)["SelectiveExecutionConfig"] == {
        "SourcePipelineExecutionArn": first,
        "SelectedSteps": [{"StepName": "IsYes"}],
    }
    with refused("ValidationException", "The pipeline has no step Nobody to select."):
        select(pipelines, "Nobody")


def select(pipelines: Pipelines, *names: str) -> str:
    """Start an execution of these steps alone; its ARN."""
    started = pipelines.sagemaker.start_pipeline_execution(
        PipelineName=pipelines.name,
        SelectiveExecutionConfig={"SelectedSteps": [{"StepName": name} for name in names]},
    )
    return str(started["PipelineExecutionArn"])


def test_the_bus_hears_of_an_execution_and_its_steps(pipelines: Pipelines) -> None:
    pipeline = pipelines.create(PASSING, failing("Refuse", "no"), DependsOn=[])
    queue = pipelines.jobs.subscribe({"source": ["aws.sagemaker"], "detail": {"pipelineArn": [pipeline]}})
    arn = pipelines.start()

    def is_last(event: dict[str, Any]) -> bool:
        return bool(event["detail"].get("currentPipelineExecutionStatus") == "Failed")

    events = pipelines.jobs.events(queue, arn, is_last)
    assert {tuple(event["resources"]) for event in events} == {(pipeline, arn)}
    by_type: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_type.setdefault(event["detail-type"], []).append(event["detail"])
    about_execution = by_type["SageMaker Model Building Pipeline Execution Status Change"]
    first, last = about_execution[0], about_execution[-1]
    assert first["currentPipelineExecutionStatus"] == "Executing"
    assert (last["previousPipelineExecutionStatus"], last["pipelineExecutionArn"]) == ("Executing", arn)
    assert last["executionStartTime"] <= last["executionEndTime"]
    assert last["pipelineExecutionDisplayName"].startswith("execution-")
    about_steps = by_type["SageMaker Model Building Pipeline Execution Step Status Change"]
    refuse = [detail for detail in about_steps if detail["stepName"] == "Refuse"]
    assert [detail["currentStepStatus"] for detail in refuse] == ["Starting", "Executing", "Failed"]
    assert refuse[-1]["previousStepStatus"] == "Executing"
    assert (refuse[-1]["stepType"], refuse[-1]["failureReason"]) == ("Fail", "no")
    assert refuse[-1]["metadata"] == {"fail": {"errorMessage": "no"}}
    assert refuse[-1]["stepStartTime"] <= refuse[-1]["stepEndTime"]
