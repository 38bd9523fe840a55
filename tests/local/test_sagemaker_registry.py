"""The model registry: versions, approvals and metadata, and the events that tell of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from local.hosting import ROLE, SCRIPT, Hosting, archive
from local.registry import IMAGE, Registry, refused
from sluice_local.cloud import LocalCloud
from sluice_local.sagemaker.containers import images

STATE_CHANGE = "SageMaker Model Package State Change"


@pytest.fixture
def registry(cloud: LocalCloud, unique: Callable[[str], str]) -> Registry:
    return Registry(cloud, unique)


def test_a_group_is_described_with_who_made_it(registry: Registry) -> None:
    group = registry.sagemaker.describe_model_package_group(ModelPackageGroupName=registry.group)
    assert group["ModelPackageGroupArn"] == registry.arn("model-package-group", registry.group)
    assert group["ModelPackageGroupStatus"] == "Completed"
    assert group["CreatedBy"]["IamIdentity"] == {
        "Arn": f"arn:aws:iam::{registry.cloud.account}:root",
        "PrincipalId": registry.cloud.account,
    }
    by_arn = registry.sagemaker.describe_model_package_group(
        ModelPackageGroupName=group["ModelPackageGroupArn"]
    )
    assert by_arn["ModelPackageGroupName"] == registry.group


def test_a_group_exists_once(registry: Registry) -> None:
    with refused("ValidationException", "already exists"):
        registry.sagemaker.create_model_package_group(ModelPackageGroupName=registry.group)


def test_groups_are_listed_by_name(registry: Registry) -> None:
    prefix = registry.unique("listed")
    for suffix in ("b", "a", "c"):
        registry.sagemaker.create_model_package_group(ModelPackageGroupName=f"{prefix}-{suffix}")
    listed = registry.sagemaker.list_model_package_groups(
        NameContains=prefix, SortBy="Name", SortOrder="Descending"
    )["ModelPackageGroupSummaryList"]
    assert [group["ModelPackageGroupName"][-1] for group in listed] == ["c", "b", "a"]


def test_a_group_is_deleted_only_when_it_is_empty(registry: Registry) -> None:
    arn = registry.package()
    with refused("ConflictException", "still contains Model Packages"):
        registry.sagemaker.delete_model_package_group(ModelPackageGroupName=registry.group)
    registry.sagemaker.delete_model_package(ModelPackageName=arn)
    registry.sagemaker.delete_model_package_group(ModelPackageGroupName=registry.group)
    with refused("ValidationException", "does not exist"):
        registry.sagemaker.describe_model_package_group(ModelPackageGroupName=registry.group)


def test_a_groups_policy_is_kept_until_it_is_deleted(registry: Registry) -> None:
    policy, name = json.dumps({"Version": "2012-10-17", "Statement": []}), registry.group
    with refused("ValidationException", "Cannot find resource policy"):
        registry.sagemaker.get_model_package_group_policy(ModelPackageGroupName=name)
    with refused("ValidationException", "not valid JSON"):
        registry.sagemaker.put_model_package_group_policy(ModelPackageGroupName=name, ResourcePolicy="{")
    registry.sagemaker.put_model_package_group_policy(ModelPackageGroupName=name, ResourcePolicy=policy)
    kept = registry.sagemaker.get_model_package_group_policy(ModelPackageGroupName=name)
    assert kept["ResourcePolicy"] == policy
    registry.sagemaker.delete_model_package_group_policy(ModelPackageGroupName=name)
    with refused("ValidationException", "Cannot find resource policy"):
        registry.sagemaker.delete_model_package_group_policy(ModelPackageGroupName=name)


def test_a_version_waits_for_approval_and_is_described_as_it_was_registered(registry: Registry) -> None:
    report = {"ContentType": "application/json", "S3Uri": registry.put("evaluation.json")}
    content: dict[str, Any] = {
        "ModelPackageDescription": "first",
        "MetadataProperties": {"CommitId": "c0ffee", "GeneratedBy": "run-1"},
        "ModelMetrics": {"ModelQuality": {"Statistics": report}},
        "DriftCheckBaselines": {"ModelDataQuality": {"Statistics": report}},
        "CustomerMetadataProperties": {"manifest": "s3://b/manifest.json"},
        "Domain": "MACHINE_LEARNING",
        "Task": "CLASSIFICATION",
        "SourceUri": "s3://b/runs/1",
        "ModelLifeCycle": {"Stage": "Development", "StageStatus": "InProgress"},
        "ModelCard": {"ModelCardContent": "{}", "ModelCardStatus": "Draft"},
    }
    arn = registry.package(**content)
    assert arn == registry.arn("model-package", f"{registry.group}/1")
    package = registry.describe(arn)
    assert {member: package[member] for member in content} == content
    assert package["ModelPackageGroupName"] == registry.group
    assert package["ModelPackageVersion"] == 1
    assert package["ModelPackageStatus"] == "Completed"
    assert package["ModelPackageStatusDetails"] == {"ValidationStatuses": [], "ImageScanStatuses": []}
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CertifyForMarketplace"] is False
    assert package["CreationTime"] == package["LastModifiedTime"]
    assert package["CreatedBy"]["IamIdentity"]["Arn"].endswith(":root")
    assert not {"ModelPackageName", "LastModifiedBy", "Tags"} & package.keys()


def test_a_version_can_be_found_by_its_arn_and_by_its_group_and_number(registry: Registry) -> None:
    arn = registry.package()
    assert registry.describe(f"{registry.group}/1")["ModelPackageArn"] == arn
    with refused("ValidationException", f"{registry.group}/2 does not exist"):
        registry.describe(f"{registry.group}/2")
    with refused("ValidationException", "does not exist"):
        registry.describe(arn.replace(registry.cloud.region, "eu-west-3"))


def test_containers_are_registered_with_their_images_digest_and_their_datas_etag(registry: Registry) -> None:
    specification = registry.specification(registry.put("model.tar.gz", b"weights"))
    specification["Containers"].append({"Image": "111122223333.dkr.ecr.us-east-1.amazonaws.com/other:1"})
    arn = registry.package(InferenceSpecification=specification)
    local, other = registry.describe(arn)["InferenceSpecification"]["Containers"]
    assert local["ImageDigest"] == images.digest(IMAGE)
    assert local["ModelDataETag"] == hashlib.md5(b"weights", usedforsecurity=False).hexdigest()
    assert other == {"Image": "111122223333.dkr.ecr.us-east-1.amazonaws.com/other:1"}


def test_versions_count_up_and_a_deleted_number_never_comes_back(registry: Registry) -> None:
    arns = [registry.package() for _ in range(3)]
    registry.sagemaker.delete_model_package(ModelPackageName=arns[2])
    registry.package()
    assert registry.versions() == [1, 2, 4]


def test_versions_made_at_once_get_a_number_each(registry: Registry) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: registry.package(), range(16)))
    assert registry.versions(MaxResults=100) == list(range(1, 17))


def test_a_version_needs_its_group(registry: Registry) -> None:
    group = registry.unique("nowhere")
    with refused("ValidationException", f"model-package-group/{group} does not exist"):
        registry.sagemaker.create_model_package(
            ModelPackageGroupName=group, InferenceSpecification=registry.specification()
        )


def test_a_package_is_either_a_version_or_has_a_name(registry: Registry) -> None:
    names = {"ModelPackageGroupName": registry.group, "ModelPackageName": registry.unique("both")}
    for given in (names, {}):
        with refused("ValidationException", "Exactly one of"):
            registry.sagemaker.create_model_package(InferenceSpecification=registry.specification(), **given)


def test_an_unversioned_package_has_a_name_tags_and_no_approval(registry: Registry) -> None:
    name, tags = registry.unique("alone"), [{"Key": "team", "Value": "growth"}]
    request = {"ModelPackageName": name, "InferenceSpecification": registry.specification(), "Tags": tags}
    arn = registry.sagemaker.create_model_package(**request)["ModelPackageArn"]
    assert arn == registry.arn("model-package", name)
    package = registry.describe(name)
    assert package["ModelPackageName"] == name
    assert not {"ModelApprovalStatus", "ModelPackageVersion", "ModelPackageGroupName"} & package.keys()
    assert registry.sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags
    with refused("ValidationException", f"ModelPackage already exists: {arn}"):
        registry.sagemaker.create_model_package(**request)
    with refused("ValidationException", "InferenceSpecification"):
        registry.sagemaker.create_model_package(ModelPackageName=registry.unique("empty"))


def test_versions_have_no_tags_of_their_own(registry: Registry) -> None:
    tags = [{"Key": "team", "Value": "growth"}]
    with refused("ValidationException", "Tags are not supported in Model Package versions"):
        registry.package(Tags=tags)
    arn = registry.package()
    with refused("ValidationException", "Tags are not supported in Model Package versions"):
        registry.sagemaker.add_tags(ResourceArn=arn, Tags=tags)


def test_the_same_request_with_the_same_token_registers_once(registry: Registry) -> None:
    queue = registry.watch(detail={"ModelPackageGroupName": [registry.group]})
    arns = {registry.package(ClientToken="once") for _ in range(3)}
    assert len(arns) == 1
    with refused("ConflictException"):
        registry.package(ClientToken="once", ModelPackageDescription="another")
    registry.package(ClientToken="twice")
    events = registry.events(queue, 2)
    assert [event["detail"]["ModelPackageVersion"] for event in events] == [1, 2]


def test_an_approval_records_who_when_and_why(registry: Registry) -> None:
    arn = registry.package()
    before = registry.describe(arn)
    registry.update(arn, ModelApprovalStatus="Approved", ApprovalDescription="better on every slice")
    after = registry.describe(arn)
    assert after["ModelApprovalStatus"] == "Approved"
    assert after["ApprovalDescription"] == "better on every slice"
    assert after["LastModifiedBy"] == before["CreatedBy"] == after["CreatedBy"]
    assert after["LastModifiedTime"] > before["LastModifiedTime"]
    assert after["CreationTime"] == before["CreationTime"]


def test_metadata_is_merged_then_removed(registry: Registry) -> None:
    arn = registry.package(CustomerMetadataProperties={"a": "1", "b": "2"})
    registry.update(
        arn,
        CustomerMetadataProperties={"b": "3", "c": "4"},
        CustomerMetadataPropertiesToRemove=["a", "never-there"],
    )
    assert registry.describe(arn)["CustomerMetadataProperties"] == {"b": "3", "c": "4"}
    with refused("ValidationException", "at most 50"):
        registry.update(arn, CustomerMetadataProperties={f"k{number}": "v" for number in range(49)})
    registry.update(arn, CustomerMetadataPropertiesToRemove=["b", "c"])
    assert registry.describe(arn)["CustomerMetadataProperties"] == {}


def test_the_other_members_of_a_version_can_be_replaced(registry: Registry) -> None:
    arn = registry.package(ModelCard={"ModelCardContent": "{}", "ModelCardStatus": "Draft"})
    changes: dict[str, Any] = {
        "SourceUri": "s3://b/runs/2",
        "ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved", "StageDescription": "live"},
        "ModelPackageRegistrationType": "Registered",
    }
    specification = registry.specification(registry.put("other.tar.gz"))
    registry.update(
        arn,
        InferenceSpecification=specification,
        ModelCard={"ModelCardContent": "{}", "ModelCardStatus": "Approved"},
        **changes,
    )
    package = registry.describe(arn)
    assert {member: package[member] for member in changes} == changes
    assert package["ModelCard"]["ModelCardStatus"] == "Approved"
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == specification["Containers"][0]["ModelDataUrl"]
    assert container["ModelDataETag"]


def test_additional_specifications_are_added_under_names_of_their_own(registry: Registry) -> None:
    arn = registry.package()
    added = [{"Name": "gpu", "Containers": [{"Image": IMAGE}]}]
    registry.update(arn, AdditionalInferenceSpecificationsToAdd=added)
    assert registry.describe(arn)["AdditionalInferenceSpecifications"] == added
    with refused("ValidationException", "must be unique"):
        registry.update(arn, AdditionalInferenceSpecificationsToAdd=added)


def test_a_version_that_does_not_exist_cannot_be_updated_or_deleted(registry: Registry) -> None:
    arn = registry.arn("model-package", f"{registry.group}/7")
    with refused("ValidationException", f"ModelPackage {arn} does not exist."):
        registry.update(arn, ModelApprovalStatus="Approved")
    with refused("ValidationException", f"ModelPackage {arn} does not exist."):
        registry.sagemaker.delete_model_package(ModelPackageName=arn)


def test_a_group_is_listed_by_approval_and_order(registry: Registry) -> None:
    arns = [registry.package() for _ in range(4)]
    for arn in (arns[0], arns[2]):
        registry.update(arn, ModelApprovalStatus="Approved")
    assert registry.versions() == [1, 2, 3, 4]
    assert registry.versions(ModelApprovalStatus="Approved", SortOrder="Descending") == [3, 1]
    newest = registry.versions(
        ModelApprovalStatus="Approved", SortBy="CreationTime", SortOrder="Descending", MaxResults=1
    )
    assert newest == [3]
    created = registry.describe(arns[1])["CreationTime"]
    assert registry.versions(CreationTimeAfter=created) == [3, 4]


def test_a_group_is_listed_in_pages(registry: Registry) -> None:
    for _ in range(12):
        registry.package()
    pages = registry.sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=registry.group, SortOrder="Descending", PaginationConfig={"PageSize": 5}
    )
    listed = [
        [package["ModelPackageVersion"] for package in page["ModelPackageSummaryList"]] for page in pages
    ]
    assert listed == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]


def test_a_listing_without_a_group_is_of_unversioned_packages_unless_it_says(registry: Registry) -> None:
    name, version = registry.unique("alone"), registry.package()
    registry.sagemaker.create_model_package(
        ModelPackageName=name, InferenceSpecification=registry.specification()
    )

    def listed(**filters: Any) -> set[str]:
        pages = registry.sagemaker.get_paginator("list_model_packages").paginate(**filters)
        found = {package["ModelPackageArn"] for page in pages for package in page["ModelPackageSummaryList"]}
        return found & {version, registry.arn("model-package", name)}

    assert listed() == listed(ModelPackageType="Unversioned") == {registry.arn("model-package", name)}
    assert listed(ModelPackageType="Versioned") == {version}
    assert listed(ModelPackageType="Both") == {version, registry.arn("model-package", name)}


def test_many_versions_are_described_at_once_each_with_its_own_error(registry: Registry) -> None:
    there, missing = registry.package(), registry.arn("model-package", f"{registry.group}/9")
    answer = registry.sagemaker.batch_describe_model_package(ModelPackageArnList=[there, missing])
    assert answer["ModelPackageSummaries"][there]["ModelPackageVersion"] == 1
    assert answer["BatchDescribeModelPackageErrorMap"] == {
        missing: {
            "ErrorCode": "ValidationException",
            "ErrorResponse": f"ModelPackage {missing} does not exist.",
        }
    }


def test_an_event_tells_of_a_new_version(registry: Registry) -> None:
    queue = registry.watch(
        **{"detail-type": [STATE_CHANGE], "detail": {"ModelPackageGroupName": [registry.group]}}
    )
    metrics = {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://b/e.json"}}}
    arn = registry.package(
        ModelMetrics=metrics,
        MetadataProperties={"GeneratedBy": "run-1"},
        CustomerMetadataProperties={"manifest": "s3://b/m.json"},
    )
    (event,) = registry.events(queue, 1)
    package = registry.describe(arn)
    created = package["CreationTime"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert event["source"] == "aws.sagemaker"
    assert event["detail-type"] == STATE_CHANGE
    assert (event["account"], event["region"]) == (registry.cloud.account, registry.cloud.region)
    assert event["resources"] == [arn]
    assert event["detail"] == {
        "ModelPackageGroupName": registry.group,
        "ModelPackageVersion": 1,
        "ModelPackageArn": arn,
        "CreationTime": created,
        "InferenceSpecification": package["InferenceSpecification"],
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CertifyForMarketplace": False,
        "ModelApprovalStatus": "PendingManualApproval",
        "MetadataProperties": {"GeneratedBy": "run-1"},
        "ModelMetrics": metrics,
        "LastModifiedTime": created,
    }


def test_an_event_of_an_update_names_what_changed_and_only_that(registry: Registry) -> None:
    arn = registry.package()
    queue = registry.watch(detail={"ModelPackageArn": [arn]})
    updates: list[tuple[dict[str, Any], list[str], str]] = [
        ({"CustomerMetadataProperties": {"a": "1"}}, ["CustomerMetadataProperties"], "PendingManualApproval"),
        (
            {"ModelApprovalStatus": "Approved", "ApprovalDescription": "good"},
            ["ModelApprovalStatus", "ApprovalDescription"],
            "Approved",
        ),
        ({"ModelApprovalStatus": "Approved"}, [], "Approved"),
        ({"CustomerMetadataProperties": {"released": "yes"}}, ["CustomerMetadataProperties"], "Approved"),
        ({"SourceUri": "s3://b/runs/1"}, ["sourceUri"], "Approved"),
        (
            {"ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved"}},
            ["ModelLifeCycle"],
            "Approved",
        ),
        (
            {"InferenceSpecification": registry.specification("s3://b/2")},
            ["InferenceSpecification"],
            "Approved",
        ),
        ({"ModelApprovalStatus": "Rejected"}, ["ModelApprovalStatus"], "Rejected"),
    ]
    for changes, _, _ in updates:
        registry.update(arn, **changes)
    details = [event["detail"] for event in registry.events(queue, len(updates))]
    assert [(detail["UpdatedModelPackageFields"], detail["ModelApprovalStatus"]) for detail in details] == [
        (fields, status) for _, fields, status in updates
    ]
    times = [datetime.fromisoformat(detail["LastModifiedTime"]) for detail in details]
    assert all(later - earlier < timedelta(minutes=1) for earlier, later in pairwise(times))
    assert times == sorted(times)
    assert "CustomerMetadataProperties" not in details[0]


def test_a_rule_can_match_approvals_alone(registry: Registry) -> None:
    queue = registry.watch(
        detail={
            "ModelPackageGroupName": [registry.group],
            "ModelApprovalStatus": ["Approved"],
            "UpdatedModelPackageFields": ["ModelApprovalStatus"],
        }
    )
    first, second = registry.package(), registry.package()
    registry.update(first, ModelApprovalStatus="Approved")
    registry.update(first, CustomerMetadataProperties={"released": "yes"})
    registry.update(second, ModelApprovalStatus="Rejected")
    registry.update(second, ModelApprovalStatus="Approved")
    events = registry.events(queue, 2)
    assert [event["resources"] for event in events] == [[first], [second]]


def test_a_model_of_an_approved_version_serves_with_the_versions_data_even_after_its_rejection(
    registry: Registry,
) -> None:
    hosting, model = Hosting(registry.cloud, registry.unique), registry.unique("model")
    data = archive({"model.json": json.dumps({"name": "champion"}), "code/inference.py": SCRIPT})
    specification = registry.specification(registry.put("champion.tar.gz", data))
    arn = registry.package(InferenceSpecification=specification, ModelApprovalStatus="Approved")
    registry.sagemaker.create_model(
        ModelName=model, ExecutionRoleArn=ROLE, PrimaryContainer={"ModelPackageName": arn}
    )
    registry.update(arn, ModelApprovalStatus="Rejected")
    try:
        assert hosting.answers(hosting.endpoint(hosting.config(model))) == "champion"
    finally:
        hosting.close()
