"""The model registry: model packages, versioned in a group or unversioned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sluice_local.sagemaker.api import events, tokens
from sluice_local.sagemaker.api.core import ApiError, Item, Scope, operation
from sluice_local.sagemaker.api.iam import CALLER
from sluice_local.sagemaker.api.listing import list_page
from sluice_local.sagemaker.containers import images
from sluice_local.sagemaker.registry.artifacts import etag
from sluice_local.sagemaker.registry.groups import GROUPS, LOCK, PACKAGES, versions

_MAX_METADATA = 50
# UpdatedModelPackageFields uses the request's names, with this exception.
_UPDATABLE = {
    "ModelApprovalStatus": "ModelApprovalStatus",
    "ApprovalDescription": "ApprovalDescription",
    "ModelLifeCycle": "ModelLifeCycle",
    "SourceUri": "sourceUri",
    "InferenceSpecification": "InferenceSpecification",
    "AdditionalInferenceSpecifications": "AdditionalInferenceSpecifications",
    "CustomerMetadataProperties": "CustomerMetadataProperties",
    "ModelCard": "ModelCard",
    "ModelPackageRegistrationType": "ModelPackageRegistrationType",
}
_IN_EVENTS = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "MetadataProperties",
    "ModelMetrics",
    "ModelLifeCycle",
)


@operation("CreateModelPackage")
def create_model_package(scope: Scope, params: dict[str, Any]) -> Item:
    return _once("CreateModelPackage", scope, params, _create)


@operation("UpdateModelPackage")
def update_model_package(scope: Scope, params: dict[str, Any]) -> Item:
    return _once("UpdateModelPackage", scope, params, _update)


@operation("DescribeModelPackage")
def describe_model_package(scope: Scope, params: dict[str, Any]) -> Item:
    return _shown(PACKAGES.get(scope, PACKAGES.name(scope, params["ModelPackageName"])))


@operation("BatchDescribeModelPackage")
def batch_describe_model_package(scope: Scope, params: dict[str, Any]) -> Item:
    summaries: dict[str, Item] = {}
    errors: dict[str, Item] = {}
    for arn in params["ModelPackageArnList"]:
        try:
            summaries[arn] = _shown(PACKAGES.get(scope, PACKAGES.name(scope, arn)))
        except ApiError as fault:
            errors[arn] = {"ErrorCode": fault.code, "ErrorResponse": fault.message}
    return {"ModelPackageSummaries": summaries, "BatchDescribeModelPackageErrorMap": errors}


@operation("ListModelPackages")
def list_model_packages(scope: Scope, params: dict[str, Any]) -> Item:
    page = list_page(
        _listed(scope, params), params, result_key="ModelPackageSummaryList", name_key="ModelPackageName"
    )
    page["ModelPackageSummaryList"] = [_shown(item) for item in page["ModelPackageSummaryList"]]
    return page


@operation("DeleteModelPackage")
def delete_model_package(scope: Scope, params: dict[str, Any]) -> None:
    with LOCK:
        PACKAGES.delete(scope, PACKAGES.name(scope, params["ModelPackageName"]))


def _once(
    name: str, scope: Scope, params: dict[str, Any], act: Callable[[Scope, dict[str, Any]], tuple[Item, Item]]
) -> Item:
    """Act and announce it, unless a request with the same ClientToken did."""

    def announced() -> Item:
        with LOCK:
            item, about_update = act(scope, params)
        arn = item["ModelPackageArn"]
        events.publish(scope, "SageMaker Model Package State Change", _detail(item) | about_update, [arn])
        return {"ModelPackageArn": arn}

    return tokens.once(name, scope, params, announced)


def _create(scope: Scope, params: dict[str, Any]) -> tuple[Item, Item]:
    if ("ModelPackageGroupName" in params) == ("ModelPackageName" in params):
        raise ApiError(
            "ValidationException", "Exactly one of ModelPackageName and ModelPackageGroupName must be given."
        )
    content = {
        "CertifyForMarketplace": False,
        "SkipModelValidation": "None",
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        **params,
        **_resolved_specifications(params),
        "CreatedBy": CALLER.get().context(),
    }
    create = _create_version if "ModelPackageGroupName" in params else _create_unversioned
    return create(scope, content), {}


def _create_version(scope: Scope, content: Item) -> Item:
    if "Tags" in content:
        raise ApiError(
            "ValidationException",
            "Tags are not supported in Model Package versions. Please add them to the Model Package Group.",
        )
    group = GROUPS.name(scope, content["ModelPackageGroupName"])
    # The group remembers the last number, so that no other version gets a deleted one's.
    version = GROUPS.get(scope, group).get("_LatestVersion", 0) + 1
    GROUPS.edit(
        scope,
        group,
        lambda item: {"_LatestVersion": version, "LastModifiedTime": item["LastModifiedTime"]},
    )
    content = {
        "ModelApprovalStatus": "PendingManualApproval",
        **content,
        "ModelPackageGroupName": group,
        "ModelPackageVersion": version,
    }
    return PACKAGES.create(scope, f"{group}/{version}", content)


def _create_unversioned(scope: Scope, content: Item) -> Item:
    if not {"InferenceSpecification", "SourceAlgorithmSpecification"} & content.keys():
        raise ApiError(
            "ValidationException",
            "Either InferenceSpecification or SourceAlgorithmSpecification must be given.",
        )
    return PACKAGES.create(scope, content["ModelPackageName"], content)


def _update(scope: Scope, params: dict[str, Any]) -> tuple[Item, Item]:
    name = PACKAGES.name(scope, params["ModelPackageArn"])
    before = PACKAGES.get(scope, name)
    asked = _changes(before, params)
    updated = [
        event_name
        for member, event_name in _UPDATABLE.items()
        if member in asked and asked[member] != before.get(member)
    ]
    item = PACKAGES.change(scope, name, **asked, LastModifiedBy=CALLER.get().context())
    return item, {"UpdatedModelPackageFields": updated}


def _changes(before: Item, params: Mapping[str, Any]) -> Item:
    """Return the package's members as the update sets them, changed or not."""
    asked: Item = {member: params[member] for member in _UPDATABLE if member in params}
    asked |= _resolved_specifications(asked)
    if "ModelCard" in asked:
        asked["ModelCard"] = before.get("ModelCard", {}) | asked["ModelCard"]
    if (metadata := _changed_metadata(before, params)) is not None:
        asked["CustomerMetadataProperties"] = metadata
    if added := params.get("AdditionalInferenceSpecificationsToAdd"):
        asked["AdditionalInferenceSpecifications"] = _with_specifications(before, added)
    return asked


