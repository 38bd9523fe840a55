"""The operations on pipelines and their versions."""

from __future__ import annotations

from typing import Any

from sluice.containers.data import DataError, S3Location
from sluice_local.sagemaker.api import tokens
from sluice_local.sagemaker.api.core import ApiError, Item, Scope, operation
from sluice_local.sagemaker.api.iam import CALLER
from sluice_local.sagemaker.api.listing import created, list_page
from sluice_local.sagemaker.pipelines import stored
from sluice_local.sagemaker.pipelines.access import storage
from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError
from sluice_local.sagemaker.pipelines.stored import CACHE, EXECUTIONS, PIPELINES, STEPS, VERSIONS

_KEPT = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")


@operation("CreatePipeline")
def create_pipeline(scope: Scope, params: dict[str, Any]) -> Item:
    return tokens.once("CreatePipeline", scope, params, lambda: _create(scope, params), "ClientRequestToken")


def _create(scope: Scope, params: dict[str, Any]) -> Item:
    name = params["PipelineName"]
    text = _definition(scope, params, params["RoleArn"])
    item = PIPELINES.create(
        scope,
        name,
        {
            **{member: params[member] for member in (*_KEPT, "Tags") if member in params},
            "PipelineDisplayName": params.get("PipelineDisplayName", name),
            "PipelineStatus": "Active",
            "CreatedBy": CALLER.get().context(),
            "LastModifiedBy": CALLER.get().context(),
            "_LatestVersion": 1,
        },
    )
    _keep_version(scope, item, text)
    return {"PipelineArn": item["PipelineArn"]}


def _definition(scope: Scope, params: dict[str, Any], role: str) -> str:
    """Return the definition in the request or at its place in S3; raises ApiError if it is none."""
    place = params.get("PipelineDefinitionS3Location")
    if ("PipelineDefinition" in params) == (place is not None):
        raise ApiError(
            "ValidationException",
            "Exactly one of PipelineDefinition and PipelineDefinitionS3Location must be given.",
        )
    text: str = _read(scope, place, role) if place else params["PipelineDefinition"]
    try:
        stored.parsed(text)
    except DefinitionError as error:
        raise ApiError("ValidationException", f"Unable to parse pipeline definition. {error}") from error
    return text


def _read(scope: Scope, place: dict[str, str], role: str) -> str:
    location = S3Location(place["Bucket"], place["ObjectKey"])
    try:
        return storage(scope, role).read(location, place.get("VersionId")).decode()
    except (DataError, ValueError) as error:
        raise ApiError(
            "ValidationException", f"Cannot read the pipeline definition at {location}: {error}"
        ) from error


def _keep_version(scope: Scope, pipeline: Item, text: str) -> None:
    number = pipeline["_LatestVersion"]
    item = {"PipelineArn": pipeline["PipelineArn"], "PipelineVersionId": number, "_Definition": text}
    VERSIONS.create(scope, stored.version_key(pipeline["PipelineName"], number), item)


@operation("UpdatePipeline")
def update_pipeline(scope: Scope, params: dict[str, Any]) -> Item:
    name = params["PipelineName"]
    with tokens.LOCK:
        pipeline = PIPELINES.get(scope, name)
        text = None
        if {"PipelineDefinition", "PipelineDefinitionS3Location"} & params.keys():
            text = _definition(scope, params, str(params.get("RoleArn", pipeline["RoleArn"])))
        changes = {member: params[member] for member in _KEPT if member in params}
        changes |= {"LastModifiedBy": CALLER.get().context()}
        if text is not None:
            changes["_LatestVersion"] = pipeline["_LatestVersion"] + 1
        changed = PIPELINES.change(scope, name, **changes)
        if text is not None:
            _keep_version(scope, changed, text)
    return {"PipelineArn": changed["PipelineArn"], "PipelineVersionId": changed["_LatestVersion"]}


@operation("DescribePipeline")
def describe_pipeline(scope: Scope, params: dict[str, Any]) -> Item:
    pipeline = PIPELINES.get(scope, PIPELINES.name(scope, params["PipelineName"]))
    version = version_of(scope, pipeline, params.get("PipelineVersionId"))
    shown = {name: version.get(name) for name in ("PipelineVersionDisplayName", "PipelineVersionDescription")}
    return {**pipeline, **shown, "PipelineDefinition": version["_Definition"]}


def version_of(scope: Scope, pipeline: Item, number: int | None) -> Item:
    """Return a version of a pipeline, the newest if none is named; raises ApiError if there is none."""
    asked = pipeline["_LatestVersion"] if number is None else number
    version = VERSIONS.find(scope, stored.version_key(pipeline["PipelineName"], asked))
    if version is None:
        raise ApiError("ResourceNotFound", f"Pipeline '{pipeline['PipelineArn']}' has no version {asked}.")
    return version


@operation("ListPipelines")
def list_pipelines(scope: Scope, params: dict[str, Any]) -> Item:
    prefix = params.get("PipelineNamePrefix", "").lower()
    found = [item for item in PIPELINES.values(scope) if item["PipelineName"].lower().startswith(prefix)]
    return list_page(
        found, created(params), result_key="PipelineSummaries", name_key="PipelineName", descending=True
    )


@operation("ListPipelineVersions")
def list_pipeline_versions(scope: Scope, params: dict[str, Any]) -> Item:
    name = PIPELINES.name(scope, params["PipelineName"])
    latest = PIPELINES.get(scope, name)["_LatestVersion"]
    found = [VERSIONS.get(scope, stored.version_key(name, number)) for number in range(1, latest + 1)]
    return list_page(
        found,
        created(params),
        result_key="PipelineVersionSummaries",
        name_key="PipelineVersionName",
        descending=True,
    )


@operation("UpdatePipelineVersion")
def update_pipeline_version(scope: Scope, params: dict[str, Any]) -> Item:
    pipeline = PIPELINES.get(scope, PIPELINES.name(scope, params["PipelineArn"]))
    version = version_of(scope, pipeline, params["PipelineVersionId"])
    asked = ("PipelineVersionDisplayName", "PipelineVersionDescription")
    return VERSIONS.change(
        scope, version["PipelineVersionName"], **{name: params[name] for name in asked if name in params}
    )


@operation("DeletePipeline")
def delete_pipeline(scope: Scope, params: dict[str, Any]) -> Item:
    return tokens.once("DeletePipeline", scope, params, lambda: _delete(scope, params), "ClientRequestToken")


def _delete(scope: Scope, params: dict[str, Any]) -> Item:
    pipeline = PIPELINES.get(scope, params["PipelineName"])
    name = pipeline["PipelineName"]
    of_pipeline = stored.EXECUTIONS_OF.find(scope, pipeline["PipelineArn"])
    if any(item["PipelineExecutionStatus"] in stored.UNDER_WAY for item in of_pipeline):
        raise ApiError(
            "ConflictException",
            f"Pipeline '{pipeline['PipelineArn']}' has executions that have not ended; stop them first.",
        )
    PIPELINES.delete(scope, name)
    for table in (VERSIONS, EXECUTIONS, STEPS, CACHE):
        table.delete_below(scope, f"{name}/")
    return {"PipelineArn": pipeline["PipelineArn"]}
