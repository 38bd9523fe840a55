"""Find versions that serve although a person rejected them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.catalog import keys
from sluice.catalog.records.releases import Package, Recovery
from sluice.services import deploying

if TYPE_CHECKING:
    from sluice.catalog.records.releases import Stage
    from sluice.ports import Cloud


def find_rejected(cloud: Cloud, stage: Stage) -> Package | None:
    """Return the rejected version that still serves on a stage, unless a person was called for that.

    While a release is under way, the version may be replaced.
    """
    if stage.releasing:
        return None
    live = deploying.find_deployment(cloud, stage.pipeline, stage.name, stage.live)
    item = cloud.catalog.get(keys.package_key(live.package_arn)) if live else None
    package = Package.of(item) if item else None
    if live is None or package is None or package.status != "Rejected":
        return None
    if not live.is_of(package.arn, package.run_id):
        return None
    fault = rejection(package)
    known = cloud.catalog.get(keys.recovery_key(stage.pipeline, stage.name, live.release_id, fault))
    return None if known and Recovery.of(known).problem else package


def rejection(package: Package) -> str:
    """Name the fault that a package was rejected: each rejection has attempts of its own."""
    return f"rejection#{package.epoch}"
