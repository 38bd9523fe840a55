"""The registry adapter against moto, and against answers that moto does not give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws

from sluice.adapters.registry import SageMakerRegistry

TAGS = [{"Key": "sluice:stack", "Value": "sluice"}]
CONTAINER = {
    "Image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/own:1",
    "ModelDataUrl": "s3://b/m.tar.gz",
}


@pytest.fixture
def sagemaker() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sagemaker")


def request(token: str) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": "reviews",
        "ClientToken": token,
        "InferenceSpecification": {
            "Containers": [CONTAINER],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "ModelApprovalStatus": "PendingManualApproval",
        "CustomerMetadataProperties": {"sluice:pipeline": "reviews"},
    }


def test_a_group_is_made_once(sagemaker: Any) -> None:
    registry = SageMakerRegistry(sagemaker)
    for _ in range(2):
        registry.ensure_group("reviews", "made by a pipeline", TAGS)
    (group,) = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert group["ModelPackageGroupDescription"] == "made by a pipeline"
    assert sagemaker.list_tags(ResourceArn=group["ModelPackageGroupArn"])["Tags"] == TAGS


def test_a_group_that_another_made_meanwhile_is_the_one_that_was_wanted(sagemaker: Any) -> None:
    group = {
        "ModelPackageGroupName": "reviews",
        "ModelPackageGroupArn": "arn:aws:sagemaker:eu-central-1:123456789012:model-package-group/reviews",
        "CreationTime": 0,
        "CreatedBy": {},
        "ModelPackageGroupStatus": "Completed",
    }
    with Stubber(sagemaker) as stub:
        stub.add_client_error("describe_model_package_group", "ValidationException")
        stub.add_client_error("create_model_package_group", "ValidationException")
        stub.add_response("describe_model_package_group", group)
        SageMakerRegistry(sagemaker).ensure_group("reviews", "", TAGS)
        stub.assert_no_pending_responses()


def test_a_group_that_cannot_be_made_says_why_and_not_that_it_is_absent(sagemaker: Any) -> None:
    with Stubber(sagemaker) as stub:
        stub.add_client_error("describe_model_package_group", "ValidationException", "does not exist")
        stub.add_client_error("create_model_package_group", "AccessDeniedException", "not authorized")
        stub.add_client_error("describe_model_package_group", "ValidationException", "does not exist")
        with pytest.raises(ClientError, match="not authorized"):
            SageMakerRegistry(sagemaker).ensure_group("reviews", "", TAGS)
        stub.assert_no_pending_responses()


def test_what_hinders_a_group_is_raised(sagemaker: Any) -> None:
    with Stubber(sagemaker) as stub:
        stub.add_client_error("describe_model_package_group", "AccessDeniedException")
        with pytest.raises(ClientError, match="AccessDenied"):
            SageMakerRegistry(sagemaker).ensure_group("reviews", "", TAGS)


def test_a_package_is_described_and_listed_newest_first(sagemaker: Any) -> None:
    registry = SageMakerRegistry(sagemaker)
    registry.ensure_group("reviews", "", TAGS)
    arns = [registry.create_package(request(token)) for token in ("a", "b")]
    described = registry.describe_package(arns[0])
    assert described is not None
    assert described["ModelPackageVersion"] == 1
    assert described["CustomerMetadataProperties"] == {"sluice:pipeline": "reviews"}
    listed = [package["ModelPackageArn"] for package in registry.packages("reviews")]
    assert listed == arns[::-1]
    sagemaker.update_model_package(ModelPackageArn=arns[0], ModelApprovalStatus="Approved")
    assert [each["ModelPackageArn"] for each in registry.packages("reviews", status="Approved")] == arns[:1]


def test_a_package_that_is_not_there_is_none(sagemaker: Any) -> None:
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/reviews/9"
    assert SageMakerRegistry(sagemaker).describe_package(arn) is None


def test_a_package_that_may_not_be_read_is_not_taken_for_absent(sagemaker: Any) -> None:
    with Stubber(sagemaker) as stub:
        stub.add_client_error("describe_model_package", "ThrottlingException")
        with pytest.raises(ClientError, match="Throttling"):
            SageMakerRegistry(sagemaker).describe_package("arn")


def test_a_life_cycle_is_written_and_nothing_else_of_the_package(sagemaker: Any) -> None:
    """Moto keeps none: what is asked of SageMaker is looked at."""
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/reviews/1"
    life_cycle = {"Stage": "Production", "StageStatus": "Approved", "StageDescription": "live on production"}
    with Stubber(sagemaker) as stubbed:
        asked = {"ModelPackageArn": arn, "ModelLifeCycle": life_cycle}
        stubbed.add_response("update_model_package", {"ModelPackageArn": arn}, asked)
        SageMakerRegistry(sagemaker).write_life_cycle(arn, life_cycle)
        stubbed.assert_no_pending_responses()
