"""What is kept of pipelines: their versions, executions, steps, and what the cache may give again."""

from __future__ import annotations

from functools import lru_cache

from sluice_local.sagemaker.api.core import Item, Scope, Table
from sluice_local.sagemaker.pipelines.definition import reading
from sluice_local.sagemaker.pipelines.definition.reading import Definition
from sluice_local.sagemaker.pipelines.requests import REQUESTS

# Two names that differ in case alone are one: until 2022 AWS wrote them into ARNs in lower case.
PIPELINES = Table("pipeline", "pipeline", "PipelineName", ignores_case=True)
VERSIONS = Table("pipeline version", "pipeline", "PipelineVersionName", "pipeline-version", ignores_case=True)
EXECUTIONS = Table("pipeline execution", "pipeline", "PipelineExecutionName", "pipeline-execution")
STEPS = Table("pipeline step", "pipeline", "StepKeyName", "pipeline-step")
EXECUTIONS_OF = EXECUTIONS.index(lambda _, item: [item["PipelineArn"]])
CACHE = Table("cached step", "pipeline", "CacheKeyName", "pipeline-cache")

UNDER_WAY = ("Executing", "Stopping")


def version_key(pipeline: str, version: int) -> str:
    return f"{pipeline}/version/{version}"


def step_key(execution: str, step: str) -> str:
    return f"{execution}/{step}"


def pipeline_of(execution: str) -> str:
    """Return the name of an execution's pipeline."""
    return execution.partition("/")[0]


def steps_of(scope: Scope, execution: Item) -> list[Item]:
    """Return the steps of an execution that have begun, in that order."""
    keys = (step_key(execution["PipelineExecutionName"], name) for name in execution["_StepNames"])
    return [step for key in keys if (step := STEPS.find(scope, key))]


def definition_of(scope: Scope, execution: Item) -> Definition:
    """Return the definition that an execution runs."""
    return parsed(definition_text(scope, execution))


def definition_text(scope: Scope, execution: Item) -> str:
    pipeline = pipeline_of(execution["PipelineExecutionName"])
    text: str = VERSIONS.get(scope, version_key(pipeline, execution["PipelineVersionId"]))["_Definition"]
    return text


@lru_cache(64)
def parsed(text: str) -> Definition:
    """Read a definition; raises DefinitionError."""
    return reading.read(text, REQUESTS)