def _changed_metadata(before: Item, params: Mapping[str, Any]) -> dict[str, str] | None:
    """Merge new properties into the existing ones, then remove the ones to remove."""
    new, removed = (
        params.get("CustomerMetadataProperties", {}),
        params.get("CustomerMetadataPropertiesToRemove", []),
    )
    if not new and not removed:
        return None
    merged = before.get("CustomerMetadataProperties", {}) | new
    kept = {key: value for key, value in merged.items() if key not in removed}
    if len(kept) > _MAX_METADATA:
        raise ApiError(
            "ValidationException", f"A model package has at most {_MAX_METADATA} CustomerMetadataProperties."
        )
    return kept


def _with_specifications(before: Item, added: list[Item]) -> list[Item]:
    specifications: list[Item] = before.get("AdditionalInferenceSpecifications", []) + added
    names = [specification["Name"] for specification in specifications]
    if len(set(names)) < len(names):
        raise ApiError("ValidationException", "Names of AdditionalInferenceSpecifications must be unique.")
    return specifications


def _resolved_specifications(content: Mapping[str, Any]) -> Item:
    """Return the inference specification with the digest and ETag that SageMaker adds to containers."""
    if "InferenceSpecification" not in content:
        return {}
    specification = content["InferenceSpecification"]
    containers = [_resolved(container) for container in specification["Containers"]]
    return {"InferenceSpecification": {**specification, "Containers": containers}}


def _resolved(container: Item) -> Item:
    found: Item = {}
    with suppress(KeyError, images.ImageError):  # register an image that only AWS has unchanged
        found["ImageDigest"] = images.digest(container["Image"])
    if "ModelDataUrl" in container and (tag := etag(container["ModelDataUrl"])):
        found["ModelDataETag"] = tag
    return found | container


def _listed(scope: Scope, params: Mapping[str, Any]) -> list[Item]:
    if reference := params.get("ModelPackageGroupName"):
        found = versions(scope, GROUPS.name(scope, reference))
    else:
        kind = params.get("ModelPackageType", "Unversioned")
        found = [
            item
            for item in PACKAGES.values(scope)
            if kind == "Both" or ("ModelPackageVersion" in item) == (kind == "Versioned")
        ]
    if (status := params.get("ModelApprovalStatus")) is None:
        return found  # looking at each of many would take longer than all else
    return [item for item in found if item.get("ModelApprovalStatus") == status]


def _shown(item: Item) -> Item:
    """Describe a package: a version has only an ARN; only an unversioned package has a name."""
    return {**item, "ModelPackageName": None} if "ModelPackageVersion" in item else item


def _detail(item: Item) -> Item:
    shown = _shown(item)
    detail = {member: shown[member] for member in _IN_EVENTS if shown.get(member) is not None}
    times = {member: events.iso_time(item[member]) for member in ("CreationTime", "LastModifiedTime")}
    return detail | times
