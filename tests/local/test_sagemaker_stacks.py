"""SageMaker's resources in a stack: made, changed in place or replaced, and deleted, as on AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from local import stacks
from sluice_local.cloud import LocalCloud

Name = Callable[[str], str]

ROLE = "arn:aws:iam::000000000000:role/any"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
DEFINITION = {
    "Version": "2020-12-01",
    "Parameters": [],
    "Steps": [{"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "enough"}}],
}


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::SageMaker::{kind}", "Properties": properties}


def physical(cloud: LocalCloud, stack: str, logical_id: str) -> str:
    found = cloud.client("cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId=logical_id
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def test_a_pipeline_is_made_changed_and_deleted(cloud: LocalCloud, unique: Name) -> None:
    client, stack, name = cloud.client("sagemaker"), unique("pipelines"), unique("pipeline")

    def pipeline(**changes: Any) -> dict[str, Any]:
        properties = {"PipelineName": name, "RoleArn": ROLE, "PipelineDescription": "first", **changes}
        body = {"PipelineDefinitionBody": json.dumps(DEFINITION)}
        return resource("Pipeline", **{"PipelineDefinition": body, **properties})

    assert stacks.create(cloud, stack, P=pipeline())["StackStatus"] == "CREATE_COMPLETE"
    assert physical(cloud, stack, "P") == name
    assert json.loads(client.describe_pipeline(PipelineName=name)["PipelineDefinition"]) == DEFINITION
    parallel = {"MaxParallelExecutionSteps": "3"}
    changed = pipeline(PipelineDescription="second", ParallelismConfiguration=parallel)
    assert stacks.update(cloud, stack, P=changed)["StackStatus"] == "UPDATE_COMPLETE"
    described = client.describe_pipeline(PipelineName=name)
    assert described["PipelineDescription"] == "second"
    assert described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 3}
    cloud.client("cloudformation").delete_stack(StackName=stack)
    cloud.client("cloudformation").get_waiter("stack_delete_complete").wait(
        StackName=stack, WaiterConfig={"Delay": 1}
    )
    with pytest.raises(client.exceptions.ClientError, match="does not exist"):
        client.describe_pipeline(PipelineName=name)


def test_a_definition_that_sagemaker_refuses_fails_the_stack(cloud: LocalCloud, unique: Name) -> None:
    stack = unique("pipelines")
    made = resource(
        "Pipeline",
        PipelineName=unique("pipeline"),
        RoleArn=ROLE,
        PipelineDefinition={"PipelineDefinitionBody": "{}"},
    )
    assert stacks.create(cloud, stack, P=made)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Unable to parse pipeline definition" in stacks.reasons(cloud, stack)["P"]


def test_models_and_endpoint_configs_are_replaced(cloud: LocalCloud, unique: Name) -> None:
    client, stack = cloud.client("sagemaker"), unique("models")

    def resources(greeting: str) -> dict[str, Any]:
        variant = {
            "VariantName": "all",
            "ModelName": {"Fn::GetAtt": ["M", "ModelName"]},
            "InitialInstanceCount": "1",
            "InstanceType": "ml.m5.large",
            "InitialVariantWeight": 1,
        }
        container = {"Image": IMAGE, "Environment": {"GREETING": greeting}}
        return {
            "M": resource("Model", ExecutionRoleArn=ROLE, PrimaryContainer=container),
            "C": resource("EndpointConfig", ProductionVariants=[variant]),
        }

    assert stacks.create(cloud, stack, **resources("hello"))["StackStatus"] == "CREATE_COMPLETE"
    first = {name: physical(cloud, stack, name) for name in ("M", "C")}
    assert ":model/" in first["M"]
    assert ":endpoint-config/" in first["C"]
    assert stacks.update(cloud, stack, **resources("goodbye"))["StackStatus"] == "UPDATE_COMPLETE"
    second = {name: physical(cloud, stack, name) for name in ("M", "C")}
    assert second["M"] != first["M"]
    assert second["C"] != first["C"]
    config = client.describe_endpoint_config(EndpointConfigName=second["C"].rpartition("/")[2])
    model = config["ProductionVariants"][0]["ModelName"]
    assert model == second["M"].rpartition("/")[2]
    described = client.describe_model(ModelName=model)
    assert described["PrimaryContainer"]["Environment"] == {"GREETING": "goodbye"}
    with pytest.raises(client.exceptions.ClientError, match="Could not find model"):
        client.describe_model(ModelName=first["M"].rpartition("/")[2])


def test_a_group_is_made_and_an_endpoint_that_cannot_be_fails_its_stack(
    cloud: LocalCloud, unique: Name
) -> None:
    client, stack, name = cloud.client("sagemaker"), unique("groups"), unique("group")
    group = resource("ModelPackageGroup", ModelPackageGroupName=name, Description="of a stack")
    assert stacks.create(cloud, stack, G=group)["StackStatus"] == "CREATE_COMPLETE"
    described = client.describe_model_package_group(ModelPackageGroupName=name)
    assert described["ModelPackageGroupDescription"] == "of a stack"
    assert physical(cloud, stack, "G") == described["ModelPackageGroupArn"]
    broken = unique("endpoints")
    endpoint = resource("Endpoint", EndpointConfigName="missing")
    assert stacks.create(cloud, broken, E=endpoint)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Could not find" in stacks.reasons(cloud, broken)["E"]
