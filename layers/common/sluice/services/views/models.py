"""Show models: the versions in a pipeline's groups, and where each is live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice, repeat
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.builds import Pipeline
from sluice.catalog.records.releases import PENDING, Package
from sluice.domain.release import packages
from sluice.ports import Cloud
from sluice.services.views import stages


def models(cloud: Cloud, pipeline: str) -> list[dict[str, Any]]:
    """List the versions in all groups of the pipeline, newest first, with where each is live.

    Live versions that are gone from the registry come last.
    """
    serving = stages.stages(cloud, pipeline)
    listed = [
        row
        for group in _groups(cloud, pipeline)
        for summary in versions(cloud, group)
        if (row := _model(cloud, pipeline, group, summary))
    ]
    listed.sort(key=lambda row: str(row["created_at"]), reverse=True)
    rows = [*listed, *_gone(listed, serving)]
    called = packages.called(pipeline, [(row["group"], row["version"]) for row in rows])
    for row in rows:
        row["model"] = called[row["group"], row["version"]]
        row["live_on"] = [stage["stage"] for stage in serving if is_live(row, stage)]
    return rows


def page(
    cloud: Cloud,
    pipeline: str,
    after: str | None = None,
    limit: int | None = None,
    status: str | None = None,
) -> list[dict[str, Any]]:
    """List a page of `models`: those older than the version with the ARN `after`, and of an approval status.

    The first page of all ends with live versions that are gone from the registry. Raises LookupError if the
    version to go on from is gone.
    """
    serving = stages.stages(cloud, pipeline)
    groups = _groups(cloud, pipeline)
    listed = (
        row
        for group, summary in _older(cloud, groups, after, status)
        if (row := _model(cloud, pipeline, group, summary))
    )
    rows = [*islice(listed, limit)]
    if after is None and status is None:
        rows += _gone(_live(cloud, pipeline, serving), serving)
    for row in rows:
        row["model"] = _called(cloud, pipeline, row, groups)
        row["live_on"] = [stage["stage"] for stage in serving if is_live(row, stage)]
    return rows


def read_ahead(cloud: Cloud, pipeline: str, after: str | None, limit: int, status: str | None) -> None:
    """Read by one batch what a page of `page` asks the catalog for one by one."""
    listed = islice(_older(cloud, _groups(cloud, pipeline), after, status), limit)
    cloud.catalog.get_all([keys.package_key(summary["ModelPackageArn"]) for _, summary in listed])


def _older(
    cloud: Cloud, groups: Sequence[str], after: str | None, status: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the versions of groups, newest first, as far as they are read."""

    def place(found: tuple[str, dict[str, Any]]) -> tuple[datetime, int, str]:
        return found[1]["CreationTime"], found[1]["ModelPackageVersion"], found[0]

    if after is None:
        listed = [zip(repeat(group), cloud.registry.packages(group, None, status)) for group in groups]
        return merge(*listed, key=place, reverse=True)
    last = cloud.registry.describe_package(after)
    if last is None:
        raise LookupError(f"{after} is gone from the registry")
    # Two versions may have been created at the same time.
    before = last["CreationTime"] + timedelta(seconds=1)
    listed = [zip(repeat(group), cloud.registry.packages(group, before, status)) for group in groups]
    begins = place((packages.group_of(after), last))
    return (found for found in merge(*listed, key=place, reverse=True) if place(found) < begins)


def _groups(cloud: Cloud, pipeline: str) -> list[str]:
    item = cloud.catalog.get(keys.pipeline_key(pipeline))
    return packages.groups_of(Pipeline.of(item)) if item else []


