"""Tell which people approved a version, by what is on record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records.builds import Project, Run
from sluice.catalog.records.releases import Approval, Package
from sluice.domain.release import quorum
from sluice.domain.release.quorum import Quorum
from sluice.ports import Cloud

if TYPE_CHECKING:
    from sluice.domain.config.approval import Approval as ApprovalRules


def find_rules(cloud: Cloud, pipeline: str, project_version: str) -> ApprovalRules | None:
    """Return what the project that trained a version asks of its approval; None if it is gone."""
    from sluice.domain import config

    found = _find_project(cloud, pipeline, project_version)
    return config.restore(found.config).release.approval if found else None


def find_decisions(cloud: Cloud, arn: str) -> list[Approval]:
    """Return all decisions about a package, oldest first."""
    return [Approval.of(item) for item in cloud.catalog.query(keys.package_partition(arn), keys.APPROVALS)]


def count(
    cloud: Cloud,
    rules: ApprovalRules,
    pipeline: str,
    project_version: str,
    arn: str,
    manifest_sha256: str,
) -> Quorum:
    """Count who approved the version of a project."""
    project = _find_project(cloud, pipeline, project_version)
    pushed_by = project.pushed_by if project else ()
    return quorum.count(rules, find_decisions(cloud, arn), manifest_sha256, pushed_by, cloud.now())


def find_quorum(cloud: Cloud, package: Package) -> Quorum | None:
    """Count who approved a version; None if it does not matter who, or if no run of ours registered it."""
    if package.pipeline is None or package.run_id is None or package.manifest_sha256 is None:
        return None
    item = cloud.catalog.get(keys.run_key(package.pipeline, package.run_id))
    version = Run.of(item).project_version if item else ""
    rules = find_rules(cloud, package.pipeline, version) if version else None
    if rules is None or not rules.counts_people:
        return None
    return count(cloud, rules, package.pipeline, version, package.arn, package.manifest_sha256)


def _find_project(cloud: Cloud, pipeline: str, version: str) -> Project | None:
    item = cloud.catalog.get(keys.project_key(pipeline, version))
    return Project.of(item) if item else None
