"""Models: what endpoints and transform jobs load, from containers or a model package."""

from __future__ import annotations

from typing import Any

from sluice_local.sagemaker.api import events
from sluice_local.sagemaker.api.core import ApiError, Item, Scope, Table, operation
from sluice_local.sagemaker.api.listing import list_page
from sluice_local.sagemaker.registry.artifacts import etag
from sluice_local.sagemaker.registry.groups import PACKAGES

MODELS = Table("model", "model", "ModelName")

_FROM_PACKAGE = ("Image", "ModelDataUrl", "ModelDataSource", "Environment", "ContainerHostname")


def containers(scope: Scope, model_name: str) -> list[Item]:
    """Return the model's containers with image, model data and environment, also those of a package.

    They are the package's at the time when the model was made: rejecting it later does not stop the model.
    """
    found: list[Item] = MODELS.get(scope, model_name)["_Containers"]
    return found


@operation("CreateModel")
def create_model(scope: Scope, params: dict[str, Any]) -> Item:
    if ("PrimaryContainer" in params) == bool(params.get("Containers")):
        raise ApiError("ValidationException", "Exactly one of PrimaryContainer and Containers must be given.")
    if "ExecutionRoleArn" not in params:
        raise ApiError("ValidationException", "ExecutionRoleArn must be given for a model with containers.")
    resolved = [found for container in _given(params) for found in _resolved(scope, container)]
    for container in resolved:
        _check_model_data(container)
    item = {"EnableNetworkIsolation": False, **_with_modes(params), "_Containers": resolved}
    model = MODELS.create(scope, params["ModelName"], item)
    events.publish(scope, "SageMaker Model State Change", _detail(model), [model["ModelArn"]])
    return model


@operation("DescribeModel")
def describe_model(scope: Scope, params: dict[str, Any]) -> Item:
    return MODELS.get(scope, params["ModelName"])


@operation("ListModels")
def list_models(scope: Scope, params: dict[str, Any]) -> Item:
    return list_page(MODELS.values(scope), params, result_key="Models", name_key="ModelName", descending=True)


@operation("DeleteModel")
def delete_model(scope: Scope, params: dict[str, Any]) -> None:
    MODELS.delete(scope, params["ModelName"])


def _given(model: Item) -> list[Item]:
    return [model["PrimaryContainer"]] if "PrimaryContainer" in model else list(model["Containers"])


def _with_modes(params: Item) -> Item:
    given = [{"Mode": "SingleModel", **container} for container in _given(params)]
    return params | (
        {"PrimaryContainer": given[0]} if "PrimaryContainer" in params else {"Containers": given}
    )


def _resolved(scope: Scope, container: Item) -> list[Item]:
    """Return a model's container itself, or its package's containers with its environment added."""
    if "ModelPackageName" not in container:
        if "Image" not in container:
            raise ApiError("ValidationException", "Each container must have an Image or a ModelPackageName.")
        return [container]
    package = _deployable(scope, container["ModelPackageName"])
    found = []
    for packaged in package["InferenceSpecification"]["Containers"]:
        environment = packaged.get("Environment", {}) | container.get("Environment", {})
        own = {member: packaged[member] for member in _FROM_PACKAGE if member in packaged}
        found.append(container | own | {"Environment": environment})
    return found


def _deployable(scope: Scope, reference: str) -> Item:
    package = PACKAGES.get(scope, PACKAGES.name(scope, reference))
    if package.get("ModelApprovalStatus", "Approved") != "Approved":
        raise ApiError(
            "ValidationException",
            f"Cannot create a model from model package {package['ModelPackageArn']}: "
            f"its approval status is {package['ModelApprovalStatus']}.",
        )
    if "InferenceSpecification" not in package:
        raise ApiError(
            "ValidationException",
            f"Model package {package['ModelPackageArn']} has no InferenceSpecification.",
        )
    return package


def _check_model_data(container: Item) -> None:
    url = container.get("ModelDataUrl")
    if url is not None and container.get("Mode") != "MultiModel" and etag(url) is None:
        raise ApiError("ValidationException", f"Could not find model data at {url}.")


def _detail(model: Item) -> Item:
    members = ("ModelName", "ModelArn", "PrimaryContainer", "Containers", "ExecutionRoleArn")
    return {
        **{member: model[member] for member in members if member in model},
        "CreationTime": events.iso_time(model["CreationTime"]),
        "EnableNetworkIsolation": model["EnableNetworkIsolation"],
        "Tags": {tag["Key"]: tag["Value"] for tag in model.get("Tags", [])},
    }
