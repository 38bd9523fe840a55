"""Check a pipeline against a stack: whose role its jobs have, where they write, and where it registers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sluice.domain.build.sdk.definitions import Definition, PipelineStep, part
from sluice.domain.config.build import Build
from sluice.lazy import dataclass

# Fields of requests that name where a job writes.
_WRITTEN = ("S3OutputPath",)
# What stands for a part of a text that only an execution knows.
_OPEN = "*"


@dataclass(frozen=True, slots=True)
class Place:
    """What a stack gives a pipeline: its jobs' role, the prefixes they may write, the group it fills."""

    role_arn: str
    writable: tuple[str, ...]
    group: str


def problems(definition: Definition, build: Build, place: Place) -> Iterator[str]:
    """Yield what a definition names that the stack does not allow, as far as it can be known before."""
    known: dict[str, Any] = {**build.parameters}
    facts = {"role": place.role_arn, "output": place.writable[0], "model_package_group": place.group}
    known |= {name: facts[fact] for fact, name in build.bind.items() if fact in facts}
    for step in definition.steps:
        role = _text(_role(step), known)
        if role is not None and role != place.role_arn:
            yield (
                f"the step {step.name} has the role {role}: expected {place.role_arn}, which "
                "get_pipeline(role=...) is given, or the parameter RoleArn"
            )
        for uri in _written(step):
            said = _text(uri, known)
            if said is not None and not said.startswith(place.writable):
                yield (
                    f"the step {step.name} writes to {said}: expected a place below {place.writable[0]} (the "
                    f"parameter OutputUri) or {place.writable[1]} (default_bucket and default_bucket_prefix)"
                )
        if step.type == "RegisterModel":
            group = _text(step.arguments.get("ModelPackageGroupName"), known)
            if group is not None and group != place.group:
                yield (
                    f"the step {step.name} registers in the group {group}: expected {place.group}, which "
                    "get_pipeline(model_package_group_name=...) is given, or the parameter "
                    "ModelPackageGroupName; the run makes the version that is approved in a group of its own"
                )


def _role(step: PipelineStep) -> Any:
    return step.arguments.get("RoleArn") or step.arguments.get("ExecutionRoleArn")


def _written(step: PipelineStep) -> Iterator[Any]:
    """Yield the S3 URIs that a step's jobs write to."""
    if step.type in ("Condition", "RegisterModel", "Model"):
        return
    yield from _outputs(step.arguments)


def _outputs(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for inner in value:
            yield from _outputs(inner)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name in _WRITTEN:
                yield inner
            elif name in ("S3Output", "CheckpointConfig") and isinstance(inner, Mapping):
                yield inner.get("S3Uri")
            else:
                yield from _outputs(inner)


def _text(value: Any, known: Mapping[str, Any]) -> str | None:
    """Return a text as far as it is known before an execution; None if not even its beginning is."""
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        return None
    if isinstance(name := value.get("Get"), str):
        found = known.get(name.removeprefix("Parameters.")) if name.startswith("Parameters.") else None
        return None if found is None else str(found)
    joined = part(value, "Std:Join")
    values = joined.get("Values")
    parts = [_text(each, known) for each in values] if isinstance(values, list) else []
    if not parts or parts[0] is None:
        return None
    return str(joined.get("On", "")).join(_OPEN if part is None else part for part in parts)
