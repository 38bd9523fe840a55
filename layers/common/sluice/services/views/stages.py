"""What is seen of stages: what serves, its endpoint, its alarms, and releases."""

from __future__ import annotations

from typing import Any

from sluice.catalog import keys
from sluice.domain.release import packages
from sluice.ports import Cloud
from sluice.services import releasing


def stages(cloud: Cloud, pipeline: str) -> list[dict[str, Any]]:
    """What serves on each stage, as the catalog points to it."""
    rows = []
    for stage in cloud.catalog.query(keys.partition(pipeline), "STAGE#"):
        name = stage["sk"].removeprefix("STAGE#")
        live = stage.get("live")
        deployment = cloud.catalog.get(keys.deployment_key(pipeline, name, live)) if live else None
        rows.append(
            {
                "stage": name,
                "endpoint_name": stage["endpoint_name"],
                "live": live,
                "releasing": stage.get("releasing"),
                "live_version": (deployment or {}).get("package_version"),
                "live_package_arn": (deployment or {}).get("package_arn"),
                "promoted_at": (deployment or {}).get("promoted_at"),
                "live_group": packages.group_of((deployment or {}).get("package_arn", "")) or None,
                "run_id": (deployment or {}).get("run_id"),
            }
        )
    return rows


def releases(cloud: Cloud, pipeline: str) -> list[dict[str, Any]]:
    """A pipeline's releases with their ids."""
    items = cloud.catalog.query(keys.partition(pipeline), "RELEASE#")
    return [{"release_id": item["sk"].removeprefix("RELEASE#"), **keys.shown(item)} for item in items]


def endpoint_status(cloud: Cloud, endpoint_name: str) -> str:
    """The endpoint's own status, or `missing`."""
    found = cloud.endpoints.describe_endpoint(endpoint_name)
    return str(found["EndpointStatus"]) if found else "missing"


def alarms(cloud: Cloud, pipeline: str, stage: str, endpoint_name: str) -> list[dict[str, Any]]:
    """The stage's alarms and their states."""
    names = releasing.find_guarded(cloud, pipeline, stage, endpoint_name).alarm_names
    found = cloud.alarms.describe(names)
    return [{"alarm": name, "state": found[name]["StateValue"]} for name in names if name in found]


def guard_faults(cloud: Cloud, pipeline: str, stage: str) -> list[str]:
    """What is wrong with the alarms that the stage's live release wants, until `reconcile` puts them back."""
    item = cloud.catalog.get(keys.stage_key(pipeline, stage)) or {}
    _, faults = releasing.find_guard_faults(cloud, pipeline, item)
    return [f"{name} {fault}" for name, fault in faults.items()]
