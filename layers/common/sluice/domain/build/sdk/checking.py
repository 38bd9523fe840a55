"""Check that a build can run a pipeline: its graph, its steps, where its data come from, what it registers.

SageMaker checks a definition too, but only when the account has it, and it does not know what a build needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sluice.domain.build.sdk.definitions import Definition, PipelineStep, part, references
from sluice.domain.nearest import hint

# What the stack's role lets SageMaker do for a pipeline.
TYPES = (
    "Processing",
    "Training",
    "Tuning",
    "Transform",
    "Model",
    "RegisterModel",
    "Condition",
    "Fail",
    "QualityCheck",
    "ClarifyCheck",
)
_MANIFEST_FILE = "ManifestFile"
_SHOWN = 8


def problems(definition: Definition, manifest: str) -> list[str]:
    """Return what keeps a build from running a pipeline; `manifest` is the parameter that takes the data."""
    return [
        *_types(definition),
        *_references(definition),
        *_circles(definition),
        *_data(definition, manifest),
        *_registrations(definition),
    ]


def _types(definition: Definition) -> Iterator[str]:
    for step in definition.steps:
        if step.type not in TYPES:
            yield (
                f"the step {step.name} is of the type {step.type}, which a build does not run: "
                f"expected one of {', '.join(TYPES)}{hint(step.type, TYPES)}"
            )


def _references(definition: Definition) -> Iterator[str]:
    steps = [step.name for step in definition.steps]
    for step in definition.steps:
        for reference in dict.fromkeys(references(_own(step))):
            root, _, rest = reference.partition(".")
            name = rest.partition(".")[0]
            known = steps if root == "Steps" else list(definition.parameters)
            if root in ("Steps", "Parameters") and name not in known:
                what = "step" if root == "Steps" else "parameter"
                near = hint(name, known)
                yield f"the step {step.name} reads {reference}, and there is no such {what}{near}"
        for name in step.document.get("DependsOn") or ():
            if name not in steps:
                yield f"the step {step.name} depends on {name}, which is no step{hint(str(name), steps)}"


def _own(step: PipelineStep) -> Mapping[str, Any]:
    """Return a step's document without the steps of its branches, which are steps of their own."""
    if step.type != "Condition":
        return step.document
    return {**step.document, "Arguments": {"Conditions": step.arguments.get("Conditions")}}


def _circles(definition: Definition) -> Iterator[str]:
    """Tell of steps that wait for each other."""
    before = {step.name: _waits_for(step) for step in definition.steps}
    left = dict(before)
    while ready := [name for name, waits in left.items() if not waits & left.keys()]:
        for name in ready:
            del left[name]
    if left:
        yield f"these steps wait for each other: {', '.join([*left][:_SHOWN])}"


def _waits_for(step: PipelineStep) -> set[str]:
    read = (each.split(".") for each in references(_own(step)))
    named = {parts[1] for parts in read if parts[0] == "Steps" and len(parts) > 1}
    return named | set(step.document.get("DependsOn") or ()) | set(step.within)


def _data(definition: Definition, manifest: str) -> Iterator[str]:
    """Require that an input takes the data set's list as a list, which names a version's objects alone."""
    if manifest not in definition.parameters:
        yield (
            f"no parameter takes the data set: expected a String {manifest}, the URI of the list of its "
            f"files, or its name in build.bind.input_manifest{hint(manifest, definition.parameters)}"
        )
        return
    if definition.parameters[manifest].type != "String":
        yield f"the parameter {manifest} takes the data set's URI: expected a String"
    inputs = [each for step in definition.steps for each in _inputs(step, f"Parameters.{manifest}")]
    if not inputs:
        yield f"no step reads {manifest}: expected it as the S3Uri of an input of {_MANIFEST_FILE}"
    for step, kind in inputs:
        if kind != _MANIFEST_FILE:
            yield (
                f"the step {step} reads {manifest} as {kind}: expected S3DataType {_MANIFEST_FILE} (in the "
                f'SDK s3_data_type="{_MANIFEST_FILE}"), as it is a list of files'
            )


def _inputs(step: PipelineStep, parameter: str) -> Iterator[tuple[str, str]]:
    """Yield the S3DataType of each input of a step that reads a parameter."""
    for source in _sources(step.arguments):
        if parameter in references(source.get("S3Uri")):
            yield step.name, str(source.get("S3DataType", "S3Prefix"))


def _sources(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every source of S3 objects within a step's arguments: they have an S3Uri and an S3DataType."""
    if isinstance(value, Mapping):
        if "S3Uri" in value and "S3DataType" in value:
            yield value
        for name, inner in value.items():
            if name not in ("IfSteps", "ElseSteps"):
                yield from _sources(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _sources(inner)


def _registrations(definition: Definition) -> Iterator[str]:
    registering = definition.of_type("RegisterModel")
    if not registering:
        yield (
            "no step registers a model: expected one of the type RegisterModel (in the SDK a ModelStep of "
            "model.register(...)), as a run takes what that registers"
        )
    for step in registering:
        arguments = step.arguments
        containers = part(arguments, "InferenceSpecification").get("Containers")
        count = len(containers) if isinstance(containers, list) else 0
        if count != 1:
            yield f"the step {step.name} registers {count} containers: expected one, with ModelDataUrl"
        if not part(arguments, "ModelMetrics", "ModelQuality", "Statistics").get("S3Uri"):
            yield (
                f"the step {step.name} has no ModelMetrics.ModelQuality.Statistics (in the SDK model_metrics="
                "ModelMetrics(model_statistics=...)): expected the evaluation that the gates judge"
            )
        if arguments.get("ModelApprovalStatus") == "Approved":
            yield (
                f"the step {step.name} approves what it registers: expected PendingManualApproval, as a "
                "person approves the version that the run makes of it"
            )
