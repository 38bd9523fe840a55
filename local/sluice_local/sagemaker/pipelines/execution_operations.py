"""The operations on executions of pipelines."""

from __future__ import annotations

import secrets
import string
from typing import Any

from sluice_local.sagemaker.api import tokens
from sluice_local.sagemaker.api.core import ApiError, Item, Scope, now, operation
from sluice_local.sagemaker.api.iam import CALLER
from sluice_local.sagemaker.api.listing import created, list_page
from sluice_local.sagemaker.experiments import stored as experiments
from sluice_local.sagemaker.pipelines import announcements, running, selecting, stored
from sluice_local.sagemaker.pipelines.definition import parameters
from sluice_local.sagemaker.pipelines.definition.errors import ParameterError
from sluice_local.sagemaker.pipelines.definition.resolving import Values, resolved
from sluice_local.sagemaker.pipelines.pipeline_operations import version_of
from sluice_local.sagemaker.pipelines.stored import EXECUTIONS, PIPELINES

_TOKEN = "ClientRequestToken"  # noqa: S105
_ID = string.ascii_lowercase + string.digits


@operation("StartPipelineExecution")
def start_pipeline_execution(scope: Scope, params: dict[str, Any]) -> Item:
    return tokens.once("StartPipelineExecution", scope, params, lambda: _start(scope, params), _TOKEN)


def _start(scope: Scope, params: dict[str, Any]) -> Item:
    pipeline = PIPELINES.get(scope, PIPELINES.name(scope, params["PipelineName"]))
    version = version_of(scope, pipeline, params.get("PipelineVersionId"))
    bound = _bound(version, params)
    definition = stored.parsed(version["_Definition"])
    selective, used = selecting.reused(scope, pipeline, definition, params.get("SelectiveExecutionConfig"))
    started, identifier = now(), "".join(secrets.choice(_ID) for _ in range(12))
    item = EXECUTIONS.create(
        scope,
        f"{pipeline['PipelineName']}/execution/{identifier}",
        {
            "PipelineExecutionDisplayName": f"execution-{round(started * 1000)}",
            **{name: params[name] for name in _GIVEN if name in params},
            "ParallelismConfiguration": params.get(
                "ParallelismConfiguration", pipeline.get("ParallelismConfiguration")
            ),
            "PipelineArn": pipeline["PipelineArn"],
            "PipelineVersionId": version["PipelineVersionId"],
            "PipelineExecutionStatus": "Executing",
            "PipelineExperimentConfig": _experiment(pipeline, version, identifier, bound),
            "CreatedBy": CALLER.get().context(),
            "LastModifiedBy": CALLER.get().context(),
            "_RoleArn": pipeline["RoleArn"],
            "_PipelineName": pipeline["PipelineName"],
            "_Parameters": bound,
            "_StepNames": [step["StepName"] for step in used],
            "SelectiveExecutionConfig": selective,
        },
    )
    arn = item["PipelineExecutionArn"]
    selecting.keep(scope, item, used)
    # That it was executed does not modify a pipeline.
    times = {
        "LastRunTime": started,
        "LastExecutionTime": started,
        "LastModifiedTime": pipeline["LastModifiedTime"],
    }
    PIPELINES.change(scope, pipeline["PipelineName"], **times)
    stored.VERSIONS.change(scope, version["PipelineVersionName"], LastExecutionPipelineExecutionArn=arn)
    experiments.begin(scope, item)
    announcements.announce_execution(scope, item)
    running.start(scope, item)
    return {"PipelineExecutionArn": arn}


_GIVEN = ("PipelineExecutionDisplayName", "PipelineExecutionDescription", "MlflowExperimentName")


def _bound(version: Item, params: dict[str, Any]) -> dict[str, Any]:
    given = {item["Name"]: item["Value"] for item in params.get("PipelineParameters", [])}
    try:
        return parameters.bound(stored.parsed(version["_Definition"]).parameters, given)
    except ParameterError as error:
        raise ApiError("ValidationException", str(error)) from error


def _experiment(pipeline: Item, version: Item, identifier: str, bound: dict[str, Any]) -> Item | None:
    """Return the experiment and trial that the definition names; None if it wants none."""
    config = stored.parsed(version["_Definition"]).experiment
    known = {"PipelineName": pipeline["PipelineName"], "PipelineExecutionId": identifier}
    return None if config is None else dict(resolved(dict(config), Values(bound, known)))


@operation("DescribePipelineExecution")
def describe_pipeline_execution(scope: Scope, params: dict[str, Any]) -> Item:
    return _execution(scope, params)


