"""Pipelines of SageMaker: each call is one that AWS's model knows, and each answer is read as it is meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

import fakes
from sluice.adapters.pipelines import SageMakerPipelines
from sluice.domain.quotas import QuotaError
from sluice.ports import PUSHED, RequestRefusedError
from sluice.services.build import sdk_pipelines

ROLE = "arn:aws:iam::123456789012:role/sluice-PipelineRole"
PIPELINE = "arn:aws:sagemaker:eu-central-1:123456789012:pipeline/sluice--reviews"
EXECUTION = f"{PIPELINE}/execution/abcdefghijkl"
NAME = "sluice--reviews-00001"
AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
DEFINITION = '{"Version": "2020-12-01", "Steps": []}'


def _request() -> dict[str, Any]:
    cloud, key = fakes.Cloud(), f"projects/reviews/{'0' * 64}/pipeline.json"
    cloud.objects.put(fakes.ARTIFACT_BUCKET, key, DEFINITION.encode())
    return sdk_pipelines.pipeline_request(cloud, "reviews", "0" * 64, None)


REQUEST = _request()
# What of it SageMaker is asked.
PUT = {name: value for name, value in REQUEST.items() if name != PUSHED}
LISTED = {
    "PipelineName": "sluice--reviews",
    "SortBy": "CreationTime",
    "SortOrder": "Descending",
    "MaxResults": 100,
}
SUMMARY = {
    "PipelineExecutionArn": EXECUTION,
    "PipelineExecutionDisplayName": NAME,
    "PipelineExecutionStatus": "Executing",
}


@pytest.fixture
def client() -> Any:
    return boto3.client("sagemaker", region_name="eu-central-1")


@pytest.fixture
def stub(client: Any) -> Stubber:
    stub = Stubber(client)
    stub.activate()
    return stub


@pytest.fixture
def pipelines(client: Any, stub: Stubber) -> SageMakerPipelines:
    return SageMakerPipelines(ROLE, client)


def known(stub: Stubber, description: str, definition: str = DEFINITION) -> None:
    described = {
        "PipelineArn": PIPELINE,
        "PipelineDescription": description,
        "PipelineDefinition": definition,
    }
    stub.add_response("describe_pipeline", described, {"PipelineName": "sluice--reviews"})


def unknown(stub: Stubber) -> None:
    stub.add_client_error("describe_pipeline", "ResourceNotFound", "no such pipeline", 400)


def listed(stub: Stubber, *summaries: dict[str, Any]) -> None:
    stub.add_response("list_pipeline_executions", {"PipelineExecutionSummaries": [*summaries]}, LISTED)


def test_a_pipeline_is_made_with_the_stacks_role_and_tags(
    pipelines: SageMakerPipelines, stub: Stubber
) -> None:
    unknown(stub)
    stub.add_response("create_pipeline", {"PipelineArn": PIPELINE}, {**PUT, "RoleArn": ROLE})
    pipelines.put(REQUEST)
    stub.assert_no_pending_responses()


def test_only_a_pipeline_of_another_version_or_definition_is_updated(
    pipelines: SageMakerPipelines, stub: Stubber
) -> None:
    known(stub, PUT["PipelineDescription"])
    pipelines.put(REQUEST)
    known(stub, "another version")
    changed = ("PipelineName", "PipelineDescription", "PipelineDefinitionS3Location")
    expected = {**{name: PUT[name] for name in changed}, "RoleArn": ROLE}
    stub.add_response("update_pipeline", {"PipelineArn": PIPELINE}, expected)
    pipelines.put(REQUEST)
    # Whoever changed the definition in SageMaker kept the description: the pushed one is put again.
    known(stub, PUT["PipelineDescription"], '{"Version": "2020-12-01", "Steps": [{"Name": "Other"}]}')
    stub.add_response("update_pipeline", {"PipelineArn": PIPELINE}, expected)
    pipelines.put(REQUEST)
    # A run that computes all anew gives its own text in place of the one in S3.
    own = {**{name: PUT[name] for name in changed[:2]}, "PipelineDefinition": "{}"}
    known(stub, PUT["PipelineDescription"])
    stub.add_response("update_pipeline", {"PipelineArn": PIPELINE}, {**own, "RoleArn": ROLE})
    pipelines.put({**own, "Pushed": "{}"})
    # It may be written otherwise there.
    known(stub, PUT["PipelineDescription"], '{"Steps": [], "Version": "2020-12-01"}')
    pipelines.put(REQUEST)
    stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "raised"), [("ValidationException", RequestRefusedError), ("ResourceLimitExceeded", QuotaError)]
)
def test_a_refusal_is_told_from_what_waiting_cures(
    pipelines: SageMakerPipelines, stub: Stubber, code: str, raised: type[Exception]
) -> None:
    unknown(stub)
    stub.add_client_error("create_pipeline", code, "because", 400)
    with pytest.raises(raised, match="because"):
        pipelines.put(REQUEST)


def test_an_execution_is_started_once_and_found_again_by_its_name(
    pipelines: SageMakerPipelines, stub: Stubber
) -> None:
    request = {
        "PipelineName": "sluice--reviews",
        "PipelineExecutionDisplayName": NAME,
        "PipelineParameters": [{"Name": "InputManifest", "Value": "s3://b/files.manifest"}],
        "ClientRequestToken": "t" * 64,
    }
    known(stub, PUT["PipelineDescription"])
    listed(stub)
    stub.add_response("start_pipeline_execution", {"PipelineExecutionArn": EXECUTION}, request)
    assert pipelines.start("pipeline_execution", {**request, "Pipeline": REQUEST})
    known(stub, PUT["PipelineDescription"])
    listed(stub, {**SUMMARY, "PipelineExecutionDisplayName": "somebody-elses"}, SUMMARY)
    assert not pipelines.start("pipeline_execution", {**request, "Pipeline": REQUEST})


def test_an_execution_is_described_with_its_steps(pipelines: SageMakerPipelines, stub: Stubber) -> None:
    listed(stub, SUMMARY)
    described = {**SUMMARY, "CreationTime": AT, "LastModifiedTime": AT}
    stub.add_response("describe_pipeline_execution", described, {"PipelineExecutionArn": EXECUTION})
    step = {"StepName": "Train", "StepStatus": "Succeeded"}
    asked = {"PipelineExecutionArn": EXECUTION, "SortOrder": "Ascending"}
    stub.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": [step]}, asked)
    found = pipelines.describe("pipeline_execution", NAME)
    assert found is not None
    assert (found["PipelineExecutionArn"], found["Steps"]) == (EXECUTION, [step])


def test_steps_are_looked_at_by_who_may_read_them(pipelines: SageMakerPipelines, stub: Stubber) -> None:
    listed(stub, SUMMARY)
    step = {"StepName": "Train", "StepStatus": "Executing"}
    stub.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": [step]})
    assert pipelines.look(NAME) == [step]
    stub.add_client_error("list_pipeline_executions", "AccessDeniedException", "you may not", 400)
    assert pipelines.look(NAME) == []


def test_what_there_is_not_is_none(pipelines: SageMakerPipelines, stub: Stubber) -> None:
    listed(stub)
    assert pipelines.describe("pipeline_execution", NAME) is None
    stub.add_client_error("list_pipeline_executions", "ResourceNotFound", "no such pipeline", 400)
    assert pipelines.describe("pipeline_execution", NAME) is None


def test_a_running_execution_is_stopped_and_another_is_left(
    pipelines: SageMakerPipelines, stub: Stubber
) -> None:
    for status in ("Executing", "Succeeded"):
        listed(stub, SUMMARY)
        stub.add_response("describe_pipeline_execution", {**SUMMARY, "PipelineExecutionStatus": status})
        stub.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": []})
        if status == "Executing":
            expected = {"PipelineExecutionArn": EXECUTION, "ClientRequestToken": ANY}
            stub.add_response("stop_pipeline_execution", {"PipelineExecutionArn": EXECUTION}, expected)
        pipelines.stop("pipeline_execution", NAME)
    stub.assert_no_pending_responses()
