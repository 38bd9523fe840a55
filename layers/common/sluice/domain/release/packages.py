"""The model package groups of a pipeline, and the names of their versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sluice.domain import names

if TYPE_CHECKING:
    from sluice.catalog.records.builds import Pipeline
    from sluice.catalog.records.releases import Package


# So many versions are looked at for those that wait for a person.
_UNDECIDED = 5


def groups_of(pipeline: Pipeline) -> list[str]:
    """Return all groups that pushes of a pipeline named: those of former pushes stay its own."""
    return list(pipeline.groups or ([pipeline.group] if pipeline.group else []))


def with_group(pipeline: Pipeline, group: str) -> list[str]:
    """Return the pipeline's groups after a push that names this one."""
    return [*(known for known in groups_of(pipeline) if known != group), group]


def newest(pipeline: Pipeline) -> list[str]:
    """Name the versions that were registered last, the newest first: a group numbers them."""
    group, _, number = (pipeline.newest_package or "").rpartition("/")
    last = int(number or 0)
    return [f"{group}/{n}" for n in range(last, max(last - _UNDECIDED, 0), -1)]


def group_of(arn: str) -> str:
    """The group in the ARN of a version."""
    return arn.partition(":model-package/")[2].rpartition("/")[0]


def version_name(stack: str, pipeline: str | None, group: str, version: int) -> str:
    """Name a version for people and commands, which stays valid if the pipeline's group changes.

    That is GROUP/VERSION, as in the registry; nobody knows a group that the stack named, so of such a one it
    is PIPELINE/VERSION.
    """
    is_ours = pipeline is not None and group == names.package_group(stack, pipeline)
    return f"{pipeline if is_ours else group}/{version}"


def name_of(stack: str, package: Package) -> str:
    """Name the version of a record."""
    return version_name(stack, package.pipeline, package.group, package.version)


def full_name(pipeline: str, group: str, version: int) -> str:
    """Return the unambiguous name of a version."""
    return f"{pipeline}/{group}/{version}"


def called(pipeline: str, versions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Name each (group, version): PIPELINE/VERSION if no other group has that version number."""
    numbers = [number for _, number in versions]
    return {
        (group, number): f"{pipeline}/{number}"
        if numbers.count(number) == 1
        else full_name(pipeline, group, number)
        for group, number in versions
    }


def is_meant(name: str, pipeline: str, group: str, version: int) -> bool:
    """Tell whether a name that a person typed may mean a version."""
    number = str(version)
    return name in (f"{pipeline}/{number}", f"{group}/{number}", full_name(pipeline, group, version))