def _execution(scope: Scope, params: dict[str, Any]) -> Item:
    arn = params["PipelineExecutionArn"]
    item = EXECUTIONS.find(scope, arn.partition("/")[2])
    if item is None or item["PipelineExecutionArn"] != arn:
        raise ApiError("ResourceNotFound", f"Pipeline execution '{arn}' does not exist.")
    return item


@operation("DescribePipelineDefinitionForExecution")
def describe_pipeline_definition_for_execution(scope: Scope, params: dict[str, Any]) -> Item:
    execution = _execution(scope, params)
    return {
        "PipelineDefinition": stored.definition_text(scope, execution),
        "CreationTime": execution["CreationTime"],
    }


@operation("ListPipelineExecutions")
def list_pipeline_executions(scope: Scope, params: dict[str, Any]) -> Item:
    arn = PIPELINES.get(scope, PIPELINES.name(scope, params["PipelineName"]))["PipelineArn"]
    page = list_page(
        stored.EXECUTIONS_OF.find(scope, arn),
        created(params),
        result_key="PipelineExecutionSummaries",
        name_key="PipelineExecutionName",
        descending=True,
    )
    page["PipelineExecutionSummaries"] = [
        {
            **item,
            "StartTime": item["CreationTime"],
            "PipelineExecutionFailureReason": item.get("FailureReason"),
        }
        for item in page["PipelineExecutionSummaries"]
    ]
    return page


@operation("ListPipelineExecutionSteps")
def list_pipeline_execution_steps(scope: Scope, params: dict[str, Any]) -> Item:
    if "PipelineExecutionArn" not in params:
        raise ApiError("ValidationException", "PipelineExecutionArn must be given.")
    return list_page(
        stored.steps_of(scope, _execution(scope, params)),
        params,
        result_key="PipelineExecutionSteps",
        name_key="StepName",
        descending=True,
    )


@operation("ListPipelineParametersForExecution")
def list_pipeline_parameters_for_execution(scope: Scope, params: dict[str, Any]) -> Item:
    pairs = parameters.as_pairs(_execution(scope, params)["_Parameters"])
    # They are listed as declared, which their position in place of a time does.
    placed = [{**pair, "CreationTime": n, "LastModifiedTime": n} for n, pair in enumerate(pairs)]
    return list_page(placed, params, result_key="PipelineParameters", name_key="Name")


@operation("UpdatePipelineExecution")
def update_pipeline_execution(scope: Scope, params: dict[str, Any]) -> Item:
    asked = ("PipelineExecutionDescription", "PipelineExecutionDisplayName", "ParallelismConfiguration")
    changes = {name: params[name] for name in asked if name in params}
    name = _execution(scope, params)["PipelineExecutionName"]
    return EXECUTIONS.change(scope, name, **changes, LastModifiedBy=CALLER.get().context())


@operation("StopPipelineExecution")
def stop_pipeline_execution(scope: Scope, params: dict[str, Any]) -> Item:
    return tokens.once("StopPipelineExecution", scope, params, lambda: _stop(scope, params), _TOKEN)


def _stop(scope: Scope, params: dict[str, Any]) -> Item:
    execution = _execution(scope, params)
    if not running.stop(scope, execution["PipelineExecutionName"]):
        raise _refused(execution, "stopped", "Executing")
    return {"PipelineExecutionArn": execution["PipelineExecutionArn"]}


@operation("RetryPipelineExecution")
def retry_pipeline_execution(scope: Scope, params: dict[str, Any]) -> Item:
    return tokens.once("RetryPipelineExecution", scope, params, lambda: _retry(scope, params), _TOKEN)


def _retry(scope: Scope, params: dict[str, Any]) -> Item:
    execution = _execution(scope, params)
    if execution["PipelineExecutionStatus"] not in ("Failed", "Stopped"):
        raise _refused(execution, "retried", "Failed or Stopped")
    changes: Item = {"_EndTime": None, "FailureReason": None}
    if "ParallelismConfiguration" in params:
        changes["ParallelismConfiguration"] = params["ParallelismConfiguration"]
    name = execution["PipelineExecutionName"]
    kept = [s["StepName"] for s in stored.steps_of(scope, execution) if s["StepStatus"] == "Succeeded"]
    item = announcements.change_execution(scope, name, "Executing", **changes, _StepNames=kept)
    running.start(scope, item)
    return {"PipelineExecutionArn": execution["PipelineExecutionArn"]}


def _refused(execution: Item, what: str, allowed: str) -> ApiError:
    return ApiError(
        "ValidationException",
        f"Only pipeline executions with status {allowed} can be {what}; "
        f"{execution['PipelineExecutionArn']} is {execution['PipelineExecutionStatus']}.",
    )
