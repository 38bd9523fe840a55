"""Requests to the local SageMaker are judged by botocore's model, in AWS's words."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from botocore.model import StructureShape
from hypothesis import given
from hypothesis import strategies as st

from sluice_local.sagemaker.api.core import ApiError
from sluice_local.sagemaker.api.validation import (
    java_pattern,
    operation_model,
    projected,
    service_model,
    validated,
)

TAGS: dict[str, Any] = {"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:model/m"}
VARIANT: dict[str, Any] = {"VariantName": "AllTraffic", "ModelName": "m"}


def checked(operation: str, **params: Any) -> dict[str, Any]:
    return validated(operation_model(operation).input_shape, params)


def refusal(operation: str, **params: Any) -> str:
    with pytest.raises(ApiError) as caught:
        checked(operation, **params)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def tagged(key: str, value: str) -> dict[str, Any]:
    return TAGS | {"Tags": [{"Key": key, "Value": value}]}


def config(**variant: Any) -> dict[str, Any]:
    return {"EndpointConfigName": "c", "ProductionVariants": [VARIANT, VARIANT | variant]}


def test_a_missing_member_is_named() -> None:
    assert refusal("CreateModelPackageGroup") == (
        "1 validation error detected: Value null at 'modelPackageGroupName' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_a_name_outside_its_pattern_is_shown_with_the_pattern() -> None:
    assert refusal("DescribeTrainingJob", TrainingJobName="a_b") == (
        "1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_a_nested_value_is_named_by_its_path_and_position() -> None:
    assert refusal("CreateEndpointConfig", **config(InstanceType="ml.huge")).startswith(
        "1 validation error detected: Value 'ml.huge' at 'productionVariants.2.member.instanceType' "
        "failed to satisfy constraint: Member must satisfy enum value set: [ml.t2.medium, "
    )


@pytest.mark.parametrize(
    ("variant", "constraint"),
    [
        ({"InitialVariantWeight": -0.5}, "Member must have value greater than or equal to 0"),
        ({"ModelDataDownloadTimeoutInSeconds": 3601}, "Member must have value less than or equal to 3600"),
        ({"VariantName": "v" * 64}, "Member must have length less than or equal to 63"),
    ],
)
def test_a_value_outside_its_range_is_refused(variant: dict[str, Any], constraint: str) -> None:
    assert f"failed to satisfy constraint: {constraint}" in refusal(
        "CreateEndpointConfig", **config(**variant)
    )


def test_values_at_the_ends_of_their_ranges_pass() -> None:
    ends = config(InitialVariantWeight=0, ModelDataDownloadTimeoutInSeconds=3600, VariantName="v" * 63)
    assert checked("CreateEndpointConfig", **ends) == ends


def test_all_errors_are_counted_and_listed() -> None:
    message = refusal("UpdateModelPackage", ModelApprovalStatus="Maybe", ApprovalDescription="x" * 1025)
    assert message.startswith("3 validation errors detected: Value null at 'modelPackageArn'")
    assert "; Value 'Maybe' at 'modelApprovalStatus'" in message


def test_a_list_that_is_too_long_is_refused_as_a_whole() -> None:
    arns = ["arn:aws:sagemaker:us-east-1:000000000000:model-package/g/1"] * 101
    message = refusal("BatchDescribeModelPackage", ModelPackageArnList=arns)
    assert "at 'modelPackageArnList' failed to satisfy constraint: Member must have length less" in message


def test_scalars_in_lists_and_maps_are_a_breach_of_their_container() -> None:
    message = refusal("BatchDescribeModelPackage", ModelPackageArnList=["arn:aws:s3:::bucket"])
    assert (
        "Value '[arn:aws:s3:::bucket]' at 'modelPackageArnList' failed to satisfy constraint: Member must "
        "satisfy constraint: [Member must have length less than or equal to 2048, "
    ) in message
    message = refusal(
        "UpdateModelPackage",
        ModelPackageArn="arn:aws:sagemaker:us-east-1:000000000000:model-package/g/1",
        CustomerMetadataProperties={"manifest": '{"rows": 1}'},
    )
    assert (
        "Value '{manifest={\"rows\": 1}}' at 'customerMetadataProperties' failed to satisfy constraint: "
        "Map value must satisfy constraint: ["
    ) in message


@pytest.mark.parametrize("text", ["größe", "数据 集", "a_b.c:d/e=f+g-h@i", ""])
def test_java_character_classes_take_what_java_takes(text: str) -> None:
    assert checked("AddTags", **tagged("key", text))["Tags"][0]["Value"] == text


@pytest.mark.parametrize("text", ["{}", "a,b", '"', "line\nbreak"])
def test_java_character_classes_refuse_what_java_refuses(text: str) -> None:
    assert r"pattern: ([\p{L}\p{Z}\p{N}_.:/=+\-@]*)" in refusal("AddTags", **tagged("key", text))


def test_a_supplementary_character_is_one_character() -> None:
    name = r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*"
    assert java_pattern(name).fullmatch("model \N{ROCKET}")
    assert not java_pattern(name).fullmatch("model \x07")


def test_digits_are_ascii_as_in_java() -> None:
    arabic = "arn:aws:iam::\u0661\u0662\u0663456789012:role/r"
    assert "at 'executionRoleArn'" in refusal("CreateModel", ModelName="m", ExecutionRoleArn=arabic)


def test_every_pattern_of_the_model_is_understood() -> None:
    shapes = map(service_model().shape_for, service_model().shape_names)
    patterns = {shape.metadata["pattern"] for shape in shapes if "pattern" in shape.metadata}
    assert len(patterns) > 200
    for pattern in patterns:
        java_pattern(pattern)


def test_nulls_and_members_the_model_does_not_know_are_ignored() -> None:
    given = {"ModelPackageGroupName": "g", "Tags": None, "Surprise": {"a": 1}}
    assert checked("CreateModelPackageGroup", **given) == {"ModelPackageGroupName": "g"}


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("DescribeModel", {"ModelName": 7}, "NUMBER_VALUE can not be converted to String"),
        ("ListModels", {"MaxResults": "7"}, "STRING_VALUE can not be converted to Integer"),
        ("ListModels", {"MaxResults": 7.5}, "NUMBER_VALUE can not be converted to Integer"),
        ("ListModels", {"MaxResults": float("inf")}, "NUMBER_VALUE can not be converted to Integer"),
        ("ListModels", {"MaxResults": 2**31}, "NUMBER_VALUE can not be converted to Integer"),
        ("ListModels", {"MaxResults": True}, "BOOLEAN_VALUE can not be converted to Integer"),
        ("ListModels", {"CreationTimeAfter": "today"}, "STRING_VALUE can not be converted to Timestamp"),
        ("DescribeModel", {"ModelName": {"a": 1}}, "Start of structure or map found where not expected."),
        ("DescribeModel", {"ModelName": ["a"]}, "Start of list found where not expected."),
        ("AddTags", TAGS | {"Tags": {"a": "b"}}, "Expected list or null"),
        ("CreateModel", {"ModelName": "m", "PrimaryContainer": "image"}, "Expected structure or null"),
    ],
)
def test_json_of_another_type_cannot_be_read(operation: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        checked(operation, **params)
    assert (caught.value.code, caught.value.message) == ("SerializationException", message)


PACKAGE = service_model().shape_for("CreateModelPackageInput")
assert isinstance(PACKAGE, StructureShape)
MEMBERS = sorted(PACKAGE.members)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=5) | JSON)
def test_any_json_is_either_accepted_or_refused_with_an_aws_error(params: Any) -> None:
    with suppress(ApiError):
        accepted = validated(PACKAGE, params)
        assert accepted.keys() <= set(MEMBERS)


def test_an_operation_that_sagemaker_does_not_have_is_unknown() -> None:
    with pytest.raises(ApiError) as caught:
        operation_model("CreateMagic")
    assert caught.value.code == "UnknownOperationException"


def test_an_answer_holds_what_its_shape_names_and_nothing_else() -> None:
    item = {
        "ModelPackageGroupName": "g",
        "ModelPackageGroupDescription": None,
        "CreatedBy": {"IamIdentity": {"Arn": "arn", "Secret": "x"}},
        "_LatestVersion": 3,
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    assert projected(operation_model("DescribeModelPackageGroup").output_shape, item) == {
        "ModelPackageGroupName": "g",
        "CreatedBy": {"IamIdentity": {"Arn": "arn"}},
    }
    assert projected(operation_model("DeleteModel").output_shape, item) == {}
