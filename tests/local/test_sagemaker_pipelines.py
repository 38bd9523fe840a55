"""Pipelines and their executions are made, described, listed and refused as by AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.pipelines import PASSING, Pipelines, callback, compared, condition, definition, failing, parameter
from local.registry import refused
from sluice_local.cloud import LocalCloud


@pytest.fixture
def pipelines(cloud: LocalCloud, unique: Callable[[str], str]) -> Pipelines:
    return Pipelines(cloud, unique)


def test_a_pipeline_is_described_as_it_was_created(pipelines: Pipelines) -> None:
    text = definition(PASSING)
    created = pipelines.sagemaker.create_pipeline(
        PipelineName=pipelines.name,
        PipelineDefinition=text,
        PipelineDescription="reviews",
        RoleArn=pipelines.role,
        Tags=[{"Key": "team", "Value": "a"}],
        ParallelismConfiguration={"MaxParallelExecutionSteps": 3},
    )
    described = pipelines.sagemaker.describe_pipeline(PipelineName=pipelines.name)
    assert described["PipelineArn"] == created["PipelineArn"]
    assert created["PipelineArn"].endswith(f":pipeline/{pipelines.name}")
    assert described["PipelineName"] == described["PipelineDisplayName"] == pipelines.name
    assert (described["PipelineStatus"], described["PipelineDefinition"]) == ("Active", text)
    assert described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 3}
    assert described["CreatedBy"]["IamIdentity"]["Arn"].endswith(":root")
    assert "LastRunTime" not in described
    # An ARN that was noted when AWS still wrote names in lower case names the same pipeline.
    for arn in (created["PipelineArn"], created["PipelineArn"].lower()):
        by_arn = pipelines.sagemaker.describe_pipeline(PipelineName=arn)
        assert (by_arn["PipelineArn"], by_arn["PipelineDefinition"]) == (created["PipelineArn"], text)
    tags = pipelines.sagemaker.list_tags(ResourceArn=created["PipelineArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "a"}]


def test_a_definition_may_lie_in_s3(pipelines: Pipelines) -> None:
    pipelines.jobs.put("pipeline.json", definition(PASSING))
    request: dict[str, Any] = {"PipelineName": pipelines.name, "RoleArn": pipelines.role}
    place = {"Bucket": pipelines.bucket, "ObjectKey": "pipeline.json"}
    pipelines.sagemaker.create_pipeline(**request, PipelineDefinitionS3Location=place)
    described = pipelines.sagemaker.describe_pipeline(PipelineName=pipelines.name)
    assert described["PipelineDefinition"] == definition(PASSING)
    with refused("ValidationException", "Exactly one of PipelineDefinition and PipelineDefinitionS3Location"):
        pipelines.sagemaker.update_pipeline(
            **request, PipelineDefinitionS3Location=place, PipelineDefinition=definition(PASSING)
        )
    with refused("ValidationException", "Cannot read the pipeline definition at s3://"):
        pipelines.sagemaker.update_pipeline(
            **request, PipelineDefinitionS3Location={**place, "ObjectKey": "gone.json"}
        )


def test_an_update_makes_a_version_and_executions_keep_theirs(pipelines: Pipelines) -> None:
    pipelines.create(PASSING)
    first = pipelines.start()
    with refused("ValidationException", "Pipeline names must be unique within an AWS account and region"):
        pipelines.sagemaker.create_pipeline(
            PipelineName=pipelines.name.upper(),
            PipelineDefinition=definition(PASSING),
            RoleArn=pipelines.role,
        )
    updated = pipelines.sagemaker.update_pipeline(
        PipelineName=pipelines.name, PipelineDefinition=definition(PASSING, failing("F"))
    )
    assert updated["PipelineVersionId"] == 2
    assert pipelines.ended(first) == "Succeeded"
    run = pipelines.sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=first)
    assert run["PipelineDefinition"] == definition(PASSING)
    old = pipelines.sagemaker.describe_pipeline(PipelineName=pipelines.name, PipelineVersionId=1)
    assert old["PipelineDefinition"] == definition(PASSING)
    again = pipelines.sagemaker.start_pipeline_execution(PipelineName=pipelines.name, PipelineVersionId=1)
    assert pipelines.ended(again["PipelineExecutionArn"]) == "Succeeded"
    pipelines.sagemaker.update_pipeline_version(
        PipelineArn=old["PipelineArn"], PipelineVersionId=1, PipelineVersionDisplayName="first"
    )
    listed = pipelines.sagemaker.list_pipeline_versions(PipelineName=pipelines.name)
    assert [
        (version["PipelineVersionId"], version.get("PipelineVersionDisplayName"))
        for version in listed["PipelineVersionSummaries"]
    ] == [(2, None), (1, "first")]
    with refused("ResourceNotFound", "has no version 3"):
        pipelines.sagemaker.describe_pipeline(PipelineName=pipelines.name, PipelineVersionId=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Unable to parse pipeline definition. The definition is no valid JSON"),
        (
            definition({"Name": "A", "Type": "EMR", "Arguments": {}}),
            "Step A: the local SageMaker does not run EMR steps",
        ),
        (
            definition({"Name": "A", "Type": "Training", "Arguments": {"RoleArn": 1}}),
            "Step A: Arguments.OutputDataConfig is missing.",
        ),
        (
            definition(failing("A", {"Get": "Steps.B.Outcome"})),
            "Step A: Arguments.ErrorMessage: Get 'Steps.B.Outcome' names what there is not; Steps has A.",
        ),
    ],
)
def test_a_definition_that_is_wrong_is_refused_with_its_place(
    pipelines: Pipelines, text: str, message: str
) -> None:
    with refused("ValidationException", message):
        pipelines.sagemaker.create_pipeline(
            PipelineName=pipelines.name, PipelineDefinition=text, RoleArn=pipelines.role
        )
    with refused("ResourceNotFound", f"pipeline/{pipelines.name}' does not exist."):
        pipelines.sagemaker.describe_pipeline(PipelineName=pipelines.name)


def test_parameters_are_typed_and_listed_as_declared(pipelines: Pipelines) -> None:
    declared = [
        parameter("Share", "Float", 0.5),
        parameter("Count", "Integer", 2),
        parameter("Skip", "Boolean", False),
        parameter("Stage", "String", EnumValues=["a", "b"]),
    ]
    pipelines.create(
        condition(
            "Check", compared("GreaterThan", {"Get": "Parameters.Share"}, 0.7), otherwise=(failing("F"),)
        ),
        Parameters=declared,
    )
    arn = pipelines.start(Share="0.75", Stage="b")
    assert pipelines.ended(arn) == "Succeeded"
    pages = pipelines.sagemaker.get_paginator("list_pipeline_parameters_for_execution").paginate(
        PipelineExecutionArn=arn, PaginationConfig={"PageSize": 3}
    )
    assert [(it["Name"], it["Value"]) for page in pages for it in page["PipelineParameters"]] == [
        ("Share", "0.75"),
        ("Count", "2"),
        ("Skip", "false"),
        ("Stage", "b"),
    ]
    for given, message in (
        ({}, "Missing values for parameters [Stage]."),
        ({"Stage": "c"}, "Parameter Stage must be one of [a, b], not 'c'."),
        ({"Stage": "a", "Count": "x"}, "Parameter Count must be of type Integer, not 'x'."),
        ({"Stage": "a", "Other": "x"}, "Unknown parameters [Other]."),
    ):
        with refused("ValidationException", message):
            pipelines.start(**given)


def test_a_start_with_the_same_token_starts_once(pipelines: Pipelines) -> None:
    pipelines.create(PASSING)
    request = {"PipelineName": pipelines.name, "ClientRequestToken": pipelines.unique("t" * 30)}
    first, second = (pipelines.sagemaker.start_pipeline_execution(**request) for _ in range(2))
    assert first["PipelineExecutionArn"] == second["PipelineExecutionArn"]
    with refused("ConflictException"):
        pipelines.sagemaker.start_pipeline_execution(**request, PipelineExecutionDescription="another")
    listed = pipelines.sagemaker.list_pipeline_executions(PipelineName=pipelines.name)
    assert len(listed["PipelineExecutionSummaries"]) == 1


def test_executions_are_listed_the_newest_first_in_pages(pipelines: Pipelines) -> None:
    pipelines.create(PASSING)
    arns = [pipelines.start() for _ in range(5)]
    assert {pipelines.ended(arn) for arn in arns} == {"Succeeded"}
    pages = pipelines.sagemaker.get_paginator("list_pipeline_executions").paginate(
        PipelineName=pipelines.name, PaginationConfig={"PageSize": 2}
    )
    listed = [item for page in pages for item in page["PipelineExecutionSummaries"]]
    assert [item["PipelineExecutionArn"] for item in listed] == arns[::-1]
    assert {item["PipelineExecutionStatus"] for item in listed} == {"Succeeded"}
    later = pipelines.sagemaker.list_pipeline_executions(
        PipelineName=pipelines.name, CreatedAfter=listed[2]["StartTime"], SortOrder="Ascending"
    )
    assert [item["PipelineExecutionArn"] for item in later["PipelineExecutionSummaries"]] == arns[3:]
    (summary,) = pipelines.sagemaker.list_pipelines(PipelineNamePrefix=pipelines.name)["PipelineSummaries"]
    assert summary["PipelineName"] == pipelines.name
    assert summary["LastExecutionTime"] >= summary["CreationTime"]


def test_an_execution_is_described_with_what_it_was_started_with(pipelines: Pipelines) -> None:
    experiment = {
        "ExperimentName": {"Get": "Execution.PipelineName"},
        "TrialName": {"Get": "Execution.PipelineExecutionId"},
    }
    pipeline = pipelines.create(PASSING, PipelineExperimentConfig=experiment)
    arn = pipelines.sagemaker.start_pipeline_execution(
        PipelineName=pipelines.name,
        PipelineExecutionDisplayName="tuesday",
        PipelineExecutionDescription="by hand",
        ParallelismConfiguration={"MaxParallelExecutionSteps": 1},
    )["PipelineExecutionArn"]
    pipelines.ended(arn)
    pipelines.sagemaker.update_pipeline_execution(
        PipelineExecutionArn=arn, PipelineExecutionDisplayName="wednesday"
    )
    described = pipelines.describe(arn)
    assert arn.startswith(f"{pipeline}/execution/")
    assert described["PipelineArn"] == pipeline
    assert described["PipelineExecutionDisplayName"] == "wednesday"
    assert described["PipelineExecutionDescription"] == "by hand"
    assert described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 1}
    assert described["PipelineExperimentConfig"] == {
        "ExperimentName": pipelines.name,
        "TrialName": arn.rpartition("/")[2],
    }
    assert described["PipelineVersionId"] == 1


def test_a_pipeline_that_executes_cannot_be_deleted_and_its_executions_go_with_it(
    pipelines: Pipelines,
) -> None:
    url = pipelines.queue()
    pipelines.create(callback("Wait", url))
    arn = pipelines.start()
    step = pipelines.step_in(arn, "Wait", "Executing")
    with refused("ConflictException", "has executions that have not ended"):
        pipelines.sagemaker.delete_pipeline(PipelineName=pipelines.name)
    pipelines.sagemaker.send_pipeline_execution_step_success(
        CallbackToken=step["Metadata"]["Callback"]["CallbackToken"]
    )
    pipelines.ended(arn)
    pipelines.sagemaker.delete_pipeline(PipelineName=pipelines.name)
    with refused("ResourceNotFound", f"Pipeline execution '{arn}' does not exist."):
        pipelines.describe(arn)
    with refused("ResourceNotFound"):
        pipelines.sagemaker.list_pipeline_executions(PipelineName=pipelines.name)


def test_what_has_ended_cannot_be_stopped_and_what_succeeded_cannot_be_retried(pipelines: Pipelines) -> None:
    pipelines.create(PASSING)
    arn = pipelines.start()
    pipelines.ended(arn)
    with refused("ValidationException", "Only pipeline executions with status Executing can be stopped"):
        pipelines.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    with refused(
        "ValidationException", "Only pipeline executions with status Failed or Stopped can be retried"
    ):
        pipelines.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn)
    with refused("ResourceNotFound"):
        pipelines.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn[:-1] + "-")


def test_a_role_needs_permission_for_the_pipeline_and_to_pass_its_role(
    auth_cloud: LocalCloud, unique: Callable[[str], str]
) -> None:
    iam, sts = auth_cloud.client("iam"), auth_cloud.client("sts")
    name, execution_role = unique("starter"), unique("executor")
    for made, principal in ((name, {"AWS": "*"}), (execution_role, {"Service": "sagemaker.amazonaws.com"})):
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        iam.create_role(RoleName=made, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    owner = Pipelines(auth_cloud, unique, f"arn:aws:iam::{auth_cloud.account}:role/{execution_role}")
    arn = owner.create(PASSING)
    allowed = {"Effect": "Allow", "Action": "sagemaker:StartPipelineExecution", "Resource": arn}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Statement": [allowed]}))
    role = f"arn:aws:iam::{auth_cloud.account}:role/{name}"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="starter")["Credentials"]
    starter = auth_cloud.client(
        "sagemaker",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    # It is the same pipeline in another case, for its policies too.
    started = starter.start_pipeline_execution(PipelineName=owner.name.upper())["PipelineExecutionArn"]
    assert owner.ended(started) == "Succeeded"
    with refused("AccessDeniedException", "sagemaker:DescribePipelineExecution"):
        starter.describe_pipeline_execution(PipelineExecutionArn=started)
