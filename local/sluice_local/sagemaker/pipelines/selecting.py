"""Selective executions: the selected steps run, by what others gave in an earlier execution."""

from __future__ import annotations

from sluice_local.sagemaker.api.core import ApiError, Item, Scope
from sluice_local.sagemaker.pipelines import stored
from sluice_local.sagemaker.pipelines.definition.reading import Definition
from sluice_local.sagemaker.pipelines.stored import STEPS


def reused(
    scope: Scope, pipeline: Item, definition: Definition, asked: Item | None
) -> tuple[Item | None, list[Item]]:
    """Return the config with its source, the newest execution if none is named, and the steps of that to use.

    Without a config all steps run, and none is used. Raises ApiError for a step that there is not, and for
    one that needs what the source does not have.
    """
    if asked is None:
        return None, []
    selected = [step["StepName"] for step in asked["SelectedSteps"]]
    if unknown := [name for name in selected if name not in definition.steps]:
        raise _invalid(f"The pipeline has no step {unknown[0]} to select.")
    source = _source(scope, pipeline, asked.get("SourcePipelineExecutionArn"))
    succeeded = {s["StepName"]: s for s in stored.steps_of(scope, source) if s["StepStatus"] == "Succeeded"}
    needed = {name for step in selected for name in definition.graph[step]} - set(selected)
    if missing := sorted(needed - succeeded.keys()):
        raise _invalid(
            f"Step {missing[0]} is not selected, and did not succeed in {source['PipelineExecutionArn']}."
        )
    arn = source["PipelineExecutionArn"]
    return {**asked, "SourcePipelineExecutionArn": arn}, [succeeded[name] for name in sorted(needed)]


def _source(scope: Scope, pipeline: Item, arn: str | None) -> Item:
    of_pipeline = stored.EXECUTIONS_OF.find(scope, pipeline["PipelineArn"])
    found = [item for item in of_pipeline if arn in (None, item["PipelineExecutionArn"])]
    if not found:
        raise _invalid(
            f"Pipeline '{pipeline['PipelineArn']}' has no execution {arn or ''} to take results from."
        )
    return found[-1]


def keep(scope: Scope, execution: Item, steps: list[Item]) -> None:
    """List the steps that are used as steps of the execution, with where they are from."""
    for step in steps:
        origin = {"SourcePipelineExecutionArn": step["_PipelineExecutionArn"]}
        own = {**step, "_PipelineExecutionArn": execution["PipelineExecutionArn"]}
        kept = {name: value for name, value in own.items() if name not in ("StepKeyName", "StepKeyArn")}
        key = stored.step_key(execution["PipelineExecutionName"], step["StepName"])
        STEPS.replace(scope, key, {**kept, "SelectiveExecutionResult": origin})


def left_out(execution: Item, definition: Definition) -> set[str]:
    """Return the steps that a selective execution does not run."""
    if (config := execution.get("SelectiveExecutionConfig")) is None:
        return set()
    return definition.steps.keys() - {step["StepName"] for step in config["SelectedSteps"]}


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationException", message)
