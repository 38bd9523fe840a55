"""boto3's paginators of what SageMaker's pipelines do, and its waiters, against the local cloud."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local.pipelines import Pipelines, compared, condition, parameter
from sluice_local.cloud import LocalCloud

SAYS = 'import pathlib; pathlib.Path("/opt/ml/processing/out/said.txt").write_text("so it is")'
WAIT = {"Delay": 1, "MaxAttempts": 240}


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipelines]:
    with LocalCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        made = Pipelines(cloud, lambda prefix: f"{prefix}-{uuid.uuid4().hex[:10]}")
        passing = condition("Pass", compared("Equals", 1, 1))
        made.create(
            passing,
            made.processing("Say", SAYS),
            Parameters=[parameter(name, "String", name) for name in ("One", "Two", "Three")],
        )
        yield made


def pages(client: Any, operation: str, key: str, **asked: Any) -> list[list[dict[str, Any]]]:
    """The pages of a listing, of two items each."""
    paginator = client.get_paginator(operation)
    return [page[key] for page in paginator.paginate(**asked, PaginationConfig={"PageSize": 2})]


@pytest.mark.timeout(300)
def test_listings_come_in_pages_and_jobs_are_waited_for(pipelines: Pipelines) -> None:
    client = pipelines.sagemaker
    first = pipelines.start()
    job = pipelines.step_in(first, "Say", "Executing")["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    client.get_waiter("processing_job_completed_or_stopped").wait(ProcessingJobName=job, WaiterConfig=WAIT)
    assert client.describe_processing_job(ProcessingJobName=job)["ProcessingJobStatus"] == "Completed"
    assert pipelines.ended(first) == "Succeeded"
    arns = [first, *(pipelines.start() for _ in range(2))]
    assert [pipelines.ended(arn) for arn in arns] == ["Succeeded"] * 3

    executions = pages(
        client, "list_pipeline_executions", "PipelineExecutionSummaries", PipelineName=pipelines.name
    )
    assert [[each["PipelineExecutionArn"] for each in page] for page in executions] == [
        [arns[2], arns[1]],
        [arns[0]],
    ]
    steps = pages(
        client, "list_pipeline_execution_steps", "PipelineExecutionSteps", PipelineExecutionArn=arns[0]
    )
    assert sorted(step["StepName"] for page in steps for step in page) == ["Pass", "Say"]
    bound = pages(
        client,
        "list_pipeline_parameters_for_execution",
        "PipelineParameters",
        PipelineExecutionArn=arns[0],
    )
    assert [[each["Name"] for each in page] for page in bound] == [["One", "Two"], ["Three"]]
    for _ in range(2):
        pipelines.create(condition("Pass", compared("Equals", 1, 1)))
    versions = pages(
        client, "list_pipeline_versions", "PipelineVersionSummaries", PipelineName=pipelines.name
    )
    assert [[each["PipelineVersionId"] for each in page] for page in versions] == [[3, 2], [1]]
    (listed,) = pages(
        client, "list_pipelines", "PipelineSummaries", PipelineNamePrefix=pipelines.name.lower()
    )
    assert [each["PipelineName"] for each in listed] == [pipelines.name]
    jobs = pages(client, "list_processing_jobs", "ProcessingJobSummaries", NameContains="Say")
    assert [len(page) for page in jobs] == [2, 1]
