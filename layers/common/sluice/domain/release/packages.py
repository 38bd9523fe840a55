"""The model package groups of a pipeline, and what the versions in them are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def groups_of(pipeline: Mapping[str, Any]) -> list[str]:
    """The groups that pushes of a pipeline (its item) named: what former ones hold is its own too."""
    current = pipeline.get("group")
    return list(pipeline.get("groups") or ([current] if current else []))


def with_group(pipeline: Mapping[str, Any], group: str) -> list[str]:
    """The pipeline's groups after a push that names this one."""
    return [*(known for known in groups_of(pipeline) if known != group), group]


def group_of(arn: str) -> str:
    """The group in the ARN of a version."""
    return arn.partition(":model-package/")[2].rpartition("/")[0]


def version_name(group: str, version: int) -> str:
    """A version as the registry has it: this name stays true when the pipeline's group changes."""
    return f"{group}/{version}"


def full_name(pipeline: str, group: str, version: int) -> str:
    """The name of a version that can mean no other."""
    return f"{pipeline}/{version_name(group, version)}"


def called(pipeline: str, versions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """The name of each version, as (group, version): PIPELINE/VERSION if no other group has that version."""
    numbers = [number for _, number in versions]
    return {
        (group, number): f"{pipeline}/{number}"
        if numbers.count(number) == 1
        else full_name(pipeline, group, number)
        for group, number in versions
    }


def is_meant(name: str, pipeline: str, group: str, version: int) -> bool:
    """Whether a name, as a person types it, may mean a version."""
    number = str(version)
    return name in (f"{pipeline}/{number}", f"{group}/{number}", full_name(pipeline, group, version))
