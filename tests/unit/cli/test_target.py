"""A command reaches a stack with what the stack says of itself."""

from __future__ import annotations

import boto3
import pytest

from sluice_cli import target as targets
from sluice_cli.target import Target

MACHINE = "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:mine-build-model"


def test_the_stack_tells_its_region_and_its_roles() -> None:
    """As functions have them in their environment: views that foresee what functions do need them too."""
    target = Target("mine", boto3.Session(region_name="cn-north-1"))
    names = ("CatalogTableName", "DataBucketName", "ArtifactBucketName", "BuildRequestsQueueUrl")
    named = {name: name for name in (*names, "ReleaseModelStateMachineArn")}
    outputs = {**named, "BuildModelStateMachineArn": MACHINE}
    described = {"Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()]}
    target.__dict__["_described"] = described
    cloud = target.cloud
    assert cloud.region == "cn-north-1"
    assert cloud.account.roles_arn == "arn:aws-cn:iam::123456789012:role/sluice/mine/cn-north-1/"
    assert cloud.account.artifact_bucket == "ArtifactBucketName"


def test_the_region_of_other_tools_of_aws_counts_unless_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    found = [
        targets.resolve(where="aws", stack=None, profile=None, region=each) for each in (None, "us-east-2")
    ]
    assert [target.session.region_name for target in found] == ["eu-central-1", "us-east-2"]
