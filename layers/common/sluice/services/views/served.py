"""Show what became of one version: decisions, releases, where it served, and what was seen meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sluice.catalog import keys
from sluice.catalog.records.monitoring import LabelWindow, Window
from sluice.catalog.records.releases import Deployment, Package, Release
from sluice.domain.release import releases as requests
from sluice.domain.times import from_iso, to_iso
from sluice.ports import Cloud
from sluice.services.release import approving

# A window may begin a little before the promotion that it is about.
_BEFORE = timedelta(days=1)


def deployments(cloud: Cloud, package: Package) -> list[Deployment]:
    """Return what releases did with a version, by their promotion; reads all deployments of the pipeline."""
    items = cloud.catalog.query(keys.partition(str(package.pipeline)), keys.DEPLOYMENTS)
    found = (Deployment.of(item) for item in items)
    ours = (each for each in found if each.is_of(package.arn, package.run_id))
    return sorted(ours, key=lambda each: each.promoted_at or "9")


def decisions(cloud: Cloud, package: Package, manifest_sha256: str | None) -> dict[str, Any]:
    """Return every decision about the ARN, and which are of this manifest: others are of another model."""
    quorum = approving.find_quorum(cloud, package)
    counted = {**asdict(quorum), "given": quorum.by} if quorum else None
    return {
        "manifest_sha256": manifest_sha256,
        "status": package.status,
        "decisions": [
            {
                "decision": each.epoch,
                **keys.shown(each.item()),
                "is_of_this_manifest": each.manifest_sha256 == manifest_sha256,
            }
            for each in approving.find_decisions(cloud, package.arn)
        ],
        "quorum": counted,
    }


def releases(cloud: Cloud, package: Package, deployed: list[Deployment]) -> dict[str, Any]:
    """Return the releases that deployed a version or that its approvals led to, and what they did."""
    found = _find_releases(cloud, package, deployed)
    return {
        "releases": [_shown(each.release_id, each.item()) for each in found],
        "served": [{"stage": each.stage, **_shown(each.release_id, each.item())} for each in deployed],
    }


def _find_releases(cloud: Cloud, package: Package, deployed: list[Deployment]) -> list[Release]:
    pipeline = str(package.pipeline)
    ids = {each.release_id: None for each in deployed}
    for decision in approving.find_decisions(cloud, package.arn):
        args = (pipeline, package.arn, package.version, decision.epoch, "", "")
        ids[requests.approval_request(*args).release_id] = None
    items = [cloud.catalog.get(keys.release_key(pipeline, each)) for each in ids]
    return sorted((Release.of(item) for item in items if item), key=lambda each: each.started_at)


def _shown(release_id: str, item: Mapping[str, Any]) -> dict[str, Any]:
    return {"release_id": release_id, **keys.shown(item)}


def windows(cloud: Cloud, deployed: list[Deployment]) -> list[dict[str, Any]]:
    """Return the windows of requests and of labels that were judged while a version served."""
    return [
        {"stage": each.stage, "start": window.start, **keys.shown(window.item())}
        for each in deployed
        if each.promoted_at
        for window in _windows(cloud, each, each.promoted_at)
    ]


def _windows(cloud: Cloud, served: Deployment, promoted_at: str) -> list[Window | LabelWindow]:
    partition = keys.partition(served.pipeline)
    since = to_iso(from_iso(promoted_at) - _BEFORE)
    until = served.ended_at or cloud.now()

    def within(prefix: str) -> list[dict[str, Any]]:
        return cloud.catalog.query(partition, between=(f"{prefix}{since}", f"{prefix}{until}~"))

    found: list[Window | LabelWindow] = [Window.of(each) for each in within(keys.windows_of(served.stage))]
    found += [LabelWindow.of(each) for each in within(keys.label_windows_of(served.stage))]
    return [each for each in found if each.release_id == served.release_id]
