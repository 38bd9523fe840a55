"""Jobs, executions, events and build requests: which answers of AWS are answers, and which are errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from moto import mock_aws

from sluice.adapters.build_requests import SqsBuildRequests
from sluice.adapters.bus import EventBridgeBus
from sluice.adapters.jobs import SageMakerJobs
from sluice.adapters.workflows import StepFunctionsWorkflows
from sluice.domain.failures import TransientError
from sluice.domain.quotas import QuotaError
from sluice.ports import EventRefusedError, RequestRefusedError, StartRefusedError

REGION = "eu-central-1"
MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:sluice-build-model"
EXECUTION = f"arn:aws:states:{REGION}:123456789012:execution:sluice-build-model:reviews-00001"


Service = Literal["sagemaker", "stepfunctions", "events", "sqs"]


def stubbed(service: Service) -> tuple[Any, Stubber]:
    client: Any = boto3.client(service, region_name=REGION)
    stub = Stubber(client)
    stub.activate()
    return client, stub


# ----------------------------------------------------------------------------------------------------- jobs

TRAINING = {
    "TrainingJobName": "reviews-00001-train-0",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "RoleArn": "arn:aws:iam::123456789012:role/jobs",
    "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
PROCESSING = {
    "ProcessingJobName": "reviews-00001-prepare",
    "RoleArn": "arn:aws:iam::123456789012:role/jobs",
    "AppSpecification": {"ImageUri": "image"},
    "ProcessingResources": {
        "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
    },
}


TRANSFORM = {
    "TransformJobName": "sluice--reviews-batch-00001",
    "ModelName": "model",
    "TransformInput": {
        "DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://b/inputs.manifest"}}
    },
    "TransformOutput": {"S3OutputPath": "s3://b/output"},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
}


@pytest.fixture
def sagemaker() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sagemaker", region_name=REGION)


def test_jobs_of_all_kinds_are_created_and_described_by_their_names(sagemaker: Any) -> None:
    jobs = SageMakerJobs(sagemaker)
    assert jobs.start("training_job", TRAINING)
    assert jobs.start("processing_job", PROCESSING)
    training = jobs.describe("training_job", "reviews-00001-train-0")
    processing = jobs.describe("processing_job", "reviews-00001-prepare")
    assert jobs.start("transform_job", TRANSFORM)
    transform = jobs.describe("transform_job", "sluice--reviews-batch-00001")
    assert transform is not None
    assert transform["ModelName"] == "model"
    assert training is not None
    assert processing is not None
    assert training["TrainingJobName"] == "reviews-00001-train-0"
    assert processing["ProcessingJobName"] == "reviews-00001-prepare"


def test_a_job_whose_name_is_taken_was_not_created() -> None:
    client, stub = stubbed("sagemaker")
    stub.add_client_error("create_training_job", "ResourceInUse")
    assert SageMakerJobs(client).start("training_job", TRAINING) is False


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_a_job_that_aws_refuses_is_an_error(code: str) -> None:
    client, stub = stubbed("sagemaker")
    stub.add_client_error("create_processing_job", code)
    with pytest.raises(ClientError, match=code):
        SageMakerJobs(client).start("processing_job", PROCESSING)


def test_a_request_that_aws_refuses_for_what_it_says_is_told_from_other_errors() -> None:
    """Such as a role that it cannot assume yet."""
    client, stub = stubbed("sagemaker")
    stub.add_client_error("create_processing_job", "ValidationException", "Could not assume role")
    with pytest.raises(RequestRefusedError, match="Could not assume role"):
        SageMakerJobs(client).start("processing_job", PROCESSING)


@pytest.mark.parametrize("code", ["ValidationException", "ResourceNotFound"])
@pytest.mark.parametrize("kind", ["training_job", "processing_job", "transform_job"])
def test_a_job_that_is_not_there_is_none(code: str, kind: Any) -> None:
    client, stub = stubbed("sagemaker")
    stub.add_client_error(f"describe_{kind}", code)
    assert SageMakerJobs(client).describe(kind, "reviews-00001-prepare") is None


def test_a_job_that_may_not_be_seen_is_an_error() -> None:
    client, stub = stubbed("sagemaker")
    stub.add_client_error("describe_training_job", "AccessDeniedException")
    with pytest.raises(ClientError):
        SageMakerJobs(client).describe("training_job", "reviews-00001-train-0")


@pytest.mark.parametrize("kind", ["training_job", "processing_job"])
def test_a_quota_is_told_in_sagemakers_words(kind: Any) -> None:
    said = "The account-level service limit 'ml.m5.large for training job usage' is 0 Instances"
    client, stub = stubbed("sagemaker")
    stub.add_client_error(f"create_{kind}", "ResourceLimitExceeded", said)
    with pytest.raises(QuotaError) as refused:
        SageMakerJobs(client).start(kind, TRAINING if kind == "training_job" else PROCESSING)
    assert str(refused.value) == said


@pytest.mark.parametrize("code", ["ValidationException", "ResourceNotFound"])
@pytest.mark.parametrize("kind", ["training_job", "processing_job"])
def test_a_job_that_does_not_run_needs_no_stop(code: str, kind: Any) -> None:
    client, stub = stubbed("sagemaker")
    stub.add_response(f"stop_{kind}", {}, {f"{kind.title().replace('_', '')}Name": "a"})
    stub.add_client_error(f"stop_{kind}", code)
    stub.add_client_error(f"stop_{kind}", "AccessDeniedException")
    jobs = SageMakerJobs(client)
    jobs.stop(kind, "a")
    jobs.stop(kind, "a")
    with pytest.raises(ClientError, match="AccessDenied"):
        jobs.stop(kind, "a")


# ----------------------------------------------------------------------------------------------- executions


def workflows() -> tuple[StepFunctionsWorkflows, Stubber]:
    client, stub = stubbed("stepfunctions")
    return StepFunctionsWorkflows({"build": MACHINE}, client), stub


def test_an_execution_is_started_by_its_name_and_found_if_it_was_before() -> None:
    machines, stub = workflows()
    expected = {"stateMachineArn": MACHINE, "name": "reviews-00001", "input": '{"pipeline": "reviews"}'}
    answer = {"executionArn": EXECUTION, "startDate": 0}
    stub.add_response("start_execution", answer, expected)
    stub.add_client_error("start_execution", "ExecutionAlreadyExists")
    for _ in range(2):
        assert machines.start("build", "reviews-00001", {"pipeline": "reviews"}) == EXECUTION


@pytest.mark.parametrize("code", ["InvalidExecutionInput", "ValidationException", "InvalidName"])
def test_an_execution_that_no_retry_can_start_is_refused(code: str) -> None:
    machines, stub = workflows()
    stub.add_client_error("start_execution", code, "too long")
    with pytest.raises(StartRefusedError, match="too long"):
        machines.start("build", "reviews-00001", {})


def test_an_execution_that_cannot_be_started_is_an_error() -> None:
    machines, stub = workflows()
    stub.add_client_error("start_execution", "StateMachineDoesNotExist")
    with pytest.raises(ClientError):
        machines.start("build", "reviews-00001", {})


def test_an_execution_that_is_not_there_is_none() -> None:
    machines, stub = workflows()
    stub.add_client_error("describe_execution", "ExecutionDoesNotExist")
    assert machines.describe(EXECUTION) is None


def test_a_waiting_task_is_answered() -> None:
    machines, stub = workflows()
    stub.add_response("send_task_success", {}, {"taskToken": "token", "output": '{"status": "Completed"}'})
    assert machines.succeed("token", {"status": "Completed"})
    stub.add_response("send_task_failure", {}, {"taskToken": "token", "error": "Failed", "cause": "no luck"})
    assert machines.fail("token", "Failed", "no luck")


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist"])
def test_a_task_that_waits_no_more_is_no_error(code: str) -> None:
    machines, stub = workflows()
    stub.add_client_error("send_task_success", code)
    stub.add_client_error("send_task_failure", code)
    assert machines.succeed("token", {}) is False
    assert machines.fail("token", "Failed", "no luck") is False


def test_an_answer_that_may_not_be_given_is_an_error() -> None:
    machines, stub = workflows()
    stub.add_client_error("send_task_success", "AccessDeniedException")
    with pytest.raises(ClientError):
        machines.succeed("token", {})


def test_a_long_cause_is_cut_to_what_step_functions_takes() -> None:
    machines, stub = workflows()
    expected = {"taskToken": "token", "error": "e" * 256, "cause": "c" * 32768}
    stub.add_response("send_task_failure", {}, expected)
    assert machines.fail("token", "e" * 300, "c" * 40000)


# ------------------------------------------------------------------------------------------ events, requests


def test_a_hint_goes_to_the_bus_under_our_own_source() -> None:
    client, stub = stubbed("events")
    entry = {
        "Source": "sluice.reconcile",
        "DetailType": "Object Created",
        "Detail": '{"a": 1}',
        "Resources": [],
    }
    stub.add_response(
        "put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": [entry]}
    )
    EventBridgeBus(client).put("Object Created", {"a": 1})
    stub.assert_no_pending_responses()


def test_an_event_of_our_own_carries_our_own_source() -> None:
    client, stub = stubbed("events")
    entry = {"Source": "sluice", "DetailType": "DatasetRejected", "Detail": '{"a": 1}', "Resources": []}
    stub.add_response(
        "put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": [entry]}
    )
    EventBridgeBus(client).announce("DatasetRejected", {"a": 1})
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "error"),
    [("InternalFailure", TransientError), ("NotAuthorizedForSourceException", EventRefusedError)],
)
def test_an_event_that_the_bus_did_not_take_is_an_error(code: str, error: type[Exception]) -> None:
    """The request succeeds all the same; only the entry says whether to try again."""
    client, stub = stubbed("events")
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": code, "ErrorMessage": "later"}]}
    stub.add_response("put_events", refused, {"Entries": ANY})
    with pytest.raises(error, match=f"Object Created: {code}: later") as raised:
        EventBridgeBus(client).put("Object Created", {})
    assert type(raised.value) is error


@pytest.mark.parametrize(("delay_s", "given"), [(0, 0), (60, 60), (86400, 900)])
def test_a_request_waits_as_long_as_it_should_or_sqs_lets_it(delay_s: int, given: int) -> None:
    client, stub = stubbed("sqs")
    body = json.dumps({"pipeline": "reviews"})
    expected = {"QueueUrl": "https://queue", "MessageBody": body, "DelaySeconds": given}
    stub.add_response("send_message", {"MessageId": "1"}, expected)
    SqsBuildRequests("https://queue", client).send("reviews", delay_s)
    stub.assert_no_pending_responses()


def test_an_awaited_request_says_when_it_comes() -> None:
    client, stub = stubbed("sqs")
    at = "2026-11-24T09:00:05.000Z"
    body = json.dumps({"pipeline": "reviews", "at": at})
    stub.add_response(
        "send_message", {"MessageId": "1"}, {"QueueUrl": ANY, "MessageBody": body, "DelaySeconds": 5}
    )
    SqsBuildRequests("https://queue", client).send("reviews", 5, at)
    stub.assert_no_pending_responses()