def _live(cloud: Cloud, pipeline: str, serving: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the live versions that are in the registry."""
    arns = {stage["live_package_arn"] for stage in serving} - {None}
    found = {arn: cloud.registry.describe_package(arn) for arn in arns}
    rows = (_model(cloud, pipeline, packages.group_of(arn), each) for arn, each in found.items() if each)
    return [row for row in rows if row]


def _called(cloud: Cloud, pipeline: str, row: dict[str, Any], groups: Sequence[str]) -> str:
    """Name a version briefly, if no other group has its number."""
    group, version, arn = row["group"], row["version"], row["arn"]
    others = (arn.replace(f"/{group}/", f"/{other}/") for other in groups if other != group)
    if any(cloud.registry.describe_package(other) for other in others):
        return packages.full_name(pipeline, group, version)
    return f"{pipeline}/{version}"


def undecided(cloud: Cloud, pipeline: str, serving: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the versions since the last decided one, newest first, and those that are live.

    They include all that wait for a person, without reading all versions. Only if the pipeline has several
    groups are all read: then a version's name depends on the others.
    """
    groups = _groups(cloud, pipeline)
    if len(groups) != 1:
        return models(cloud, pipeline)
    rows = list[dict[str, Any]]()
    for summary in cloud.registry.packages(groups[0]):
        if row := _model(cloud, pipeline, groups[0], summary):
            rows.append(row)
            if row["approval_status"] != PENDING:
                break
    known = {row["arn"] for row in rows}
    for arn in {stage["live_package_arn"] for stage in serving} - known - {None}:
        described = cloud.registry.describe_package(arn)
        if described and (row := _model(cloud, pipeline, packages.group_of(arn), described)):
            rows.append(row)
    for row in rows:
        row["model"] = f"{pipeline}/{row['version']}"
    return rows


def on_record(cloud: Cloud, pipeline: Pipeline, serving: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """List what `undecided` does by the catalog, which learns of decisions by events: for many pipelines.

    Of what waits at most the newest few are listed. None if the catalog does not know enough.
    """
    if pipeline.newest_package is None or len(packages.groups_of(pipeline)) != 1:
        return None
    rows = list[dict[str, Any]]()
    for arn in packages.newest(pipeline):
        row = _recorded(cloud, pipeline.name, arn)
        if row is None:
            continue
        rows.append(row)
        if row["approval_status"] != PENDING:
            break
    known = {row["arn"] for row in rows}
    live = dict.fromkeys(arn for stage in serving if (arn := stage["live_package_arn"]))
    return rows + [row for arn in live if arn not in known and (row := _recorded(cloud, pipeline.name, arn))]


def _recorded(cloud: Cloud, pipeline: str, arn: str) -> dict[str, Any] | None:
    """Return a version as the catalog knows it; None if it knows too little, or it is another pipeline's."""
    item = cloud.catalog.get(keys.package_key(arn))
    package = Package.of(item) if item else None
    if package is None or package.pipeline != pipeline or package.created_at is None:
        return None
    if package.deleted_at is not None:
        return None
    return {
        "model": f"{pipeline}/{package.version}",
        "group": package.group,
        "version": package.version,
        "arn": arn,
        "approval_status": package.status,
        "created_at": package.created_at,
        "run_id": package.run_id,
        "waits_because": package.waits_because,
    }


def versions(cloud: Cloud, group: str) -> list[dict[str, Any]]:
    """List the summaries of a group's versions; empty if there is no such group."""
    return list(cloud.registry.packages(group))


def _model(cloud: Cloud, pipeline: str, group: str, summary: dict[str, Any]) -> dict[str, Any] | None:
    """Return a version in a group of the pipeline; None if it is another pipeline's in a shared group."""
    item = cloud.catalog.get(keys.package_key(summary["ModelPackageArn"])) or {}
    if item.get("pipeline", pipeline) != pipeline:
        return None
    status = summary["ModelApprovalStatus"]
    return {
        "model": "",
        "group": group,
        "version": summary["ModelPackageVersion"],
        "arn": summary["ModelPackageArn"],
        "approval_status": status,
        "created_at": summary["CreationTime"].isoformat(),
        "run_id": item.get("run_id"),
        "waits_because": item.get("needs_person") if status == PENDING else None,
    }


def is_live(row: dict[str, Any], stage: dict[str, Any]) -> bool:
    """Tell whether a stage serves a version; compares runs too, as a group made again reuses ARNs."""
    is_same_run = None in (stage["run_id"], row["run_id"]) or stage["run_id"] == row["run_id"]
    return bool(stage["live_package_arn"] == row["arn"] and is_same_run)


def _gone(listed: list[dict[str, Any]], serving: list[dict[str, Any]]) -> list[dict[str, Any]]:
    live = {stage["live_package_arn"]: stage for stage in serving if stage["live_package_arn"]}
    return [
        {
            "model": "",
            "group": packages.group_of(arn),
            "version": stage["live_version"],
            "arn": arn,
            "approval_status": "Deleted",
            "created_at": stage["promoted_at"],
            "run_id": stage["run_id"],
            "waits_because": None,
        }
        for arn, stage in live.items()
        if not any(is_live(row, stage) for row in listed)
    ]


def model_name(cloud: Cloud, pipeline: str, arn: str | None) -> str | None:
    """Return an unambiguous name of a version that commands accept."""
    if arn is None:
        return None
    group, version = packages.group_of(arn), int(arn.rpartition("/")[2])
    groups = _groups(cloud, pipeline)
    is_only = groups in ([], [group])
    return f"{pipeline}/{version}" if is_only else packages.full_name(pipeline, group, version)


def named(cloud: Cloud, name: str) -> list[dict[str, Any]] | None:
    """List the versions that `PIPELINE/...` or `GROUP/...` may mean, each with its `full_name`.

    It describes one version of each group that may be meant, however many there are. Returns None if there is
    no such pipeline or group.
    """
    first = name.partition("/")[0]
    known = {
        item["gsi1sk"]: packages.groups_of(Pipeline.of(item))
        for item in cloud.catalog.listing(keys.PIPELINES)
    }
    meant = [pipeline for pipeline, groups in known.items() if first == pipeline or first in groups]
    if not meant:
        return None
    rows = [row for pipeline in meant for row in _meant(cloud, pipeline, known[pipeline], name)]
    return sorted(rows, key=lambda row: str(row["created_at"]), reverse=True)


def of_pipeline(cloud: Cloud, pipeline: Pipeline, name: str) -> dict[str, Any] | None:
    """Return the newest of a pipeline's versions that a name may mean."""
    rows = _meant(cloud, pipeline.name, packages.groups_of(pipeline), name)
    return max(rows, key=lambda row: str(row["created_at"]), default=None)


def _meant(cloud: Cloud, pipeline: str, groups: Sequence[str], name: str) -> list[dict[str, Any]]:
    number = name.rpartition("/")[2]
    version = int(number) if number.isdecimal() else 0
    return [
        {**row, "full_name": packages.full_name(pipeline, group, version)}
        for group in groups
        if packages.is_meant(name, pipeline, group, version)
        and (row := _version(cloud, pipeline, group, version))
    ]


def _version(cloud: Cloud, pipeline: str, group: str, version: int) -> dict[str, Any] | None:
    """Describe a version of a group, whose ARN is like that of the group's newest."""
    newest = next(cloud.registry.packages(group), None)
    if newest is None:
        return None
    arn = f"{newest['ModelPackageArn'].rpartition('/')[0]}/{version}"
    described = cloud.registry.describe_package(arn)
    return _model(cloud, pipeline, group, described) if described else None
