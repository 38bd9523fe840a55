"""The steps of a definition, flat: those in the branches of a Condition step too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice_local.sagemaker.pipelines.definition import caching, checks, conditions, forms, functions, retries
from sluice_local.sagemaker.pipelines.definition.caching import CacheConfig
from sluice_local.sagemaker.pipelines.definition.errors import DefinitionError
from sluice_local.sagemaker.pipelines.definition.retries import RetryPolicy

JOBS = ("Processing", "Training", "Transform", "Tuning")
CHECKS = ("QualityCheck", "ClarifyCheck")
SUPPORTED = (*JOBS, *CHECKS, "Model", "RegisterModel", "Condition", "Fail", "Lambda", "Callback")
# What a step of these types must have beside its arguments.
_OWN = {"Lambda": "FunctionArn", "Callback": "SqsQueueUrl"}
_OWN_MEMBERS = ("FunctionArn", "SqsQueueUrl", "OutputParameters")
_FORM = {
    **{"Arguments": dict, "DependsOn": [str], "DisplayName": str, "Description": str, "CacheConfig": dict},
    "RetryPolicies": [{"ExceptionType": [str]}],
    "PropertyFiles": [{"PropertyFileName": str, "OutputName": str, "FilePath": str}],
    "OutputParameters": [{"OutputName": str, "OutputType": str}],
    **dict.fromkeys(("FunctionArn", "SqsQueueUrl", "ModelPackageGroupName", "ModelName"), forms.VALUE),
    **dict.fromkeys(("SuppliedBaselineStatistics", "SuppliedBaselineConstraints"), forms.VALUE),
}
# What is read of arguments before the model of their request checks them.
_OF_A_JOB = {
    "Environment": dict,
    "ProcessingOutputConfig": {"Outputs": [dict]},
    "AlgorithmSpecification": {"ContainerEntrypoint": list, "ContainerArguments": list},
}
_ARGUMENTS = {
    **{kind: {"Arguments": _OF_A_JOB} for kind in (*JOBS, *CHECKS)},
    "Fail": {"Arguments": {"ErrorMessage": forms.VALUE}},
}
_OUTPUT_TYPES = ("String", "Integer", "Boolean", "Float")
_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
_BRANCHES = {"IfSteps": True, "ElseSteps": False}
# By this variable SageMaker's image of a NotebookJob step, a Training step in the definition, is told apart.
_NOTEBOOK = "SM_INPUT_NOTEBOOK_NAME"


@dataclass(frozen=True, slots=True)
class Branch:
    """The branch that a step is in: which Condition step has it, and for which outcome."""

    condition: str
    outcome: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `own` is what its type has beside Arguments, such as FunctionArn."""

    name: str
    type: str
    arguments: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    branch: Branch | None = None
    cache: CacheConfig = field(default_factory=CacheConfig)
    retry_policies: tuple[RetryPolicy, ...] = ()
    property_files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    display_name: str | None = None
    description: str | None = None

    def told(self) -> Mapping[str, Any]:
        """Return all of the step that may have references; the steps in its branches have their own."""
        arguments = {key: value for key, value in self.arguments.items() if key not in _BRANCHES}
        return {"Arguments": arguments, **self.own}


def read(declared: Any, branch: Branch | None = None) -> Iterator[Step]:
    """Read steps, and those in their branches; raises DefinitionError."""
    where = "Steps" if branch is None else f"Step {branch.condition}: its branches"
    if not isinstance(declared, list):
        raise DefinitionError(f"{where} must be a list of steps, not {declared!r}.")
    for item in declared:
        step = _read_one(item, branch)
        yield step
        if step.type == "Condition":
            for member, outcome in _BRANCHES.items():
                yield from read(step.arguments.get(member) or [], Branch(step.name, outcome))


def _read_one(item: Any, branch: Branch | None) -> Step:
    name = item.get("Name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionError(f"A step needs a Name of 1 to 64 letters, digits, - and _, not {name!r}.")
    kind, arguments = item.get("Type"), item.get("Arguments") or {}
    _check_type(name, kind, arguments)
    for form in (_FORM, _ARGUMENTS.get(kind, {})):
        forms.check(f"Step {name}:", item, form)
    _check_own(name, kind, item)
    return Step(
        name,
        kind,
        arguments,
        depends_on=tuple(item.get("DependsOn") or ()),
        branch=branch,
        cache=caching.read(name, item.get("CacheConfig") or {}),
        retry_policies=retries.read(name, item.get("RetryPolicies") or ()),
        property_files={file["PropertyFileName"]: file for file in _property_files(name, kind, item)},
        own={key: item[key] for key in (*_OWN_MEMBERS, *checks.MEMBERS) if key in item},
        display_name=item.get("DisplayName"),
        description=item.get("Description"),
    )


def _check_type(name: str, kind: Any, arguments: Any) -> None:
    environment = arguments.get("Environment") if isinstance(arguments, dict) else None
    is_notebook = kind == "Training" and isinstance(environment, dict) and _NOTEBOOK in environment
    if kind not in SUPPORTED or is_notebook:
        shown = "NotebookJob" if is_notebook else kind
        raise DefinitionError(
            f"Step {name}: the local SageMaker does not run {shown} steps; it runs {', '.join(SUPPORTED)}."
        )


def _check_own(name: str, kind: str, item: Mapping[str, Any]) -> None:
    """Raise DefinitionError for what the step's type needs and the step lacks."""
    if (member := _OWN.get(kind)) and not item.get(member):
        raise DefinitionError(f"Step {name}: a {kind} step needs {member}.")
    if kind in CHECKS:
        checks.check(name, kind, item)
    if kind == "Training":
        functions.check(name, item.get("Arguments") or {})
    if kind == "Condition":
        stated = item["Arguments"].get("Conditions") if item.get("Arguments") else None
        if not isinstance(stated, list) or not stated:
            raise DefinitionError(
                f"Step {name}: Arguments.Conditions must be a list of at least one condition."
            )
        for position, condition in enumerate(stated):
            conditions.check(f"Step {name}: Arguments.Conditions[{position}]", condition)
    for position, output in enumerate(item.get("OutputParameters") or ()):
        if not output.get("OutputName") or output.get("OutputType") not in _OUTPUT_TYPES:
            raise DefinitionError(
                f"Step {name}: OutputParameters[{position}] needs an OutputName, and an OutputType of "
                f"{', '.join(_OUTPUT_TYPES)}."
            )


def _property_files(name: str, kind: str, item: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    """Yield the property files; raises DefinitionError for one that no output of the job can have."""
    outputs = ((item.get("Arguments") or {}).get("ProcessingOutputConfig") or {}).get("Outputs") or []
    names = [output.get("OutputName") for output in outputs]
    for position, file in enumerate(item.get("PropertyFiles") or ()):
        where = f"Step {name}: PropertyFiles[{position}]"
        if kind != "Processing":
            raise DefinitionError(f"{where} is for a Processing step, not for a {kind} step.")
        if absent := [key for key in ("PropertyFileName", "OutputName", "FilePath") if not file.get(key)]:
            raise DefinitionError(f"{where} needs {absent[0]}.")
        if file["OutputName"] not in names:
            raise DefinitionError(f"{where}.OutputName must be one of {', '.join(map(str, names))}.")
        yield file
